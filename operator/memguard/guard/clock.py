"""Time for the guard: one clock that never jumps, and the wall time that it started from."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Monotonic seconds, and wall time derived from them: a set clock does not bend a rate."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._wall = datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever increase."""
        return time.monotonic()

    def wall(self) -> float:
        """The machine's own time of day, in seconds since the epoch: for what another machine dated."""
        return time.time()

    def today(self) -> datetime:
        """The same as a date: for what others compare with their own clocks."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def now(self) -> datetime:
        """UTC as of the start plus the time that passed since."""
        return self._wall + timedelta(seconds=time.monotonic() - self._start)
