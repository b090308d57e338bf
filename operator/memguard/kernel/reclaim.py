"""memory.reclaim: one-shot, leaves no state behind (kernel 5.19; admin-guide/cgroup-v2.rst).

It ignores the target's own memory.min and memory.low: never for a protected cgroup. It blocks for as long as reclaim
takes (3 ms per MB of cache, 228 ms for 1 MB of anon): never in the guard's own loop, only in a helper.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import VANISHED_ERRNOS, KernelFile, refused
from memguard.kernel.outcome import VANISHED, Outcome

_FILE: Final = "memory.reclaim"


def reclaim(cgroup: Cgroup, wanted_bytes: int) -> Outcome:
    """Ask for `wanted_bytes`; `value_bytes` is how far memory.current fell.

    "timeout" when the kernel gave up before it had everything (EAGAIN): a partial success.
    """
    before = cgroup.current()
    if before is None:
        return VANISHED
    # A descriptor of its own, blocking: this is not the guard's thread.
    file = KernelFile(_FILE, cgroup.directory, os.O_WRONLY)
    try:
        code = file.attempt(b"%d" % wanted_bytes)
    finally:
        file.close()
    after = cgroup.current()
    if after is None:
        return VANISHED
    return _outcome(cgroup, code, max(before - after, 0))


def _outcome(cgroup: Cgroup, code: int, freed_bytes: int) -> Outcome:
    if code == 0:
        return Outcome("done", value_bytes=freed_bytes)
    if code == errno.EAGAIN:
        return Outcome("timeout", "reclaim gave up before it had everything", freed_bytes)
    if code in VANISHED_ERRNOS:
        return Outcome("unsupported", "no memory.reclaim (kernel 5.19)") if cgroup.alive() else VANISHED
    return Outcome("refused", str(refused(f"{cgroup}/{_FILE}", code)))
