"""memguard on a scale: what the allocator, the collector and the pager do between a wake-up and the deed.

`-m inside.weighed`. allocations.so counts every request to Python's allocators; what its free lists give (a part of
the tuples, floats and frames) is no request. The decision's timing gets one more entry for each counter.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable

from memguard.__main__ import main
from memguard.guard.trigger import Trigger

_library = ctypes.PyDLL("./allocations.so")
_requests = (ctypes.c_ulong * 2)()
_wake: Callable[..., None] = Trigger.__init__
_mark: Callable[..., None] = Trigger.mark
_at_wake: dict[str, int] = {}


def _counters() -> dict[str, int]:
    """What was counted so far; the requests first, since all else makes some."""
    _library.told(_requests)
    requests, requested = _requests
    blocks, usage = sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF)
    return {
        "allocations": requests,
        "allocatedBytes": requested,
        "blocks": blocks,
        "collections": sum(generation["collections"] for generation in gc.get_stats()),
        "minorFaults": usage.ru_minflt,
        "majorFaults": usage.ru_majflt,
    }


def _woken(self: Trigger, *facts: object) -> None:
    """A first reading is the scale's own weight, which is taken off."""
    before = _counters()
    now = _counters()
    _at_wake.update({name: 2 * now[name] - before[name] for name in now})
    _wake(self, *facts)


def _marked(self: Trigger, step: str) -> None:
    if step != "acted":  # a reading here would weigh in the next
        _mark(self, step)
        return
    now = _counters()
    _mark(self, step)
    self.marks += [(name, float(now[name] - _at_wake[name])) for name in now]


_library.install()
Trigger.__init__ = _woken  # type: ignore[assignment, method-assign]
Trigger.mark = _marked  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
