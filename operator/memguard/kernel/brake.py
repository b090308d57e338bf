"""A line: memory.high of one cgroup, in our hands for a while.

On a small container it brakes, on a large one it only rings (memory.events.local `high`): the hold is the freezer.
Ownership: another writer's value wins, is kept and reported; what was found comes back only
if the file still holds what we wrote.
"""

from __future__ import annotations

import os
from typing import Final

from memguard.errors import UnfitError
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.outcome import VANISHED, Outcome, Verdict
from memguard.kernel.record import Hold, Records

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
# Blanks are stripped by the kernel; they make a shorter value cover a longer one in a plain file, too.
_VALUE_BYTES: Final = 20


class Line:
    """memory.high of `cgroup`, recorded in `records` for as long as it is armed."""

    __slots__ = ("_cgroup", "_records", "_slot", "written_bytes")

    def __init__(self, cgroup: Cgroup, records: Records) -> None:
        self._cgroup = cgroup
        self._records = records
        self._slot: int | None = None
        self.written_bytes: int | None = None

    @property
    def armed(self) -> bool:
        """Does a value of ours stand in the file, as far as we know?"""
        return self.written_bytes is not None

    def arm(self, wanted_bytes: int) -> Outcome:
        """Set or move the line to `wanted_bytes`, page aligned and never below memory.current.

        Below current the write itself would reclaim: 3 ms per MB of cache. A limit that somebody else set is
        "foreign" and left alone. A value that was reset to "max" (systemd's set-property does it) is written again.
        """
        high, current = self._cgroup.high(), self._cgroup.current()
        if high is None or current is None:
            return self._gone()
        taken = self._foreign(high)
        if taken is not None:
            return taken
        value = max(wanted_bytes // _PAGE_BYTES, -(-current // _PAGE_BYTES)) * _PAGE_BYTES
        return Outcome("unchanged", value_bytes=value) if value == high else self._write(value, high)

    def check(self) -> Outcome:
        """Is our value still there? Written again where it was reset; "foreign" where somebody else's is now."""
        if self.written_bytes is None:
            return Outcome("unchanged")
        high = self._cgroup.high()
        if high is None:
            return self._gone()
        if high == self.written_bytes:
            return Outcome("unchanged", value_bytes=high)
        return self.arm(self.written_bytes)

    def lift(self) -> Outcome:
        """Put back "max", which was found, if the file still holds what we wrote."""
        if self.written_bytes is None:
            return Outcome("unchanged")
        high = self._cgroup.high()
        if high is None:
            return self._gone()
        if high != self.written_bytes:
            self._forget()
            changed: Verdict = "unchanged" if high == UNLIMITED else "foreign"
            return Outcome(changed, "memory.high was changed by somebody else", high)
        outcome = self._put(UNLIMITED)
        if outcome.verdict != "refused":
            self._forget()
        return outcome

    def _foreign(self, high: int) -> Outcome | None:
        if high in (self.written_bytes, UNLIMITED):
            return None
        if self.written_bytes is None:
            return Outcome("foreign", "memory.high was set by somebody else", high)
        self._forget()
        return Outcome("foreign", "memory.high was changed by somebody else", high)

    def _write(self, value: int, high: int) -> Outcome:
        before = value if self.written_bytes is None else self.written_bytes
        if not self._record(value, before):
            return Outcome("refused", "the record of holds is full or cannot be written", high)
        outcome = self._put(value)
        if not outcome.ok:
            self._forget()
            return outcome
        reset = self.written_bytes is not None and high != self.written_bytes
        self.written_bytes = value
        return Outcome("done", "memory.high had been reset; written again" if reset else "", value)

    def _record(self, value: int, before: int) -> bool:
        cgroup = self._cgroup
        hold = Hold("line", cgroup.path, cgroup.inode or 0, UNLIMITED, value, before)
        if self._slot is not None:
            return self._records.update(self._slot, cgroup, hold)
        self._slot = self._records.note(cgroup, hold)
        return self._slot is not None

    def _put(self, value: int) -> Outcome:
        return put_high(self._cgroup, value)

    def _gone(self) -> Outcome:
        if self._cgroup.alive():
            return Outcome("unsupported", f"memory.high is {self._cgroup.file('memory.high').absence}")
        self._forget()
        return VANISHED

    def _forget(self) -> None:
        if self._slot is not None:
            self._records.clear(self._slot, self._cgroup, "line")
        self._slot = None
        self.written_bytes = None


def put_high(cgroup: Cgroup, value: int) -> Outcome:
    """Write memory.high, without asking who owns it."""
    text = b"max" if value >= UNLIMITED else b"%d" % value
    try:
        taken = cgroup.write("memory.high", text.ljust(_VALUE_BYTES) + b"\n")
    except UnfitError as error:
        return Outcome("refused", str(error))
    return Outcome("done", value_bytes=value) if taken else VANISHED
