"""inotify(7): what changes in directories and files, told at once.

It is counted by user, and a container's root is the node's unless it has a user namespace: whoever takes all of it
(fs.inotify.max_user_instances, max_user_watches) leaves us without. Then nothing is told, and nothing else fails.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Final

from memguard.kernel.syscalls import inotify_add_watch, inotify_init, inotify_rm_watch

_HEADER: Final = struct.Struct("iIII")
# Room for some 200 events in one read; and so many reads at once, however fast somebody makes more.
_READ_BYTES: Final = 16384
_MOST_READS: Final = 16


class Inotify:
    """One instance of inotify; none while it cannot be had (`open` tries again)."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1
        self.open()

    def fileno(self) -> int:
        """The descriptor, for poll: readable when there are events; -1 while there is none."""
        return self._fd

    def open(self) -> bool:
        """Is there an instance, now at the latest?"""
        if self._fd < 0:
            try:
                self._fd = inotify_init()
            except OSError:
                return False
        return True

    def watch(self, path: str, mask: int) -> int:
        """Watch it; the watch's number. Raises OSError."""
        return inotify_add_watch(self._fd, path, mask)

    def drop(self, watch: int) -> None:
        """A removed cgroup's watch stays, with its inode (kernfs never says that the last link went).

        They would count against fs.inotify.max_user_watches, which is root's and not ours alone.
        """
        try:
            inotify_rm_watch(self._fd, watch)
        except OSError:
            return  # other file systems drop it themselves

    def events(self) -> Iterator[tuple[int, int, str]]:
        """Watch, mask and name of what happened since the last call, in order. Never waits, and comes to an end.

        What is left then is there at the next call; the descriptor stays readable.
        """
        for _ in range(_MOST_READS):
            if not (data := self._read()):
                return
            yield from _events(data)

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, _READ_BYTES) if self._fd >= 0 else b""
        except BlockingIOError:
            return b""


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    at = 0
    while at + _HEADER.size <= len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length
