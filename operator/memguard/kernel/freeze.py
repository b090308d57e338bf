"""The hold: cgroup.freeze stops everything in a cgroup within milliseconds, changes no memory, and is undone by 0.

Measured growth of a 50-process hog from the write on: 0.1 MB, against 9-13 MB under memory.high at its present use.
Only from a SCHED_FIFO guard: with an ordinary one each woken process preempts the writer, and the write alone takes
1.2-1.8 s.
"""

from __future__ import annotations

from memguard.errors import UnfitError
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.record import Hold, Records


class Freeze:
    """A freeze of `cgroup`, recorded in `records` for as long as it lasts."""

    __slots__ = ("_cgroup", "_records", "_slot")

    def __init__(self, cgroup: Cgroup, records: Records) -> None:
        self._cgroup = cgroup
        self._records = records
        self._slot: int | None = None

    @property
    def held(self) -> bool:
        """Is it ours to thaw?"""
        return self._slot is not None

    def hold(self) -> Outcome:
        """Ask for it to stand still; `Cgroup.frozen` tells when it does.

        "foreign" when somebody else froze it: it stands still, but is not ours to thaw. Never our own cgroup.
        """
        if self.held:
            return Outcome("unchanged")
        cgroup = self._cgroup
        requested = cgroup.freeze_requested()
        if requested is None:
            return Outcome("unsupported", "no cgroup.freeze (kernel 5.2)") if cgroup.alive() else VANISHED
        if requested:
            return Outcome("foreign", "frozen by somebody else")
        if not cgroup.path or cgroup.holds_us():
            return Outcome("refused", "that would stop the guard itself")
        self._slot = self._records.note(cgroup, Hold("freeze", cgroup.path, cgroup.inode or 0, 0, 1, 1))
        if self._slot is None:
            return Outcome("refused", "the record of holds is full or cannot be written")
        outcome = put_freeze(cgroup, frozen=True)
        if not outcome.ok:
            self._forget()
        return outcome

    def release(self) -> Outcome:
        """Let it run again. Also after a kill, to clear the record."""
        if not self.held:
            return Outcome("unchanged")
        outcome = put_freeze(self._cgroup, frozen=False)
        if outcome.verdict != "refused":
            self._forget()
        return outcome

    def _forget(self) -> None:
        if self._slot is not None:
            self._records.clear(self._slot, self._cgroup, "freeze")
        self._slot = None


def put_freeze(cgroup: Cgroup, *, frozen: bool) -> Outcome:
    """Write cgroup.freeze, without asking who owns it."""
    try:
        taken = cgroup.write("cgroup.freeze", b"1" if frozen else b"0")
    except UnfitError as error:
        return Outcome("refused", str(error))
    return Outcome("done") if taken else VANISHED
