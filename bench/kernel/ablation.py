"""Ablations: the same cells with a part of the guard switched off. What brings nothing is left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.kernel.cells import Spot
from bench.kernel.guards import config, memguard
from bench.kernel.race import Task
from bench.kernel.runs import Clock

RUNS = 3

#: Name -> what is changed of [tuning]. "line only" leaves a tick of half a second: without any there is no guard at
#: the node, which has no line to ring (braking.md: page cache pins kubepods' memory.current).
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "no hold": {"hold": False},
    "not real-time": {"realtime": False},
    "no hold, not real-time": {"hold": False, "realtime": False},
    "tick only": {"lines": False, "psi": False},
    "line only": {"tickFloorSeconds": 0.5, "psi": False},
    "floor 1 ms": {"tickFloorSeconds": 0.001},
    "floor 5 ms": {"tickFloorSeconds": 0.005},
    "pages may move": {"pagesStay": False},
}
SPOTS = (
    Spot(domain="node", shape="one", fill="4k"),
    Spot(domain="node", shape="swarm", fill="4k"),
    Spot(domain="node", shape="in_database", fill="4k"),
    Spot(domain="node", shape="swarm", fill="thp"),
    Spot(domain="container", shape="one", fill="4k"),
    Spot(domain="container", shape="swarm", fill="4k"),
)
#: With several CPUs the hog grows while the guard thinks.
PARALLEL = (Spot(domain="node", shape="swarm", fill="4k"),)


def tasks(runs: int) -> Iterator[Task]:
    """All variants of a run stand beside each other in one boot."""
    for clock, spots in (("virtual", SPOTS), ("real", PARALLEL)):
        for spot in spots:
            for repeat in range(runs):
                yield from (_task(spot, name, repeat, clock) for name in VARIANTS)  # type: ignore[arg-type]


def _task(spot: Spot, name: str, repeat: int, clock: Clock) -> Task:
    guard = memguard(config(tuning=VARIANTS[name]))
    return Task(spot=spot, guard=guard, label="memguard", variant=name, repeat=repeat, clock=clock)
