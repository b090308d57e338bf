"""Who writes a limit or a line beside us, told at once: an in-place resize, systemd's set-property, a MemoryQoS.

A file tells inotify that it was written when who wrote it closes it (IN_CLOSE_WRITE). Ours stay open
(kernel/files.py), so what is heard is somebody else.
"""

from __future__ import annotations

from typing import Final

from memguard.kernel.inotify import Inotify
from memguard.kernel.syscalls import IN_CLOSE_WRITE, IN_Q_OVERFLOW

# Each by itself, not their directory: every exec probe writes cgroup.procs there.
_FILES: Final = ("memory.high", "memory.max")


class Touches:
    """The cgroups below `root` whose memory.high and memory.max are attended to."""

    __slots__ = ("_inotify", "_paths", "_root", "_watches")

    def __init__(self, root: str) -> None:
        self._root = root
        self._inotify = Inotify()
        self._paths: dict[int, str] = {}
        self._watches: dict[str, list[int]] = {}

    def __contains__(self, path: str) -> bool:
        """Would we be told?"""
        return path in self._watches

    def fileno(self) -> int:
        """For poll: readable when somebody wrote; -1 while inotify cannot be had."""
        return self._inotify.fileno()

    def attend(self, path: str) -> None:
        """From now on, if there is inotify for it."""
        if path in self._watches or not self._inotify.open():
            return
        watches: list[int] = []
        self._watches[path] = watches
        try:
            watches.extend(self._inotify.watch(f"{self._root}/{path}/{name}", IN_CLOSE_WRITE) for name in _FILES)
        except OSError:  # no watch left, or the cgroup went; the first may be watched already
            self.ignore(path)
        else:
            self._paths |= dict.fromkeys(watches, path)

    def ignore(self, path: str) -> None:
        """No longer."""
        for watch in self._watches.pop(path, ()):
            self._paths.pop(watch, None)
            self._inotify.drop(watch)

    def heard(self) -> set[str]:
        """Where somebody else wrote since the last call; everywhere, where so much was written that it was lost."""
        found = set()
        for watch, mask, _ in self._inotify.events():
            if mask & IN_Q_OVERFLOW:
                return set(self._watches)
            if mask & IN_CLOSE_WRITE and watch in self._paths:
                found.add(self._paths[watch])
        return found

    def close(self) -> None:
        """Stop listening."""
        self._inotify.close()
