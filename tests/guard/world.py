"""A machine as files, with a kernel of a few rules, and a guard on it whose time is the machine's.

The files are those of tests/kernel_files. What plain files cannot do, this kernel does: what grows grows with the
time that the guard sleeps, a freeze holds, memory.high throttles, memory.max and an empty node kill, cgroup.kill
empties, a file whose content changed rings with POLLPRI, and a removed one reads as ENODEV.
"""

from __future__ import annotations

import errno
import json
import os
import re
import select
import signal
import types
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.kernel_files import trees
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.guard.clock import Clock
from memguard.guard.config import Config, parse_config
from memguard.guard.dialogue import Address
from memguard.guard.journal import Journal
from memguard.guard.loop import Guard
from memguard.guard.metrics import Metrics
from memguard.guard.report import Report
from memguard.kernel.files import UNLIMITED
from memguard.kernel.record import Records

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
#: the kernel's own step, by what grows fastest; a guard that sleeps is woken within it
STEP_BYTES, SHORTEST_STEP_SECONDS, LONGEST_STEP_SECONDS = MIB, 0.001, 0.02
#: how much of its growth memory.high leaves a throttled container
THROTTLED = 0.02
#: ... beyond this much over it (mm/memcontrol.c: below 10 ms of penalty nothing sleeps)
UNTHROTTLED = 1.0125
MEMINFO = (Path(trees.__file__).parent / "fixtures" / "meminfo-6.12").read_text()
STALL = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"
EVENTS = "low 0\nhigh {}\nmax 0\noom 0\noom_kill {}\noom_group_kill 0\n"


def uid(number: int) -> str:
    return f"{number:08x}_2222_3333_4444_555555555555"


def pod_path(number: int) -> str:
    return f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid(number)}.slice"


def replaced(text: str, separator: str, **values: int) -> str:
    """A flat keyed file with other values; every key must be there."""
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{re.escape(key)}{separator}\s*\d+", f"{key}{separator} {value}", text)
        assert count == 1, key
    return text


NOTHING = ("kernel", "sock", "shmem", "active_file", "file_dirty", "file_writeback", "slab_reclaimable", "zswapped")
STAT = replaced(trees.STAT, "", anon=-1, file=-2, inactive_file=-3, zswap=0, **dict.fromkeys(NOTHING, 0))


def stat_text(anon: int, cache: int) -> str:
    return (
        STAT.replace("anon -1", f"anon {anon}").replace("file -2", f"file {cache}").replace("file -3", f"file {cache}")
    )


class Load:
    """A container on this machine: what it holds and wants."""

    def __init__(self, world: World, path: str, *, anon: int, cache: int, limit: int | None) -> None:
        self.world, self.path, self.directory = world, path, world.cgroup_root / path
        self.anon, self.cache, self.limit = anon, cache, limit
        #: bytes a second that it wants more
        self.rate = 0.0
        #: does its cache go as its memory comes?
        self.hides = False
        #: does it give its memory back when it dies (not from D state)?
        self.dies = True
        self.alive, self.killed_by = True, ""
        self.throttled_seconds = 0.0
        self.pids: list[int] = []
        #: of `world.pods`, the one that is charged for it
        self.pod: Pod | None = None
        self.high = UNLIMITED
        self._frozen = False
        self._rings = self._oom_kills = 0

    @property
    def current(self) -> int:
        return self.anon + self.cache

    def content(self, name: str) -> str:
        return (self.directory / name).read_text().strip()

    def write(self, name: str, text: str) -> None:
        self.world.write(self.directory / name, text)

    def heed(self) -> None:
        """What the guard did to it while it was awake; nobody else writes."""
        self._frozen, self.high = self.content("cgroup.freeze") == "1", _size(self.content("memory.high"))
        if self.alive and (self.directory / "cgroup.kill").exists() and self.content("cgroup.kill") == "1":
            self.die("cgroup.kill")
        elif self.alive and self.pids and not any(_runs(pid) for pid in self.pids):
            self.die("a signal")

    def grow(self, seconds: float) -> None:
        if not self.alive or not self.rate or self._frozen:
            return
        wanted = int(self.rate * seconds)
        crossed = [at for at in (self, self.pod) if at and at.current + wanted > at.high]
        for at in crossed:
            at.ring(wanted)
        if any(at.current > at.high * UNTHROTTLED for at in crossed):
            self.throttled_seconds += seconds
            wanted = int(wanted * THROTTLED)
        self.anon += wanted
        if self.hides:
            self.cache = max(0, self.cache - wanted)
        if self.limit is not None and self.current > self.limit:
            self.cache = max(0, self.limit - self.anon)
        self.show()
        if self.limit is not None and self.anon > self.limit:
            self.die("the kernel")

    def ring(self, wanted: int) -> None:
        """memory.high was crossed: its cache goes first."""
        self.cache = max(0, self.cache - wanted)
        self._rings += 1
        self.write("memory.events.local", EVENTS.format(self._rings, 0))

    def show(self) -> None:
        self.write("memory.current", f"{self.current}\n")
        self.write("memory.stat", stat_text(self.anon, self.cache))

    def die(self, by: str) -> None:
        self.alive, self.killed_by, self.rate = False, by, 0.0
        if by == "the kernel":
            self._oom_kills += 1
            self.write("memory.events", EVENTS.format(0, self._oom_kills))
        if self.dies:
            self.empty()

    def empty(self) -> None:
        """Its last process is gone, and its memory."""
        self.anon = self.cache = 0
        self.write("cgroup.procs", "")
        self.write("cgroup.events", "populated 0\nfrozen 0\n")
        self.show()

    def vanish(self) -> None:
        """Its cgroup is removed."""
        self.alive = False
        self.anon = self.cache = 0
        remove_cgroup(self.directory)
        self.world.loads.remove(self)
        self.world.forget(self.directory)


