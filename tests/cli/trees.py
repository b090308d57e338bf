"""A small machine as files: a cgroup v2 tree and a proc tree, for the commands that read this machine.

The real files' full content is tested in tests/kernel_files; here only the commands' own work is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"
UID = "11111111_2222_3333_4444_555555555555"


@dataclass(frozen=True)
class FakeMachine:
    """The two roots, as the commands take them."""

    cgroup_root: Path
    proc_root: Path

    @property
    def options(self) -> list[str]:
        return ["--cgroup-root", str(self.cgroup_root), "--proc-root", str(self.proc_root)]

    def container(self, number: int, *, anon_mib: int, cache_mib: int = 4, limit_mib: int | None = None) -> Path:
        """Add a container's cgroup, or change its readings."""
        scope = self.cgroup_root / POD.format(uid=UID) / f"cri-containerd-{number:064x}.scope"
        _cgroup(scope, (anon_mib + cache_mib) * MIB, "max" if limit_mib is None else str(limit_mib * MIB))
        stat = f"anon {anon_mib * MIB}\nfile {cache_mib * MIB}\nkernel {MIB}\nshmem 0\ninactive_file 0\n"
        _write(scope / "memory.stat", stat)
        return scope

    def available(self, mib: int) -> None:
        """Set MemAvailable."""
        meminfo = f"MemTotal: {2048 * 1024} kB\nMemFree: {64 * 1024} kB\nMemAvailable: {mib * 1024} kB\n"
        _write(self.proc_root / "meminfo", meminfo)


def fake_machine(root: Path) -> FakeMachine:
    """A node of 2 GiB with one pod of two containers: a leak and a quiet one."""
    machine = FakeMachine(root / "cgroup", root / "proc")
    _write(machine.cgroup_root / "cgroup.controllers", "cpu memory pids\n")
    _write(machine.cgroup_root / "cgroup.subtree_control", "cpu memory pids\n")
    pod = machine.cgroup_root / POD.format(uid=UID)
    for directory in (pod, pod.parent, pod.parent.parent):
        _cgroup(directory, 600 * MIB, "max")
    machine.container(1, anon_mib=500)
    machine.container(2, anon_mib=50, limit_mib=256)
    machine.available(700)
    _write(machine.proc_root / "uptime", "86400.00 170000.00\n")
    _write(machine.proc_root / "vmstat", "pgscan_direct 0\npgscan_kswapd 0\n")
    stall = "avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
    _write(machine.proc_root / "pressure/memory", "some " + stall.format(1000) + "full " + stall.format(500))
    return machine


def _cgroup(directory: Path, current: int, limit: str) -> None:
    files = {
        "memory.current": f"{current}\n",
        "memory.stat": "anon 0\nfile 0\n",
        "memory.max": f"{limit}\n",
        "memory.high": "max\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
        "memory.events.local": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
        "memory.reclaim": "",
        "memory.peak": f"{current}\n",
        "cgroup.procs": "",
        "cgroup.events": "populated 1\nfrozen 0\n",
        "cgroup.freeze": "0\n",
        "cgroup.kill": "",
        "cpu.stat": "usage_usec 5000000\n",
    }
    for name, text in files.items():
        _write(directory / name, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
