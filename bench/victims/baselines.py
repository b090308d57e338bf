"""The peers' rankings, written plainly from reference/peers.md sections 2 and 3, to prove that the corpus is fair.

All share one trigger (available at most 6 % of the domain in trouble), so that what differs is whom they choose. They
are sanity checks, not the peers themselves: no daemon's own timing, cool-down or grace is modelled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from bench.victims.corpus import Truth
from bench.victims.verdict import Decision

TRIGGER = 0.06
OOMD_TICK_SECONDS = 5.0
CRITICAL_PRIORITY = 2_000_000_000

Record = dict[str, Any]


@dataclass(slots=True)
class View:
    """What a ranker sees: the living containers of one snapshot, the node, and oomd's moving averages."""

    node: Record
    containers: list[Record]
    largest_process: dict[str, float]
    average: dict[str, float] = field(default_factory=dict)


Ranker = Callable[[View], str | None]


def footprint(c: Record) -> int:
    """Anonymous and shared memory, resident or swapped."""
    memory = c["memory"]
    return memory["anonBytes"] + memory["shmemBytes"] + memory["swapBytes"]


def largest(view: View) -> str | None:
    """Whoever holds most."""
    return max(view.containers, key=footprint, default={}).get("id")


def kernel(view: View) -> str | None:
    """oom_badness: the biggest process by rss, swap and page tables, shifted by oom_score_adj (peers.md 2.1)."""
    return _worst(view, lambda c: min(view.largest_process.get(c["id"], 1.0), 1.0))


def kernel_whole(view: View) -> str | None:
    """The same formula as if each container were one process: what the kernel misses by looking at processes."""
    return _worst(view, lambda _c: 1.0)


def _worst(view: View, share: Callable[[Record], float]) -> str | None:
    memory = view.node["memory"]
    pages = memory["totalBytes"] + memory["swapTotalBytes"]

    def badness(c: Record) -> float:
        return share(c) * footprint(c) * 1.002 + c["oomScoreAdj"] * pages / 1000

    able = [c for c in view.containers if c["oomScoreAdj"] != -1000]
    return max(able, key=badness, default={}).get("id")


def oomd(view: View) -> str | None:
    """kill_by_memory_size_or_growth: half of all, else growth of 1.25 among the top fifth, else size (peers.md 2.4)."""

    def size(c: Record) -> float:
        memory = c["memory"]
        protected = min(max(memory.get("minBytes") or 0, memory.get("lowBytes") or 0), memory["currentBytes"])
        return memory["currentBytes"] - protected

    def growing(c: Record) -> float:
        return c["memory"]["currentBytes"] / max(view.average.get(c["id"], 0.0), 1.0)

    ranked = sorted(view.containers, key=size, reverse=True)
    if not ranked:
        return None
    whole = sum(c["memory"]["currentBytes"] for c in ranked)
    if size(ranked[0]) >= 0.5 * whole:
        return ranked[0]["id"]
    top = [c for c in ranked[: max(len(ranked) // 5, 1)] if growing(c) >= 1.25]
    return max(top, key=growing)["id"] if top else ranked[0]["id"]


def kubelet(view: View) -> str | None:
    """Eviction: over its request first, then low priority, then working set over request; whole pods (peers.md 3.1)."""
    pods: dict[str, list[Record]] = {}
    for c in view.containers:
        pods.setdefault(c["podUid"], []).append(c)

    def working_set(c: Record) -> int:
        memory = c["memory"]
        return memory["currentBytes"] - memory.get("inactiveFileBytes", memory["fileBytes"] // 2)

    def order(group: list[Record]) -> tuple[bool, int, int]:
        over = sum(working_set(c) - c["requestBytes"] for c in group)
        return over <= 0, group[0]["priority"], -over

    able = [g for g in pods.values() if g[0]["priority"] < CRITICAL_PRIORITY and not g[0]["static"]]
    group = min(able, key=order, default=[])
    return max(group, key=footprint, default={}).get("id")


RANKERS: dict[str, Ranker] = {
    "largest": largest,
    "kernel": kernel,
    "kernel-whole": kernel_whole,
    "oomd": oomd,
    "kubelet": kubelet,
}
ACTIONS = {"kubelet": "evict"}


def decide(name: str, lines: list[bytes], truth: Truth) -> Iterator[Decision]:
    """Replays a trace: at the trigger a victim dies, what it frees is given back from then on, and so forth."""
    dead: dict[str, str] = {}
    average: dict[str, float] = {}
    ticked: datetime | None = None
    for line in lines:
        snapshot = msgspec.json.decode(line)
        now = datetime.fromisoformat(snapshot["takenAt"])
        living = [c for c in snapshot["containers"] if c["id"] not in dead]
        if remaining(snapshot, dead, truth) <= TRIGGER:
            victim = RANKERS[name](View(snapshot["node"], living, truth.largest_process_share, average))
            if victim is not None:
                action = ACTIONS.get(name, "kill")
                gone = _pod_of(living, victim) if action == "evict" else [victim]
                dead |= dict.fromkeys(gone, action)
                yield Decision(now, victim, action)
        if ticked is None or (now - ticked).total_seconds() >= OOMD_TICK_SECONDS:
            ticked = now
            for c in living:
                current = c["memory"]["currentBytes"]
                average[c["id"]] = 0.75 * average.get(c["id"], current) + 0.25 * current


def _pod_of(living: list[Record], victim: str) -> list[str]:
    uid = next(c["podUid"] for c in living if c["id"] == victim)
    return [c["id"] for c in living if c["podUid"] == uid]


def remaining(snapshot: Record, dead: dict[str, str], truth: Truth) -> float:
    """The share of the domain that is available, the dead's memory given back."""
    memory = snapshot["node"]["memory"]
    freed = sum(_freed(c, dead[c["id"]], truth.domain) for c in snapshot["containers"] if c["id"] in dead)
    if truth.domain == "kubepods":
        limits = snapshot["cgroups"][0]
        return 1 - (limits["unreclaimableBytes"] - freed) / limits["maxBytes"]
    if truth.domain.startswith("numa/"):
        local = snapshot["node"]["numa"][int(truth.domain[5:])]
        cache = sum(_local(c, truth.domain) * (c["memory"]["fileBytes"] - c["memory"]["shmemBytes"])
                    for c in snapshot["containers"])  # fmt: skip
        return (local["freeBytes"] + 0.9 * cache + freed) / local["totalBytes"]
    return (memory["availableBytes"] + freed) / memory["totalBytes"]


def _freed(c: Record, action: str, domain: str) -> float:
    """A kill frees no file in an emptyDir; on a NUMA node only what lives there counts."""
    memory = c["memory"]
    kept = 0 if action == "evict" else sum(volume["bytes"] for volume in c.get("memoryVolumes") or [])
    return (memory["anonBytes"] + memory["shmemBytes"] - kept + memory["kernelBytes"]) * _local(c, domain)


def _local(c: Record, domain: str) -> float:
    if not domain.startswith("numa/"):
        return 1.0
    return c["numaBytes"][domain[5:]] / max(c["memory"]["currentBytes"], 1)