class Pod:
    """A pod's slice with a limit: charged for its containers, which its memory.high throttles."""

    def __init__(self, world: World, number: int, limit: int) -> None:
        self.world, self.path, self.limit = world, pod_path(number), limit
        self.directory = world.cgroup(self.path, memory__max=f"{limit}\n", memory__events__local=EVENTS.format(0, 0))
        self.high = UNLIMITED
        self._rings = 0
        self.charge()

    @property
    def loads(self) -> list[Load]:
        return [load for load in self.world.loads if load.pod is self]

    @property
    def current(self) -> int:
        return sum(load.current for load in self.loads)

    def heed(self) -> None:
        """What the guard wrote."""
        self.high = _size((self.directory / "memory.high").read_text().strip())

    def charge(self) -> None:
        """What its containers hold; above its limit their cache goes, and then the largest."""
        anon, cache = (sum(getattr(load, kind) for load in self.loads) for kind in ("anon", "cache"))
        if anon + cache > self.limit:
            for load in self.loads:
                load.cache = 0
                load.show()
            cache = 0
        if anon > self.limit:
            max(self.loads, key=lambda load: (load.alive, load.anon)).die("the kernel")
            anon = self.current
        self.world.write(self.directory / "memory.current", f"{anon + cache}\n")
        self.world.write(self.directory / "memory.stat", stat_text(anon, cache))

    def ring(self, wanted: int) -> None:
        """memory.high was crossed: cache goes first."""
        for load in self.loads:
            load.cache = max(0, load.cache - wanted)
        self._rings += 1
        self.world.write(self.directory / "memory.events.local", EVENTS.format(self._rings, 0))


