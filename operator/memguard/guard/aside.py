"""Work that may block, done by a child of ours: the guard itself never waits for a disk, a file system or reclaim."""

from __future__ import annotations

import os
from collections.abc import Callable

from memguard.guard.ears import MESSAGE, Ears


def aside(work: Callable[[], object], ears: Ears, then: Callable[[], None] = lambda: None) -> bool:
    """Fork a child for `work`; `then` is called when it has ended. False when there can be none, or nobody would hear.

    Its pidfd is sure to be had, since a descriptor was: else nobody would bury it, and another would be forked soon.
    """
    try:
        spare = os.pidfd_open(os.getpid())
    except OSError:
        return False
    try:
        pid = os.fork()
    except OSError:
        return False
    finally:
        os.close(spare)
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    fd = os.pidfd_open(pid)

    def ended(_: float) -> None:
        ears.deafen(fd)
        os.waitpid(pid, 0)
        os.close(fd)
        then()

    ears.listen(fd, ended, MESSAGE)
    return True
