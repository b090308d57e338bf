"""An incident as a peer sees it: complete readings, without those that died by its hand, and what daemons remember.

A peer reads the machine itself, so its traces lack nothing (`tell(..., complete=True)`), unlike those for memguard.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from bench.victims.corpus import Truth
from bench.victims.verdict import Decision, victims_of

#: oomd's default interval; its mean of sizes decays by a quarter each.
OOMD_TICK_SECONDS = 5.0
#: Over so many snapshots growth is measured that goes on after the trace.
GROWTH_SNAPSHOTS = 20

Record = dict[str, Any]
#: The dead, and by which action each died.
Dead = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Beside:
    """What peers read and a snapshot does not hold, where it was recorded; by container id.

    `largest`: bytes of the process that the kernel would take; `scanned`: pages so far; the rest are seconds of `full`.
    """

    anon_bytes: int
    largest: Mapping[str, int]
    scanned: Mapping[str, int]
    pods_full: float
    system_full: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What daemons remember. `sizes`: oomd's means, bytes; stalls: the kernel's averages of `full`, 0..1.

    Not recorded: the node's stalls stand in for all pods', the system's own are none, and page scans are not known.
    `system_rate`: seconds per second between the last two looks.
    """

    sizes: Mapping[str, float]
    stalls: Mapping[str, tuple[float, float]]
    node_stall: float
    scanned_at: float
    pods_stall: float
    system_stall: float = 0.0
    system_rate: float = 0.0
    scanned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """One moment: the living, and the node's memory with what the dead gave back.

    `size` and `left`: of the domain in trouble, its bytes and the share that is available. `largest_process`: the share
    of a container's memory that its biggest process holds: recorded beside the snapshot, or from the truth.
    `anon_bytes`: the node's AnonPages, where they were recorded.
    """

    seconds: float
    node: Record
    containers: list[Record]
    cgroups: list[Record]
    domain: str
    size: int
    left: float
    largest_process: Mapping[str, float]
    remembers: Memory
    bereaved: bool = False
    anon_bytes: int | None = None


def footprint(c: Record) -> int:
    """Anonymous and shared memory, resident or swapped."""
    memory = c["memory"]
    return int(memory["anonBytes"] + memory["shmemBytes"] + memory["swapBytes"])


def local(c: Record, domain: str) -> float:
    """The share of a container's memory that lives in the domain: some on a NUMA node, all or none under a limit."""
    kind, _, name = domain.partition("/")
    match kind:
        case "numa":
            return float(c["numaBytes"][name] / max(c["memory"]["currentBytes"], 1))
        case "container":
            return float(c["id"] == name)
        case "pod":
            return float(c["cgroup"].startswith(f"{name}/"))
        case _:
            return 1.0


