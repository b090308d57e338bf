"""SIGTERM at awkward moments: the guard exits 0, at once, and leaves nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inside.stage import frozen, held, pages_may_move, rang, stage, tell, until, watch_closely


def scenario(moment: str, due: Callable[[Path], bool], *, limit_mib: int, rule: str = "") -> dict[str, Any]:
    """One SIGTERM when `due`."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=limit_mib)
        guard = scene.guard(reserve_mib=100 if limit_mib else 500, rule=rule)
        scene.load(hog, "hog", "rate=100", "max=2000", *(("term_ms=3000",) if rule else ()))
        hit = until(lambda: due(hog), 20)
        began = time.monotonic()
        guard.signal(signal.SIGTERM)
        code = guard.stop()
        seconds = time.monotonic() - began
        return {
            "moment": moment, "hit": hit, "exit": code, "seconds": seconds, "held": held(), "mayMove": pages_may_move(),
        }  # fmt: skip


def main() -> None:
    """All moments."""
    watch_closely()
    tell(
        [
            scenario("line armed", lambda _: bool(held()), limit_mib=160),
            scenario("line rung", rang, limit_mib=160),
            scenario("stop signal sent", rang, limit_mib=160, rule="graceSeconds = 5.0"),
            scenario("hog frozen", frozen, limit_mib=0),
        ]
    )


if __name__ == "__main__":
    main()
