"""Plays one script (script.py) in the machine, and records it as `memguard record` does.

The answer, on standard output: the trace's lines, what peers read beside it, when memory was exhausted, and whom the
kernel then killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from guest import cgroups, node
from recorder.watch import ROOT, watch

from memguard.kernel.selfguard import lock_memory

MIB = 1 << 20
RUN = Path(os.environ["MG_RUN"]) / "recorder"
LOADS = os.environ["MG_LOADS"]
SCRIPTS = Path("scripts.json")
#: How long the kernel may take, after that, to kill somebody.
KERNEL_SECONDS = 3.0
DISKS = 5
#: Much more than any machine has: it never stops.
ENDLESS_MIB = 1 << 16

Script = dict[str, Any]


def main(name: str) -> None:
    """One script from a clean machine to a clean machine."""
    script = json.loads(SCRIPTS.read_text())[name]
    Path("/proc/self/oom_score_adj").write_text("-1000")
    node.drop_caches()
    RUN.mkdir(parents=True, exist_ok=True)
    clear(script)  # of one that did not end
    with ExitStack() as over:
        over.enter_context(node.Swap(script["swap"]))
        over.enter_context(tmpfs(RUN / "shm"))
        disks = over.enter_context(null_disks())
        play = over.enter_context(Play(script, disks))
        say("set up")
        play.set_up()
        say("begins")
        lock_memory()
        # Above all that fights for memory; what it starts is ordinary.
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
        print(json.dumps(play.record()))


def say(words: str) -> None:
    print(f"{time.monotonic():.1f} {words}", file=sys.stderr, flush=True)


def clear(script: Script) -> None:
    """Nobody of it lives on."""
    for relative in ("kubepods.slice", *(p["cgroup"] for p in script["places"] if not _in_pod(p))):
        cgroups.remove(ROOT / relative)


class Play:
    """The cgroups and loads of one script; none of them remains."""

    def __init__(self, script: Script, disks: list[Path]) -> None:
        self.script, self.disks = script, disks
        self.children: list[subprocess.Popen[bytes]] = []
        self.waiting: list[tuple[float, Script, Script]] = []  # story loads that have not begun: when, where, what

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        clear(self.script)
        for child in self.children:
            child.kill()
            child.wait()

    def set_up(self) -> None:
        """Everybody holds what he usually holds, and the page cache is full."""
        cgroups.enable(ROOT, cgroups.CONTROLLERS)
        cgroups.make(ROOT, "kubepods.slice/kubepods-besteffort.slice")
        for place in self.script["places"]:
            path = cgroups.make(ROOT, place["cgroup"])
            if _in_pod(place):
                (path / "memory.oom.group").write_text("1")
            _limit(path, place["limit_bytes"])
            _limit(path.parent, place["pod_limit_bytes"])
            for load in place["loads"]:
                if load["growth"] is None:
                    self._start(place, load["role"], *load["options"])
                else:
                    self.waiting.append((load["growth"]["delay"], place, load))
        self._settle()
        self._fill()

    def _start(self, place: Script, role: str, *options: str) -> subprocess.Popen[bytes]:
        if role == "churn":
            options = (f"path={self.disks[place['disk'] or 0]}", *options)
        if role == "shm":
            options = (f"path={RUN / 'shm' / 'file'}", *options)
        enter = ("enter", f"cgroup={ROOT / place['cgroup']}", f"adj={place['oom_score_adj']}", "--")
        child = subprocess.Popen((LOADS, *enter, LOADS, role, *options), stdin=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def _settle(self) -> None:
        before = -1
        for _ in range(100):
            now = cgroups.held_bytes(ROOT / "kubepods.slice")
            if now - before < MIB:
                return
            before = now
            time.sleep(0.3)

    def _fill(self) -> None:
        free = node.meminfo()["MemFree"] * 17 // 16 // MIB
        fillers = [p for p in self.script["places"] if p["fills"]]
        for place in fillers:
            share = f"{free // len(fillers)}"
            self._start(place, "churn", "op=ahead", f"total={share}", f"window={share}").wait(120)

    # -- the story -----------------------------------------------------------------------------------------------
    def record(self) -> dict[str, Any]:
        """The story, with a snapshot at each beat, until it is over or memory is exhausted."""
        room, script = self._room(), self.script
        found = watch(script["interval"], script["seconds"], script["domain"], lambda now: self._go_on(now, room))
        say(f"over after {len(found['lines'])} snapshots: exhausted {found['exhausted']}")
        if script["ends_exhausted"]:
            node.wait_for(lambda: node.vmstat()["oom_kill"] > found["kills"], KERNEL_SECONDS, 0.05)
        return {
            **found,
            "name": script["name"],
            "killed": sorted(self._killed()),
            "roomMib": room // MIB,
            "early": sorted({str(c.args) for c in self.children if c.poll() in {2, 3}}),
        }

    def _room(self) -> int:
        """Bytes that the story can fill; sets kubepods' limit where it is what shall break."""
        memory, domain = node.meminfo(), self.script["domain"]
        if self.script["room"] is not None:
            kubepods = ROOT / "kubepods.slice"
            room = int(memory["MemAvailable"] * self.script["room"])
            (kubepods / "memory.max").write_text(str(_used(kubepods) + room))
            return room
        if domain == "node":
            return memory["MemAvailable"] + memory["SwapFree"]
        place = next(p for p in self.script["places"] if _is(domain, p))
        path, limit = ROOT / place["cgroup"], place["limit_bytes"] or place["pod_limit_bytes"]
        return int(limit - _used(path if place["limit_bytes"] else path.parent))

    def _go_on(self, now: float, room: int) -> None:
        """Starts what is due."""
        for due in [one for one in self.waiting if one[0] <= now]:
            self.waiting.remove(due)
            _, place, load = due
            self._start(place, load["role"], *load["options"], *_sized(load["growth"], room))

    def _killed(self) -> Iterator[str]:
        """The containers that the kernel has taken somebody from."""
        for place in self.script["places"]:
            if cgroups.keyed(ROOT / place["cgroup"] / "memory.events").get("oom_kill", 0):
                yield place["cgroup"]


