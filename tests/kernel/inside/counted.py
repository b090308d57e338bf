"""memguard with a counter: how many memory.stat files are read between a wake-up and the deed (`-m inside.counted`)."""

from __future__ import annotations

import os
import sys

from memguard.__main__ import main
from memguard.guard import loop
from memguard.guard.report import Trigger

_pread = os.pread
_reads = 0


def _counting(fd: int, size: int, offset: int) -> bytes:
    global _reads  # noqa: PLW0603 - one counter of one process
    if offset == 0 and os.readlink(f"/proc/self/fd/{fd}").endswith("/memory.stat"):
        _reads += 1
    return _pread(fd, size, offset)


class Counted(Trigger):
    """A trigger that tells, beside the times, how many files were read since it woke."""

    def __init__(self, source: str, monotonic: object) -> None:
        super().__init__(source, monotonic)  # type: ignore[arg-type]
        self.before = _reads

    def mark(self, step: str) -> None:
        """The step's time, and the count so far as a step of its own."""
        super().mark(step)
        self.marks.append((f"statReads after {step}", float(_reads - self.before)))


os.pread = _counting
loop.Trigger = Counted  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main())
