"""An incident as a peer sees it: complete readings, without those that died by its hand, and what daemons remember.

A peer reads the machine itself, so its traces lack nothing (`tell(..., complete=True)`), unlike those for memguard.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
class Memory:
    """What daemons remember. `sizes`: oomd's means, bytes; stalls: the kernel's averages of `full`, 0..1."""

    sizes: Mapping[str, float]
    stalls: Mapping[str, tuple[float, float]]
    node_stall: float
    scanned_at: float


@dataclass(frozen=True, slots=True)
class View:
    """One moment: the living, and the node's memory with what the dead gave back.

    `left`: the share of the domain in trouble that is available. `largest_process`: the share of a container's memory
    that its biggest process holds, from the truth, since no snapshot tells it.
    """

    seconds: float
    node: Record
    containers: list[Record]
    cgroups: list[Record]
    domain: str
    left: float
    largest_process: Mapping[str, float]
    remembers: Memory
    bereaved: bool = False


def footprint(c: Record) -> int:
    """Anonymous and shared memory, resident or swapped."""
    memory = c["memory"]
    return int(memory["anonBytes"] + memory["shmemBytes"] + memory["swapBytes"])


def local(c: Record, domain: str) -> float:
    """The share of a container's memory that lives in the domain: all of it, except on a NUMA node."""
    if not domain.startswith("numa/"):
        return 1.0
    return float(c["numaBytes"][domain[5:]] / max(c["memory"]["currentBytes"], 1))


class Trace:
    """All moments of one incident."""

    def __init__(self, lines: list[bytes], truth: Truth) -> None:
        self.truth = truth
        self.snapshots: list[Record] = [msgspec.json.decode(line) for line in lines]
        self.at = [datetime.fromisoformat(snapshot["takenAt"]) for snapshot in self.snapshots]

    @cached_property
    def memories(self) -> list[Memory]:
        """What is remembered at each snapshot."""
        return list(_remembered(self.snapshots, [self.seconds(n) for n in range(len(self.snapshots))]))

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
            left=remaining(snapshot, dead, self.truth),
            largest_process=self.truth.largest_process_share,
            remembers=self.memories[index],
            bereaved=bool(dead),
        )

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


def _remembered(snapshots: list[Record], seconds: list[float]) -> Iterator[Memory]:
    """Daemons that have run for long know the sizes from before: their means begin at the first reading."""
    sizes: dict[str, float] = {}
    stalls: dict[str, tuple[float, float]] = {}
    node_stall, ticked, scanned_at, before, then = 0.0, -math.inf, -math.inf, snapshots[0], seconds[0]
    for snapshot, now in zip(snapshots, seconds, strict=True):
        passed = now - then
        was = {c["id"]: _full(c) for c in before["containers"]}
        shares = {c["id"]: _share(_full(c) - was.get(c["id"], _full(c)), passed) for c in snapshot["containers"]}
        stalls = {who: _averaged(stalls.get(who, (0.0, 0.0)), share, passed) for who, share in shares.items()}
        node_stall = _average(node_stall, _share(_full(snapshot["node"]) - _full(before["node"]), passed), passed, 10)
        if _scanned(snapshot) > _scanned(before):
            scanned_at = now
        yield Memory(sizes, stalls, node_stall, scanned_at)
        if now - ticked >= OOMD_TICK_SECONDS:
            ticked, current = now, {c["id"]: c["memory"]["currentBytes"] for c in snapshot["containers"]}
            sizes = {who: 0.75 * sizes.get(who, held) + 0.25 * held for who, held in current.items()}
        before, then = snapshot, now


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
    if truth.domain == "kubepods":
        return int(snapshot["cgroups"][0]["maxBytes"])
    if truth.domain.startswith("numa/"):
        return int(snapshot["node"]["numa"][int(truth.domain[5:])]["totalBytes"])
    return int(snapshot["node"]["memory"]["totalBytes"])


def remaining(snapshot: Record, dead: Dead, truth: Truth) -> float:
    """The share of the domain that is available, the dead's memory given back."""
    returned = sum(freed(c, dead[c["id"]], truth.domain) for c in snapshot["containers"] if c["id"] in dead)
    return (_available(snapshot, truth) + returned) / size(snapshot, truth)


def _available(snapshot: Record, truth: Truth) -> float:
    if truth.domain == "kubepods":
        limits = snapshot["cgroups"][0]
        return float(limits["maxBytes"] - limits["unreclaimableBytes"])
    if truth.domain.startswith("numa/"):
        cache = sum(
            local(c, truth.domain) * (c["memory"]["fileBytes"] - c["memory"]["shmemBytes"])
            for c in snapshot["containers"]
        )
        return float(snapshot["node"]["numa"][int(truth.domain[5:])]["freeBytes"] + 0.9 * cache)
    return float(snapshot["node"]["memory"]["availableBytes"])


def freed(c: Record, action: str, domain: str) -> float:
    """A kill frees no file in an emptyDir; on a NUMA node only what lives there counts."""
    memory = c["memory"]
    kept = 0 if action == "evict" else sum(volume["bytes"] for volume in c.get("memoryVolumes") or [])
    return float((memory["anonBytes"] + memory["shmemBytes"] - kept + memory["kernelBytes"]) * local(c, domain))
