"""Who holds what: a record of every line and freeze, written before it is armed, so that it can outlive its writer.

A brake without its driver is worse than the kernel's OOM killer (braking.md): whoever finds our records after our
death undoes what they name. Each hold is recorded twice: as a line of fixed size in RUN_DIR/holds, one pwrite to a
file that was allocated beforehand (a kill cannot tear it: signals are taken on the way out of the write), and as a user
xattr on the cgroup itself, for when the run directory is lost.

The file carries a POSIX lock while its guard lives. Unlike flock it is not inherited by a forked helper, which could
outlive the guard in an uninterruptible write; but closing *any* descriptor of the file in the guard drops it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from memguard.errors import UnfitError
from memguard.kernel.parse import digits

if TYPE_CHECKING:  # the janitor, which imports this module, must not pay for what the guard needs
    from memguard.kernel.cgroup import Cgroup

RUN_DIR: Final = "/run/memguard"
XATTRS: Final = {"line": "user.memguard.line", "freeze": "user.memguard.freeze"}

_SLOT_BYTES: Final = 512
# Two holds on each of 500 containers; 512 KiB of tmpfs.
_SLOTS: Final = 1024
_BLANK: Final = b" " * (_SLOT_BYTES - 1) + b"\n"
_CLAIM_STEP_SECONDS: Final = 0.002

Kind = Literal["line", "freeze"]


class Hold(NamedTuple):
    """One thing that must be undone.

    For a line the values are bytes of memory.high: what was found, what was written, and what had been written
    before that (the file may still hold it when death came between record and write). For a freeze 0 and 1.
    """

    kind: Kind
    path: str
    inode: int
    found: int
    written: int
    before: int

    def encode(self) -> bytes:
        """The record's text, path last: it may contain blanks, never a newline."""
        return b"%b %b" % (self.mark(), os.fsencode(self.path))

    def mark(self) -> bytes:
        """The xattr's text."""
        return b"%b %d %d %d %d" % (self.kind.encode(), self.inode, self.found, self.written, self.before)


def decode(text: bytes, path: str | None = None) -> Hold | None:
    """A record (or with `path` a mark) read back; None for a blank slot and for what we did not write."""
    parts = text.rstrip().split(b" ", 5)
    values = [digits(part) for part in parts[1:5]]
    if len(parts) < 5 or parts[0] not in (b"line", b"freeze") or None in values:
        return None
    if path is None:
        if len(parts) < 6:
            return None
        path = os.fsdecode(parts[5])
    kind: Kind = "line" if parts[0] == b"line" else "freeze"
    inode, found, written, before = (value or 0 for value in values)
    return Hold(kind, path, inode, found, written, before)


class Records:
    """The record file of one run directory. Raises UnfitError when it cannot be created."""

    __slots__ = ("_fd", "_free", "path")

    def __init__(self, run_dir: str = RUN_DIR) -> None:
        self.path = f"{run_dir}/holds"
        try:
            os.makedirs(run_dir, mode=0o700, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.posix_fallocate(self._fd, 0, _SLOT_BYTES * _SLOTS)
        except OSError as error:
            message = f"{self.path}: {error.strerror}. Give the guard a writable directory on tmpfs for its records."
            raise UnfitError(message) from None
        used = {slot for slot, _ in self.holds()}
        self._free = [slot for slot in range(_SLOTS - 1, -1, -1) if slot not in used]

    @property
    def directory(self) -> str:
        """The run directory."""
        return os.path.dirname(self.path)

    def claim(self, timeout_seconds: float = 1.0) -> bool:
        """Become the owner; False when another process still is. A janitor's short look is waited out."""
        until = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= until:
                    return False
                time.sleep(_CLAIM_STEP_SECONDS)
            else:
                return True

    def await_owner(self) -> None:
        """Sleep until no owner lives, and be the owner then."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)

    def close(self) -> None:
        """Close the file, which ends the ownership."""
        os.close(self._fd)

    def note(self, cgroup: Cgroup, hold: Hold) -> int | None:
        """Record a hold that is about to be armed; its slot, or None when it cannot be (then it must not be armed)."""
        text = hold.encode()
        if not self._free or len(text) >= _SLOT_BYTES or b"\n" in text:
            return None
        slot = self._free.pop()
        if not self.update(slot, cgroup, hold):
            self._free.append(slot)
            return None
        return slot

    def update(self, slot: int, cgroup: Cgroup, hold: Hold) -> bool:
        """Record a hold's new values before they are written."""
        try:
            os.pwrite(self._fd, hold.encode().ljust(_SLOT_BYTES - 1) + b"\n", slot * _SLOT_BYTES)
        except OSError:
            return False
        set_mark(cgroup, hold)
        return True

    def clear(self, slot: int, cgroup: Cgroup, kind: Kind) -> None:
        """Forget a hold that was undone, or whose cgroup is gone."""
        remove_mark(cgroup, kind)
        self.blank(slot)

    def blank(self, slot: int) -> None:
        """Forget a slot."""
        os.pwrite(self._fd, _BLANK, slot * _SLOT_BYTES)
        self._free.append(slot)

    def holds(self) -> list[tuple[int, Hold]]:
        """Everything that is recorded now, with its slot."""
        data = os.pread(self._fd, _SLOT_BYTES * _SLOTS, 0)
        found = []
        for slot in range(len(data) // _SLOT_BYTES):
            hold = decode(data[slot * _SLOT_BYTES : (slot + 1) * _SLOT_BYTES])
            if hold is not None:
                found.append((slot, hold))
        return found


def set_mark(cgroup: Cgroup, hold: Hold) -> None:
    """The second record, on the cgroup itself; where user xattrs are not supported the file is the only one."""
    try:
        os.setxattr(cgroup.directory.fd, XATTRS[hold.kind], hold.mark())
    except OSError as error:
        if error.errno == errno.EBADF:
            return  # the cgroup was closed or never existed; the write that follows will say so


def remove_mark(cgroup: Cgroup, kind: Kind) -> None:
    """Take the xattr away; it may be gone together with its cgroup."""
    try:
        os.removexattr(cgroup.directory.fd, XATTRS[kind])
    except OSError:
        return
