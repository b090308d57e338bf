"""cgroup directories made of plain files, with the content that kernel 6.12 writes."""

from __future__ import annotations

from pathlib import Path

MIB = 1 << 20

STAT = (Path(__file__).parent / "fixtures" / "memory.stat-6.12").read_text()

FILES = {
    "cgroup.controllers": "memory\n",
    "cgroup.events": "populated 1\nfrozen 0\n",
    "cgroup.freeze": "0\n",
    "cgroup.kill": "",
    "cgroup.procs": "",
    "cgroup.stat": "nr_descendants 0\nnr_dying_descendants 0\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
    "cpu.weight.nice": "19\n",
    "cpuset.mems.effective": "0-1\n",
    "memory.current": f"{200 * MIB}\n",
    "memory.events": "low 0\nhigh 3\nmax 2\noom 1\noom_kill 5\noom_group_kill 1\n",
    "memory.events.local": "low 0\nhigh 1\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "memory.high": "max\n",
    "memory.low": "0\n",
    "memory.max": f"{256 * MIB}\n",
    "memory.min": "0\n",
    "memory.numa_stat": "anon N0=100 N1=20\nfile N0=7 N1=0\nshmem N0=5 N1=0\nslab_reclaimable N0=3 N1=1\n",
    "memory.oom.group": "1\n",
    "memory.peak": f"{210 * MIB}\n",
    "memory.pressure": (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
    ),
    "memory.reclaim": "",
    "memory.stat": STAT,
    "memory.swap.current": f"{3 * MIB}\n",
    "memory.swap.max": "max\n",
    "memory.zswap.current": f"{MIB}\n",
}


def make_cgroup(root: Path, path: str, **changes: str | None) -> Path:
    """A cgroup directory with FILES; `changes` (dots as __) replace a file's content, None leaves the file out."""
    directory = root / path
    directory.mkdir(parents=True, exist_ok=True)
    replaced = {name.replace("__", "."): content for name, content in changes.items()}
    for name, content in (FILES | replaced).items():
        if content is not None:
            (directory / name).write_text(content)
    return directory


def remove_cgroup(directory: Path) -> None:
    """What rmdir does to a cgroup: files and directory are gone at once."""
    for entry in directory.iterdir():
        if entry.is_dir():
            remove_cgroup(entry)
        else:
            entry.unlink()
    directory.rmdir()
