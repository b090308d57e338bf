"""The guard's voice: one JSON line per thing that happened, written after it was done, and never waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

#: Lines that wait for a slow reader; beyond that the oldest are dropped and counted.
QUEUE_LINES = 256


class Journal:
    """Writes lines to a descriptor without blocking; what nobody takes is kept for a while, then dropped."""

    def __init__(self, fd: int, now: Callable[[], datetime]) -> None:
        self._fd = fd
        self._now = now
        self._queue: list[bytes] = []
        self._encoder = msgspec.json.Encoder()
        self.dropped_lines = 0
        os.set_blocking(fd, False)

    def write(self, kind: str, **facts: Any) -> None:
        """One line: its kind, the time, and the facts in the order given."""
        line = {"kind": kind, "at": self._now(), **facts}
        if self.dropped_lines:
            line["droppedLines"] = self.dropped_lines
        self._queue.append(self._encoder.encode(line) + b"\n")
        if len(self._queue) > QUEUE_LINES:
            del self._queue[1]  # the first may be written in part
            self.dropped_lines += 1
        self.flush()

    def flush(self) -> None:
        """Write as much as the reader takes now."""
        while self._queue:
            try:
                written = os.write(self._fd, self._queue[0])
            except BlockingIOError:
                return
            except OSError:
                self.dropped_lines += len(self._queue)
                self._queue.clear()
                return
            if written == len(self._queue[0]):
                del self._queue[0]
            else:
                self._queue[0] = self._queue[0][written:]
