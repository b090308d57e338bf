"""memguard with a counter: how many memory.stat files are read between a wake-up and the deed (`-m inside.counted`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from memguard.__main__ import main
from memguard.guard.trigger import Trigger

_pread = os.pread
_wake: Callable[..., None] = Trigger.__init__
_mark: Callable[..., None] = Trigger.mark
_reads = [0]


def _counting(fd: int, size: int, offset: int) -> bytes:
    if offset == 0 and os.readlink(f"/proc/self/fd/{fd}").endswith("/memory.stat"):
        _reads[0] += 1
    return _pread(fd, size, offset)


def _woken(self: Trigger, *facts: object) -> None:
    _reads[0] = 0
    _wake(self, *facts)


def _marked(self: Trigger, step: str) -> None:
    """The count so far is told as a step of its own."""
    _mark(self, step)
    self.marks.append((f"statReads after {step}", float(_reads[0])))


os.pread = _counting
Trigger.__init__ = _woken  # type: ignore[assignment, method-assign]
Trigger.mark = _marked  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
