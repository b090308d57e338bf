"""The guard's voice: one JSON line per thing that happened, written after it was done, and never waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from memguard.core.model import Record
from memguard.core.spelling import encode

#: Lines that wait for a slow reader; beyond that the oldest are dropped and counted.
QUEUE_LINES = 256
_END = b"\n"


class Journal:
    """Writes lines to a descriptor without blocking; what nobody takes is kept for a while, then dropped."""

    def __init__(self, fd: int, now: Callable[[], datetime]) -> None:
        self._fd = fd
        self._now = now
        self._queue: list[bytes] = []
        self._begun = False
        self._encoder = msgspec.json.Encoder()
        self.dropped_lines = 0
        os.set_blocking(fd, False)

    def write(self, kind: str, record: Record | None = None, **facts: Any) -> None:
        """One line: its kind, the time, the record's fields that are known, and the facts in the order given."""
        fields = {} if record is None else msgspec.to_builtins(record)
        known = {name: value for name, value in fields.items() if value is not None}
        line = {"kind": kind, "at": self._now(), **known, **facts}
        if self.dropped_lines:
            line["droppedLines"] = self.dropped_lines
        self._queue.append(encode(line, self._encoder.encode) + _END)
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
                self._drop()
                return
            rest = self._queue[0][written:]
            self._begun = bool(rest)
            self._queue[:1] = [rest] if rest else []

    def _drop(self) -> None:
        """Nobody takes them. What was begun is ended first, as soon as that can be had: no line is half of another."""
        self.dropped_lines += sum(line != _END for line in self._queue)
        self._queue[:] = [_END] if self._begun or self._queue[0] == _END else []
        self._begun = False
