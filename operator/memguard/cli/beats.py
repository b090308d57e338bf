"""Doing something again and again in time, until it is enough or a signal says so."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

#: What ends it; blocked meanwhile, so that what is being read or written is finished first.
ENDS = frozenset({signal.SIGINT, signal.SIGTERM})


def beats(interval_seconds: float, count: int | None = None, duration_seconds: float | None = None) -> Iterator[int]:
    """0, 1, 2 ... in time, until the count, the duration or a signal ends it; a late beat is not made up for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    start = due = time.monotonic()
    beat = 0
    try:
        while (count is None or beat < count) and (duration_seconds is None or due - start <= duration_seconds):
            if signal.sigtimedwait(ENDS, max(0.0, due - time.monotonic())) is not None:
                return
            yield beat
            beat += 1
            due = max(due + interval_seconds, time.monotonic())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
