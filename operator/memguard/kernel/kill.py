"""Killing a container whole: cgroup.kill, or signals where there is none, and then its memory.

cgroup.kill takes the whole subtree at once, racing forks included; `populated 0` in cgroup.events is the only reliable
sign that it is over. Slices and pods are refused: they hold containers, they are none.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import Final

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import refused
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.paths import is_boundary
from memguard.kernel.signals import send

_RELEASED_PROCESSES: Final = 8
# A fork can slip between reading the list and the signals; each round gets those.
_SIGNAL_ROUNDS: Final = 8
# Before 5.14, and in a threaded cgroup. Anything else is a refusal, and a read-only tree means: do no harm.
_NO_CGROUP_KILL: Final = frozenset({errno.ENOENT, errno.EOPNOTSUPP})


class Kill:
    """One kill of `cgroup`, in steps, so that a loop can do other things while the memory comes back.

    strike(), then whenever `fileno` rings (POLLPRI) or a few ms have passed: done(); release_memory() once if that
    takes long. Call cgroup.prepare() beforehand: then the strike opens nothing.
    """

    __slots__ = ("_cgroup", "_over")

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup
        self._over = False

    def fileno(self) -> int:
        """cgroup.events, to poll for POLLPRI; -1 when the cgroup is gone."""
        return self._cgroup.file("cgroup.events").fileno()

    def strike(self) -> Outcome:
        """Kill it whole."""
        self._cgroup.spend()
        return self._refusal() or self._write()

    def done(self) -> bool:
        """Is nothing in it alive any more (or it is gone itself)?"""
        self._over = self._over or not self._populated()
        return self._over

    def release_memory(self) -> int:
        """process_mrelease on those that are still dying; how many of them it emptied.

        It works in the caller's time (59-124 ms for 500 MB), and makes a difference only for those that are not gone by
        themselves within 21-78 ms (D state, throttled, niced).

        A dying process stays in cgroup.procs until its memory is gone: so the list holds exactly the right ones.
        """
        return sum(_release(pid) for pid in (self._cgroup.pids() or ())[:_RELEASED_PROCESSES])

    def _refusal(self) -> Outcome | None:
        if is_boundary(self._cgroup.path):
            return Outcome("refused", f"{self._cgroup.path or 'the root'} holds containers, it is none")
        if self._cgroup.holds_us():
            return Outcome("refused", "that would kill the guard itself")
        return None

    def _write(self) -> Outcome:
        code = self._cgroup.writer("cgroup.kill").attempt(b"1")
        if code == 0:
            return Outcome("done")
        if not self._cgroup.alive():
            return VANISHED
        if code not in _NO_CGROUP_KILL:
            return Outcome("refused", str(refused(f"{self._cgroup}/cgroup.kill", code)))
        return signal_all(self._cgroup, os.strerror(code))

    def _populated(self) -> bool:
        populated = self._cgroup.populated()
        return self._cgroup.alive() if populated is None else populated


def signal_all(cgroup: Cgroup, why: str) -> Outcome:
    """SIGKILL every process of it, again until none is left or the rounds are used up."""
    sent = 0
    for _ in range(_SIGNAL_ROUNDS):
        pids = cgroup.pids()
        if not pids:
            break
        sent += sum(send(cgroup, pid, signal.SIGKILL).ok for pid in pids)
    if not sent:
        return Outcome("refused", f"cgroup.kill: {why}; and no process could be signalled")
    return Outcome("done", f"cgroup.kill: {why}; signals were sent")


def _release(pid: int) -> bool:
    from memguard.kernel.syscalls import process_mrelease

    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        process_mrelease(pidfd)
    except OSError as error:
        return error.errno == errno.ESRCH  # nothing was left to free
    finally:
        os.close(pidfd)
    return True