class Trace:
    """All moments of one incident."""

    def __init__(self, lines: list[bytes], truth: Truth, beside: Sequence[Beside] = ()) -> None:
        self.truth, self.beside = truth, beside
        self.snapshots: list[Record] = [_bare(msgspec.json.decode(line)) for line in lines]
        self.at = [datetime.fromisoformat(snapshot["takenAt"]) for snapshot in self.snapshots]

    @cached_property
    def memories(self) -> list[Memory]:
        """What is remembered at each snapshot."""
        return list(_remembered(self.snapshots, [self.seconds(n) for n in range(len(self.snapshots))], self.beside))

    def seconds(self, index: int) -> float:
        """Since the trace began."""
        return (self.at[index] - self.at[0]).total_seconds()

    @cached_property
    def _growth(self) -> dict[str, int]:
        """Who grew over the last snapshots, and by how much, in bytes."""
        before = {c["id"]: footprint(c) for c in self.snapshots[-GROWTH_SNAPSHOTS:][0]["containers"]}
        now = {c["id"]: footprint(c) for c in self.snapshots[-1]["containers"]}
        return {who: held - before.get(who, 0) for who, held in now.items() if held > before.get(who, 0)}

    def refilled(self, dead: Dead) -> dict[str, int]:
        """Bytes by which the living have grown when all is full again: what the dead held goes to those who grew."""
        growing = {who: by for who, by in self._growth.items() if who not in dead}
        gone = (c for c in self.snapshots[-1]["containers"] if c["id"] in dead)
        back = sum(freed(c, dead[c["id"]], "node") for c in gone)
        whole = sum(growing.values())
        return {who: int(back * by / whole) for who, by in growing.items()}

    def after(self, dead: Dead) -> View:
        """What a peer sees when the story goes on: all is as at the end, and as full."""
        more, last = self.refilled(dead), self.view(len(self.snapshots) - 1, {})
        return replace(
            last, containers=[_grown(c, more.get(c["id"], 0)) for c in last.containers if c["id"] not in dead]
        )

    def view(self, index: int, dead: Dead) -> View:
        """What a peer sees at one snapshot."""
        snapshot = self.snapshots[index]
        memory = dict(snapshot["node"]["memory"])
        gone = [c for c in snapshot["containers"] if c["id"] in dead]
        back = sum(freed(c, dead[c["id"]], "node") for c in gone)
        memory["availableBytes"] += back
        memory["freeBytes"] += back
        memory["swapFreeBytes"] += sum(c["memory"]["swapBytes"] for c in gone)
        return View(
            seconds=self.seconds(index),
            node={**snapshot["node"], "memory": memory},
            containers=[c for c in snapshot["containers"] if c["id"] not in dead],
            cgroups=snapshot["cgroups"],
            domain=self.truth.domain,
            size=size(snapshot, self.truth),
            left=remaining(snapshot, dead, self.truth),
            largest_process=self._largest(index),
            remembers=self.memories[index],
            bereaved=bool(dead),
            anon_bytes=self._anon(index, dead),
        )

    def _largest(self, index: int) -> Mapping[str, float]:
        if not self.beside:
            return self.truth.largest_process_share
        held = {c["id"]: max(footprint(c), 1) for c in self.snapshots[index]["containers"]}
        return {who: size / held[who] for who, size in self.beside[index].largest.items()}

    def _anon(self, index: int, dead: Dead) -> int | None:
        if not self.beside:
            return None
        gone = (c["memory"]["anonBytes"] for c in self.snapshots[index]["containers"] if c["id"] in dead)
        return self.beside[index].anon_bytes - sum(gone)

    def freed_ratio(self, decision: Decision) -> float:
        """What a decision's victims gave back at its moment, as a share of the domain."""
        index = self.index(decision.taken_at)
        who = set(victims_of(self.truth, decision))
        inside = (c for c in self.snapshots[index]["containers"] if c["id"] in who)
        return sum(freed(c, decision.action, self.truth.domain) for c in inside) / size(
            self.snapshots[index], self.truth
        )

    def index(self, moment: datetime) -> int:
        """The last snapshot at or before a moment."""
        return max((n for n, at in enumerate(self.at) if at <= moment), default=0)


def _grown(c: Record, by: int) -> Record:
    memory = c["memory"]
    grown = {"anonBytes": memory["anonBytes"] + by, "currentBytes": memory["currentBytes"] + by}
    return {**c, "memory": {**memory, **grown}} if by else c


def _bare(line: Record) -> Record:
    """`memguard record` wraps each snapshot."""
    found: Record = line.get("snapshot", line)
    return found


def _remembered(snapshots: list[Record], seconds: list[float], beside: Sequence[Beside]) -> Iterator[Memory]:
    """Daemons that have run for long know the sizes from before: their means begin at the first reading."""
    sizes: dict[str, float] = {}
    stalls: dict[str, tuple[float, float]] = {}
    node_stall, ticked, scanned_at, before, then = 0.0, -math.inf, -math.inf, snapshots[0], seconds[0]
    slices = list(_slices(seconds, beside)) if beside else None
    for index, (snapshot, now) in enumerate(zip(snapshots, seconds, strict=True)):
        passed = now - then
        was = {c["id"]: _full(c) for c in before["containers"]}
        shares = {c["id"]: _share(_full(c) - was.get(c["id"], _full(c)), passed) for c in snapshot["containers"]}
        stalls = {who: _averaged(stalls.get(who, (0.0, 0.0)), share, passed) for who, share in shares.items()}
        node_stall = _average(node_stall, _share(_full(snapshot["node"]) - _full(before["node"]), passed), passed, 10)
        if _scanned(snapshot) > _scanned(before):
            scanned_at = now
        yield Memory(sizes, stalls, node_stall, scanned_at, *(slices[index] if slices else (node_stall,)))
        if now - ticked >= OOMD_TICK_SECONDS:
            ticked, current = now, {c["id"]: c["memory"]["currentBytes"] for c in snapshot["containers"]}
            sizes = {who: 0.75 * sizes.get(who, held) + 0.25 * held for who, held in current.items()}
        before, then = snapshot, now


#: systemd-oomd compares page scans with those of its last look.
SCAN_SECONDS = 1.0


