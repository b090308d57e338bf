"""kill -9 of the guard at every kind of moment of an incident: what of ours is left behind, and for how long?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inside.stage import (
    Stage,
    frozen,
    held,
    kill_dead,
    pages_may_move,
    populated,
    rang,
    stage,
    tell,
    until,
    watch_closely,
)

LIMIT_MIB = 160
OFFSETS_SECONDS = (0.05, 0.2, 0.45, 0.7)


def at_limit(moment: str, rate: int, due: Callable[[Path], bool]) -> dict[str, Any]:
    """The guard of a container's own limit dies when `due`."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=LIMIT_MIB)
        return _death(scene, hog, moment, rate, due, reserve_mib=100)


def at_node(moment: str, due: Callable[[Path], bool]) -> dict[str, Any]:
    """The guard of a node dies when `due`; a reserve of half of it is reached soon."""
    with stage() as scene:
        hog = scene.container("hog")
        return _death(scene, hog, moment, 0, due, reserve_mib=500)


def _death(
    scene: Stage, hog: Path, moment: str, rate: int, due: Callable[[Path], bool], *, reserve_mib: int
) -> dict[str, Any]:
    guard = scene.guard(reserve_mib=reserve_mib)
    scene.load(hog, "hog", f"rate={rate}", "max=2000")
    hit = until(lambda: due(hog), 15)
    at_death, moved = held(), pages_may_move()
    kill_dead(guard.child.pid)
    died = time.monotonic()
    clean = until(lambda: not held() and pages_may_move(), 1.0, step=0.001)
    after = time.monotonic() - died
    return {
        "moment": moment, "hit": hit, "heldAtDeath": at_death, "movedBefore": moved, "clean": clean, "seconds": after,
        "held": held(),
    }  # fmt: skip


def later(seconds: float) -> Callable[[Path], bool]:
    """Due that long after the first look at a living hog."""
    begun: list[float] = []

    def due(hog: Path) -> bool:
        if populated(hog) and not begun:
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] >= seconds

    return due


def main() -> None:
    """All moments, one after the other."""
    watch_closely()
    found = [
        at_limit("line armed", 1, later(0.5)),
        at_limit("line rung", 0, rang),
        at_node("hog frozen", frozen),
        at_node("hog killed", lambda hog: not populated(hog) and rose(hog)),
    ]
    found += [at_limit(f"{seconds} s into the growth", 200, later(seconds)) for seconds in OFFSETS_SECONDS]
    tell(found)


def rose(hog: Path) -> bool:
    """Had it grown at all?"""
    return int((hog / "memory.peak").read_text()) > 16 << 20


if __name__ == "__main__":
    main()
