"""Waits until the nodes say that they do as they were told; what is written by then stays, whatever can be seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime

from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import Cluster, RefusedError
from memguard.cli.cluster.coverage import guarded_nodes, linux_nodes
from memguard.cli.cluster.pause.paused import Paused, PausedNode
from memguard.cli.cluster.progress import working
from memguard.cli.cluster.stops import Stop, read_stops
from memguard.cli.words import many
from memguard.errors import MemguardError

LOOK_SECONDS = 0.5
#: How a node stands, by its report, what stops it, and the time.
Standing = Callable[[NodeMemory, tuple[Stop, ...], datetime], PausedNode]


def settled(cluster: Cluster, names: Collection[str], seconds: float, standing: Standing, done: str) -> Paused:
    """How these nodes (none named: all) stand once all have heard of it, or when the time is over."""
    try:
        with working("waiting until the nodes say so"):
            return _watched(cluster, names, seconds, standing, done)
    except MemguardError as error:
        unknown = f"whether nodes heed it cannot be watched: {error}"
        return Paused(done=f"{done}: it is written, and no node was seen to confirm it.", nodes=(), unknown=(unknown,))


def _watched(cluster: Cluster, names: Collection[str], seconds: float, standing: Standing, done: str) -> Paused:
    deadline = time.monotonic() + seconds
    stops = read_stops(cluster)
    while True:
        reports = {one.metadata.name: one for one in cluster.reports()}
        found = [standing(one, stops(one), datetime.now(UTC)) for one in _of(reports, names)]
        if all(one.confirmed for one in found) or time.monotonic() >= deadline:
            break
        time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
    mute, unguarded, unknown = _unreported(cluster, names, reports)
    found += [standing(one, stops(one), datetime.now(UTC)) for one in mute]
    sure = sum(one.confirmed for one in found)
    return Paused(
        done=f"{done}: {sure} of {many(len(found), 'node')} confirm it." if found else f"{done}: no node reports.",
        nodes=tuple(found),
        unguarded=unguarded,
        unknown=unknown,
    )


def _of(reports: dict[str, NodeMemory], names: Collection[str]) -> Iterator[NodeMemory]:
    return (one for name, one in reports.items() if not names or name in names)


def _unreported(
    cluster: Cluster, names: Collection[str], reports: Collection[str]
) -> tuple[list[NodeMemory], tuple[str, ...], tuple[str, ...]]:
    """Nodes that say nothing though a guard runs there, those without a guard, and why that is not known."""
    try:
        missing = sorted(one for one in linux_nodes(cluster) - set(reports) if not names or one in names)
        guarded = guarded_nodes(cluster) if missing else frozenset()
    except RefusedError as error:
        return [], (), (f"whether there are guarded nodes without a report: {error}",)
    mute = [NodeMemory(metadata=ObjectMeta(name=one)) for one in missing if one in guarded]
    return mute, tuple(one for one in missing if one not in guarded), ()