def _slices(seconds: list[float], beside: Sequence[Beside]) -> Iterator[tuple[float, float, float, Mapping[str, int]]]:
    """At each snapshot: how all pods and the system's own slice stall, and the pages scanned since a second ago."""
    pods, system, before, then = 0.0, 0.0, beside[0], seconds[0]
    for row, now in zip(beside, seconds, strict=True):
        passed = now - then
        rate = _share(row.system_full - before.system_full, passed)
        pods = _average(pods, _share(row.pods_full - before.pods_full, passed), passed, 10)
        system = _average(system, rate, passed, 10)
        ago = max((n for n, at in enumerate(seconds) if at <= now - SCAN_SECONDS), default=0)
        yield pods, system, rate, {who: pages - beside[ago].scanned.get(who, 0) for who, pages in row.scanned.items()}
        before, then = row, now


def _full(record: Record) -> float:
    return float(record["pressure"]["fullTotalSeconds"])


def _scanned(snapshot: Record) -> int:
    return int(snapshot["vmstat"]["pgscanDirect"] + snapshot["vmstat"]["pgscanKswapd"])


def _share(stalled: float, passed: float) -> float:
    return min(max(stalled / passed, 0.0), 1.0) if passed > 0 else 0.0


def _averaged(before: tuple[float, float], share: float, passed: float) -> tuple[float, float]:
    return _average(before[0], share, passed, 10), _average(before[1], share, passed, 60)


def _average(before: float, share: float, passed: float, window: float) -> float:
    """The kernel's exponential average (kernel/sched/psi.c), without its steps of 2 s: to the daemons' credit."""
    return share + (before - share) * math.exp(-passed / window)


# -- the books ---------------------------------------------------------------------------------------------------
def size(snapshot: Record, truth: Truth) -> int:
    """The domain's bytes."""
    kind, _, name = truth.domain.partition("/")
    if kind == "numa":
        return int(snapshot["node"]["numa"][int(name)]["totalBytes"])
    if kind == "container":
        return int(_container(snapshot, name)["limitBytes"])
    if kind == "node":
        return int(snapshot["node"]["memory"]["totalBytes"])
    return limit(snapshot["cgroups"], snapshot["node"], name)


def limit(cgroups: Sequence[Record], node: Record, path: str = "") -> int:
    """memory.max of a pod's slice, or of kubepods without a path; the node's memory where there is none."""
    found = (c["maxBytes"] for c in cgroups if (c["path"] == path if path else c["kind"] == "kubepods"))
    return int(next(found, None) or node["memory"]["totalBytes"])


def _container(snapshot: Record, who: str) -> Record:
    return next(c for c in snapshot["containers"] if c["id"] == who)


def remaining(snapshot: Record, dead: Dead, truth: Truth) -> float:
    """The share of the domain that is available, the dead's memory given back."""
    returned = sum(freed(c, dead[c["id"]], truth.domain) for c in snapshot["containers"] if c["id"] in dead)
    return (_available(snapshot, truth) + returned) / size(snapshot, truth)


def _available(snapshot: Record, truth: Truth) -> float:
    kind, _, name = truth.domain.partition("/")
    if kind == "node":
        return float(snapshot["node"]["memory"]["availableBytes"])
    if kind == "container":
        return size(snapshot, truth) - _unreclaimable(_container(snapshot, name))
    if kind == "numa":
        cache = sum(
            local(c, truth.domain) * (c["memory"]["fileBytes"] - c["memory"]["shmemBytes"])
            for c in snapshot["containers"]
        )
        return float(snapshot["node"]["numa"][int(name)]["freeBytes"] + 0.9 * cache)
    slices = snapshot["cgroups"]
    used = next(c["unreclaimableBytes"] for c in slices if (c["path"] == name if name else c["kind"] == "kubepods"))
    return float(size(snapshot, truth) - used)


def _unreclaimable(c: Record) -> float:
    memory = c["memory"]
    return float(memory["anonBytes"] + memory["shmemBytes"] + memory["kernelBytes"] - memory["slabReclaimableBytes"])


def freed(c: Record, action: str, domain: str) -> float:
    """A kill frees no file in an emptyDir; only what lives in the domain counts."""
    memory = c["memory"]
    volumes = [] if action == "evict" else c.get("memoryVolumes") or []
    kept = sum(memory["shmemBytes"] if (held := volume["bytes"]) is None else held for volume in volumes)
    return float((memory["anonBytes"] + memory["shmemBytes"] - kept + memory["kernelBytes"]) * local(c, domain))
