"""The log: one JSON line per thing that happened, of the guard's shape."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from memguard.core.spelling import encode


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


#: The same trouble is not told again for so long.
REPEAT_SECONDS = 60.0


class Journal:
    """Writes whole lines to a descriptor, from any thread. Who reads them is waited for."""

    def __init__(
        self, fd: int, now: Callable[[], datetime] = utc_now, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fd = fd
        self._now, self._clock = now, clock
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def write(self, kind: str, **facts: Any) -> None:
        """One line: its kind, the time, and the facts in the order given."""
        line = encode({"kind": kind, "at": self._now(), **facts}) + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._fd, line) :]

    def trouble(self, reason: str) -> None:
        """Something could not be read or written; told now and then, and we go on."""
        now = self._clock()
        with self._lock:
            self._told = {what: at for what, at in self._told.items() if now - at < REPEAT_SECONDS}
            if self._told.setdefault(reason, now) != now:
                return
        self.write("trouble", reason=reason)
