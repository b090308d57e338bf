"""Killing a container whole: facts first (its files vanish with it), then cgroup.kill, then its memory.

cgroup.kill takes the whole subtree at once, racing forks included; `populated 0` in cgroup.events is the only reliable
sign that it is over. Slices and pods are refused: they hold containers, they are none.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from typing import Final, Literal

import msgspec

from memguard.core.model import Events
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import refused
from memguard.kernel.memory_stat import MemoryStat
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.paths import is_boundary
from memguard.kernel.signals import send

# process_mrelease works in the caller's time (59-124 ms for 500 MB) and made no difference for runnable victims: only
# for those that are not gone by themselves shortly after (D state, throttled, niced). Runnable ones: 21-78 ms.
RELEASE_AFTER_SECONDS: Final = 0.1
DEADLINE_SECONDS: Final = 4.0
_RELEASED_PROCESSES: Final = 8
# Later notifications of one file are held back for up to 10 ms by the kernel: look again ourselves meanwhile.
_LOOK_SECONDS: Final = 0.002
# A fork can slip between reading the list and the signals; each round gets those.
_SIGNAL_ROUNDS: Final = 8
# Before 5.14, and in a threaded cgroup. Anything else is a refusal, and a read-only tree means: do no harm.
_NO_CGROUP_KILL: Final = frozenset({errno.ENOENT, errno.EOPNOTSUPP})

Method = Literal["cgroup.kill", "signals"]


class KillFacts(msgspec.Struct, frozen=True):
    """What was to be read before the cgroup goes; None where this kernel does not tell."""

    current_bytes: int
    processes: int
    peak_bytes: int | None = None
    swap_bytes: int | None = None
    stat: MemoryStat | None = None
    events: Events | None = None

    @property
    def unreclaimable_bytes(self) -> int:
        """What only its end frees."""
        return self.current_bytes if self.stat is None else self.stat.unreclaimable(self.current_bytes)


class KillOutcome(msgspec.Struct, frozen=True):
    """What a kill achieved. Times are seconds from the start of the strike.

    `freed_bytes` is memory.current before minus after; where the cgroup itself is gone, what was unreclaimable.
    `populated` None: the cgroup is gone; True: something in it still lives (see `timed_out`).
    """

    strike: Outcome
    method: Method
    facts: KillFacts | None = None
    struck_seconds: float = 0.0
    empty_seconds: float | None = None
    populated: bool | None = None
    after_bytes: int | None = None
    freed_bytes: int = 0
    released_processes: int = 0
    timed_out: bool = False


class Kill:
    """One kill of `cgroup`, in steps, so that a loop can do other things while the memory comes back.

    strike(), then whenever `fileno` rings (POLLPRI) or a few ms have passed: done(); release_memory() once if that
    takes long; finish() for the outcome. Call cgroup.prepare() beforehand: then the strike opens nothing.
    """

    __slots__ = ("_cgroup", "_empty_at", "_facts", "_method", "_released", "_started_at", "_strike", "_struck_at")

    def __init__(self, cgroup: Cgroup, known: KillFacts | None = None) -> None:
        """`known`: facts that were read a moment ago, so that the strike need not read them again."""
        self._cgroup = cgroup
        self._facts = known
        self._method: Method = "cgroup.kill"
        self._strike = Outcome("refused", "not struck yet")
        self._started_at = self._struck_at = 0.0
        self._empty_at: float | None = None
        self._released = 0

    def fileno(self) -> int:
        """cgroup.events, to poll for POLLPRI; -1 when the cgroup is gone."""
        return self._cgroup.file("cgroup.events").fileno()

    def strike(self) -> Outcome:
        """Read the facts and kill."""
        self._started_at = time.monotonic()
        self._cgroup.spend()
        self._strike = self._refusal() or (None if self._facts else self._read_facts()) or self._write()
        self._struck_at = time.monotonic()
        return self._strike

    def done(self) -> bool:
        """Is nothing in it alive any more (or it is gone itself)?"""
        if self._empty_at is None and not self._populated():
            self._empty_at = time.monotonic()
        return self._empty_at is not None

    def release_memory(self) -> int:
        """process_mrelease on those that are still dying; how many of them it emptied.

        A dying process stays in cgroup.procs until its memory is gone: so the list holds exactly the right ones.
        """
        for pid in (self._cgroup.pids() or ())[:_RELEASED_PROCESSES]:
            self._released += _release(pid)
        return self._released

    def finish(self) -> KillOutcome:
        """The outcome as of now."""
        self.done()
        populated, after = self._cgroup.populated(), self._cgroup.current()
        return KillOutcome(
            strike=self._strike,
            method=self._method,
            facts=self._facts,
            struck_seconds=self._struck_at - self._started_at,
            empty_seconds=None if self._empty_at is None else self._empty_at - self._started_at,
            populated=populated,
            after_bytes=after,
            freed_bytes=self._freed(after),
            released_processes=self._released,
            timed_out=self._empty_at is None,
        )

    def _refusal(self) -> Outcome | None:
        if is_boundary(self._cgroup.path):
            return Outcome("refused", f"{self._cgroup.path or 'the root'} holds containers, it is none")
        if self._cgroup.holds_us():
            return Outcome("refused", "that would kill the guard itself")
        return None

    def _read_facts(self) -> Outcome | None:
        cgroup = self._cgroup
        current, pids = cgroup.current(), cgroup.pids()
        if current is None or pids is None:
            return VANISHED
        self._facts = KillFacts(
            current_bytes=current,
            processes=len(pids),
            peak_bytes=cgroup.peak(),
            swap_bytes=cgroup.swap_current(),
            stat=cgroup.stat(),
            events=cgroup.events(),
        )
        return None

    def _write(self) -> Outcome:
        code = self._cgroup.writer("cgroup.kill").attempt(b"1")
        if code == 0:
            return Outcome("done")
        if not self._cgroup.alive():
            return VANISHED
        if code not in _NO_CGROUP_KILL:
            return Outcome("refused", str(refused(f"{self._cgroup}/cgroup.kill", code)))
        self._method = "signals"
        return signal_all(self._cgroup, os.strerror(code))

    def _populated(self) -> bool:
        populated = self._cgroup.populated()
        return self._cgroup.alive() if populated is None else populated

    def _freed(self, after: int | None) -> int:
        if self._facts is None or not self._strike.ok:
            return 0
        if after is None:
            return self._facts.unreclaimable_bytes
        return max(self._facts.current_bytes - after, 0)


def kill(
    cgroup: Cgroup,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    release_after_seconds: float = RELEASE_AFTER_SECONDS,
) -> KillOutcome:
    """Kill it and wait until it is empty, at most `deadline_seconds`."""
    work = Kill(cgroup)
    if work.strike().ok:
        start = time.monotonic()
        if not _wait(work, start + min(release_after_seconds, deadline_seconds)):
            work.release_memory()
            _wait(work, start + deadline_seconds)
    return work.finish()


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


def _wait(work: Kill, until: float) -> bool:
    bell = select.poll()
    fd = work.fileno()
    if fd >= 0:
        bell.register(fd, select.POLLPRI)
    while not work.done():
        if time.monotonic() >= until:
            return False
        bell.poll(_LOOK_SECONDS * 1000)
    return True
