"""What guards cost while nothing happens: CPU, wake-ups and memory of each, beside the same idle containers.

python3 -m inside.idle 10,250 memguard nohang
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guest import cgroups, node, spec
from guest.daemons import MEMGUARD_READY, Daemon, line_words

import memguard
from inside.crowd import arguments, counts, populate
from inside.stage import LOADS, MIB, ROOT, RUN, Stage, stage, tell

SECONDS, WARM_SECONDS = 60.0, 5.0
LINE_BYTES = 100 * MIB
_CONTAINERS = re.compile(r'"containers": ?(\d+)')


@contextmanager
def prepared(kinds: list[str]) -> Iterator[dict[str, Daemon]]:
    """Daemons by kind, none of them started. systemd makes kubepods.slice, so this comes before the containers."""
    words = line_words(LINE_BYTES, node.meminfo()["MemFree"])
    daemons = {kind: Daemon(_guard(kind), ROOT / "guard", _run(kind), _words(kind, words), Path(LOADS))
               for kind in kinds}  # fmt: skip
    try:
        for daemon in daemons.values():
            daemon.prepare()
        yield daemons
    finally:
        for daemon in daemons.values():
            daemon.clear()


def _guard(kind: str) -> spec.Guard:
    if kind != "memguard":
        return spec.Guard(kind=kind)  # type: ignore[arg-type]
    configured = ("guard", "--standalone", "--config", "@RUN@/guard.toml")
    return spec.Guard(kind="memguard", argv=configured, ready=MEMGUARD_READY)


def _run(kind: str) -> Path:
    found = RUN / kind
    found.mkdir(parents=True, exist_ok=True)
    return found


def _words(kind: str, words: dict[str, str]) -> dict[str, str]:
    return {"@RUN@": str(_run(kind)), "@CGROUP@": str(ROOT), **words}


def watched(daemon: Daemon, scene: Stage) -> dict[str, Any]:
    """A minute of one daemon."""
    if daemon.guard.kind == "memguard":
        (daemon.run / "guard.toml").write_text(scene.write_config(reserve_mib=LINE_BYTES // MIB).read_text())
    daemon.start()
    time.sleep(WARM_SECONDS)
    before, woken = daemon.cost(), wake_ups(daemon.home)
    time.sleep(SECONDS)
    after = daemon.cost()
    found = {
        "guard": daemon.guard.kind,
        "alive": daemon.alive,
        "nodeMib": node.meminfo()["MemTotal"] // MIB,
        "cpuMs": (after.cpu_us - before.cpu_us) / 1000,
        "wakeUps": wake_ups(daemon.home) - woken,
        "rssKib": after.rss_kib,
        "pssKib": pss_kib(daemon.home),
        "descriptors": after.descriptors,
        "cgroupBytes": after.current_bytes,
    }
    daemon.stop()
    cgroups.remove(daemon.cgroup)
    return found


def wake_ups(home: Path) -> int:
    """How often any thread of any process went to sleep so far: as often it was woken, but for the last time."""
    tasks = (task for pid in _pids(home) for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(_number(task / "status", "voluntary_ctxt_switches:") for task in tasks)


def pss_kib(home: Path) -> int:
    """Resident memory of all processes, what they share counted once among its users."""
    return sum(_number(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in _pids(home))


def _pids(home: Path) -> list[int]:
    return [pid for directory in cgroups.tree(home) for pid in cgroups.pids(directory)]


def _number(path: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))


def beside(count: int, kinds: list[str]) -> Iterator[dict[str, Any]]:
    """All of them, one after the other, beside so many containers."""
    with prepared(kinds) as daemons, stage() as scene:
        populate(scene, count)
        for daemon in daemons.values():
            found = watched(daemon, scene)
            said = _CONTAINERS.search(daemon.log.read_text(errors="replace"))
            yield {**found, "containers": int(said[1]) if said else count}


def compile_all() -> None:
    """As in the image: whoever compiles first keeps the memory that it took, 0.7 MiB."""
    place = Path(memguard.__file__).parents[1]
    subprocess.run((sys.executable, "-m", "compileall", "-q", str(place)), check=True)


def main() -> None:
    """The counts, then the guards."""
    how_many, *kinds = arguments()
    compile_all()
    tell([found for count in counts(how_many) for found in beside(count, kinds)])


if __name__ == "__main__":
    main()