class World:
    """One machine: 2 GiB without swap, of which the system itself uses 400 MiB."""

    def __init__(self, base: Path, *, total: int = 2048 * MIB, system: int = 400 * MIB) -> None:
        self.cgroup_root, self.proc_root, self.run = base / "cgroup", base / "proc", base / "run"
        self.total, self.system = total, system
        #: as a booted machine's clock: long past 0
        self.time = 1000.0
        self.loads: list[Load] = []
        #: those that are charged for what their containers hold
        self.pods: list[Pod] = []
        #: all that this kernel wrote: whatever else stands in the tree, somebody else wrote
        self.written: dict[Path, str] = {}
        self.kernel_kills = 0
        #: called at every step
        self.hooks: list[Callable[[World], None]] = []
        self.cgroup_root.mkdir(parents=True)
        for name in ("cgroup.controllers", "cgroup.subtree_control"):
            self.write(self.cgroup_root / name, "cpu memory pids\n")
        self.cgroup("kubepods.slice", memory__current="0\n", memory__max="max\n")
        self.cgroup("kubepods.slice/kubepods-burstable.slice", memory__max="max\n")
        self.write(self.proc_root / "uptime", "86400.00 170000.00\n")
        self.stall(0)
        self.vmstat()
        self.meminfo()

    def cgroup(self, path: str, **changes: str | None) -> Path:
        directory = make_cgroup(self.cgroup_root, path, **changes)
        for file in directory.iterdir():
            if file.is_file():
                self.written[file] = file.read_text()
        return directory

    def container(
        self, number: int, *, anon: int, cache: int = 0, limit: int | None = None, pod: int | None = None,
        pod_limit: int | None = None, rate: float = 0.0, path: str | None = None,
    ) -> Load:  # fmt: skip
        """A new container, in a pod of its own unless told otherwise."""
        above = pod_path(number if pod is None else pod)
        if path is None and not (self.cgroup_root / above).exists():
            self.cgroup(above, memory__max="max\n" if pod_limit is None else f"{pod_limit}\n")
        path = path or f"{above}/cri-containerd-{number:064x}.scope"
        load = Load(self, path, anon=anon, cache=cache, limit=limit)
        self.cgroup(
            path,
            memory__current=f"{anon + cache}\n",
            memory__max="max\n" if limit is None else f"{limit}\n",
            memory__stat=stat_text(anon, cache),
            memory__events=EVENTS.format(0, 0),
            memory__events__local=EVENTS.format(0, 0),
        )
        load.rate = rate
        load.pod = next((pod for pod in self.pods if path.startswith(f"{pod.path}/")), None)
        self.loads.append(load)
        self.meminfo()
        return load

    def charged_pod(self, number: int, limit: int) -> Pod:
        """A pod whose own limit counts; before its containers."""
        self.pods.append(Pod(self, number, limit))
        return self.pods[-1]

    @property
    def available(self) -> int:
        return max(0, self.total - self.system - sum(load.anon for load in self.loads))

    def write(self, path: Path, text: str) -> None:
        if path in self.written:
            with path.open("r+") as file:  # never truncated to nothing: ext4 would flush it to the disk on closing
                file.write(text)
                file.truncate()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.written[path] = text

    def forget(self, directory: Path) -> None:
        self.written = {path: text for path, text in self.written.items() if not path.is_relative_to(directory)}

    def meminfo(self) -> None:
        kib = {"MemTotal": self.total, "MemFree": self.available // 4, "MemAvailable": self.available}
        sizes = {key: value // 1024 for key, value in kib.items()}
        self.write(self.proc_root / "meminfo", replaced(MEMINFO, ":", **sizes, SwapTotal=0, SwapFree=0))

    def vmstat(self, scanned: int = 0) -> None:
        counts = f"pgsteal_kswapd 0\npgsteal_direct 0\npgscan_kswapd 0\npgscan_direct {scanned}\n"
        self.write(self.proc_root / "vmstat", f"{counts}oom_kill {self.kernel_kills}\n")

    def stall(self, seconds: float) -> None:
        """So long everything stood still for memory until now, in all."""
        micro = int(seconds * 1e6)
        self.write(self.proc_root / "pressure" / "memory", STALL.format(micro, micro))

    def heed(self) -> None:
        """What somebody else wrote has its effect."""
        before = self.available
        for load in list(self.loads):
            load.heed()
        for pod in self.pods:
            pod.heed()
        if self.available != before:
            self._charge()
            self.meminfo()

    def _charge(self) -> None:
        for pod in self.pods:
            pod.charge()

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.time += seconds
        for hook in self.hooks:
            hook(self)
        before = self.available, self.kernel_kills
        for load in self.loads:
            load.grow(seconds)
        if any(load.rate for load in self.loads):
            self._charge()
        if self.available == 0:
            max(self.loads, key=lambda load: load.anon).die("the kernel")
        self.kernel_kills = sum(load.killed_by == "the kernel" for load in self.loads)
        if (self.available, self.kernel_kills) != before:
            self.meminfo()
            self.vmstat()

    def step_seconds(self) -> float:
        """How long nothing of interest happens."""
        fastest = max((load.rate for load in self.loads), default=0)
        if not fastest:
            return LONGEST_STEP_SECONDS if self.hooks else float("inf")
        return min(LONGEST_STEP_SECONDS, max(SHORTEST_STEP_SECONDS, STEP_BYTES / fastest))

    def foreign_writes(self) -> dict[str, str]:
        """Files that do not hold what this kernel wrote, by their path below the machine."""
        base = self.cgroup_root.parent
        found = {}
        for root in (self.cgroup_root, self.proc_root):
            for path in root.rglob("*"):
                if path.is_file() and not path.is_symlink() and self.written.get(path) != path.read_text():
                    found[str(path.relative_to(base))] = path.read_text()
                found |= {f"{path.relative_to(base)}#{name}": "" for name in os.listxattr(path, follow_symlinks=False)}
        return found


def _size(text: str) -> int:
    return UNLIMITED if text == "max" else int(text)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


class WorldClock(Clock):
    """The machine's time; no two readings are the same."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        self._world.time += 1e-6
        return self._world.time

    def now(self) -> datetime:
        return START + timedelta(seconds=self._world.time)


class WorldPoll:
    """poll(2): real for what is really pollable; for files of the tree it does what kernfs does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._real = select.poll()
        self._seen: dict[int, bytes] = {}

    def register(self, fd: int, mask: int) -> None:
        if mask == select.POLLPRI:
            assert fd >= 0
            self._seen[fd] = os.pread(fd, 4096, 0)
        else:
            self._real.register(fd, mask)

    def unregister(self, fd: int) -> None:
        if fd in self._seen:
            del self._seen[fd]
        else:
            self._real.unregister(fd)

    def poll(self, milliseconds: float) -> list[tuple[int, int]]:
        assert 0 <= milliseconds < float("inf")
        until = self._world.time + milliseconds / 1000
        self._world.heed()
        while True:
            ready = self._real.poll(0) + self._rung()
            left = until - self._world.time
            if ready or left <= 0:
                return ready
            self._world.advance(min(self._world.step_seconds(), left))

    def _rung(self) -> list[tuple[int, int]]:
        found = []
        for fd, seen in self._seen.items():
            try:
                gone = os.fstat(fd).st_nlink == 0
            except OSError:
                found.append((fd, select.POLLNVAL))
                continue
            if gone:  # for ever (braking.md)
                found.append((fd, select.POLLERR | select.POLLPRI))
            elif (content := os.pread(fd, 4096, 0)) != seen:
                self._seen[fd] = content
                found.append((fd, select.POLLERR | select.POLLPRI))
        return found


class Kernfs:
    """pread(2) and pwrite(2) as on kernfs: a removed file is gone, and a file may be read-only."""

    def __init__(self) -> None:
        self.read_only: set[str] = set()
        self._pread, self._pwrite = os.pread, os.pwrite

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        _refuse_removed(fd)
        return self._pread(fd, size, offset)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        _refuse_removed(fd)
        if self.read_only and os.readlink(f"/proc/self/fd/{fd}") in self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return self._pwrite(fd, data, offset)


def _refuse_removed(fd: int) -> None:
    if os.fstat(fd).st_nlink == 0:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


class Duty:
    """A guard at work in a world."""

    def __init__(self, world: World, text: str, *, address: Address | None = None) -> None:
        self.world = world
        self.config = configuration(world, text)
        self.clock = WorldClock(world)
        self.journal = world.run.parent / "journal.jsonl"
        self.records = Records(self.config.run_directory)
        fd = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.metrics = Metrics()
        self.report = Report(
            Journal(fd, self.clock.now), self.metrics, self.config.trace, self.clock.now, self.clock.monotonic
        )
        reader, self.wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.guard = Guard(self.config, self.records, self.report, self.clock, wakeup_fd=reader, address=address)

    def run(self, seconds: float, *, until: Callable[[], object] = lambda: False) -> None:
        """Turns of the loop for so long, or until something is true."""
        end = self.world.time + seconds
        while self.world.time < end and not until():
            self.guard.turn()

    def end(self) -> None:
        """SIGTERM: nothing of it is left behind."""
        self.guard.stop()
        self.guard.run()

    def hangup(self, path: Path) -> None:
        """SIGHUP."""
        self.guard.reload(str(path))
        os.write(self.wakeup, bytes([signal.SIGHUP]))

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [line for line in found if kind in (None, line["kind"])]

    def decisions(self) -> list[dict[str, Any]]:
        return self.lines("decision")


def configuration(world: World, text: str) -> Config:
    """Its own keys first, the tables after them; without PSI (it would be this kernel's that rings)."""
    head = f'cgroupRoot = "{world.cgroup_root}"\nprocRoot = "{world.proc_root}"\nrunDirectory = "{world.run}"\n'
    return parse_config((head + text).encode())


def identity(load: Load, namespace: str, pod: str, name: str = "app", **facts: object) -> str:
    """A [[containers]] table."""
    return named(load.path, namespace, pod, name, **facts)


def named(cgroup: str, namespace: str, pod: str, name: str, **facts: object) -> str:
    """A [[containers]] table for a glob of cgroup paths."""
    known = {"cgroup": cgroup, "namespace": namespace, "pod": pod, "name": name} | facts
    rows = [f"{key} = {json.dumps(value)}" for key, value in known.items()]
    return "\n".join(("[[containers]]", *rows, ""))


def fake_select(world: World) -> types.SimpleNamespace:
    """What the guard's ears need of the module `select`."""
    return types.SimpleNamespace(poll=lambda: WorldPoll(world))


def highs(loads: Iterable[Load]) -> list[str]:
    return [load.content("memory.high") for load in loads]
