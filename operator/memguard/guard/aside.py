"""Work that may block, done by a child of ours: the guard itself never waits for a disk, a file system or reclaim."""

from __future__ import annotations

import os
from collections.abc import Callable

from memguard.guard.ears import MESSAGE, Ears


def aside(work: Callable[[], object], ears: Ears, then: Callable[[], None] = lambda: None) -> bool:
    """Fork a child for `work`; `then` is called when it has ended. False when memory is too short to fork."""
    try:
        pid = os.fork()
    except OSError:
        return False
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