def _used(cgroup: Path) -> int:
    stat = cgroups.keyed(cgroup / "memory.stat")
    return stat["anon"] + stat["shmem"] + stat["kernel"] - stat["slab_reclaimable"]


def _in_pod(place: Script) -> bool:
    return str(place["cgroup"]).startswith("kubepods")


def _is(domain: str, place: Script) -> bool:
    """Is this the container, or one of the pod, that has the limit?"""
    kind, _, name = domain.partition("/")
    return (name in place["cgroup"]) if kind == "container" else str(place["cgroup"]).startswith(name + "/")


def _sized(growth: Script, room: int) -> tuple[str, ...]:
    """Rate and size by the room that there is."""
    if not growth["share"]:
        return ()
    mine = growth["share"] * room / MIB
    if growth["left"] is None:
        return f"rate={mine / growth['seconds']:.2f}", f"max={ENDLESS_MIB}"
    size = mine - growth["left"] * node.meminfo()["MemTotal"] / MIB
    return f"rate={size / growth['seconds']:.2f}", f"max={size:.0f}"


def _limit(cgroup: Path, size: int | None) -> None:
    if size is not None:
        (cgroup / "memory.max").write_text(str(size))


@contextmanager
def tmpfs(path: Path) -> Iterator[None]:
    """As large as memory."""
    path.mkdir(exist_ok=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=100%", "tmpfs", str(path)), check=True)
    try:
        yield
    finally:
        subprocess.run(("umount", str(path)), check=True)


@contextmanager
def null_disks() -> Iterator[list[Path]]:
    """A disk for each reader, as the machine's own (guest/node.py): what is read is nobody else's page cache."""
    top = Path("/sys/kernel/config")
    if not (top / "nullb").exists():
        subprocess.run(("mount", "-t", "configfs", "configfs", str(top)), check=True)
    made = [top / "nullb" / f"reader{index}" for index in range(DISKS)]
    for disk in made:
        if disk.exists():
            disk.rmdir()
        disk.mkdir()
        for name, value in (("size", 16384), ("irqmode", 2), ("completion_nsec", 100_000), ("power", 1)):
            (disk / name).write_text(str(value))
    paths = [Path("/dev") / _device(disk) for disk in made]
    node.wait_for(lambda: all(path.exists() for path in paths), 5)
    try:
        yield paths
    finally:
        for disk in made:
            disk.rmdir()


def _device(disk: Path) -> str:
    """Newer kernels name it as its directory, older ones by its index."""
    named = Path("/sys/block") / disk.name
    return disk.name if named.exists() else f"nullb{(disk / 'index').read_text().strip()}"


if __name__ == "__main__":
    main(sys.argv[1])
