"""After a kill: are the processes that the node cannot do without still there?

A process may call itself what it likes: one of a container is never one of them, whatever its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.kernel.process import Process, in_container, process


class Stability:
    """The critical processes by name. All of /proc is searched only at first and after one of them ended."""

    def __init__(self, names: Iterable[str], proc_root: str) -> None:
        self._wanted, self._proc_root = set(names), proc_root
        self._alive = self._search()
        self._known = {one.name for one in self._alive}

    def lost(self) -> list[str]:
        """Names of which nobody is left since the last look (a session that ended, or a restart, is no loss)."""
        if all(map(self._lives, self._alive)) and self._known == {one.name for one in self._alive}:
            return []
        before = {one.name for one in self._alive}
        self._alive = self._search()
        now = {one.name for one in self._alive}
        self._known |= now
        return sorted(before - now)

    def _search(self) -> list[Process]:
        pids = (int(name) for name in os.listdir(self._proc_root) if name.isdecimal())
        found = (process(pid, self._proc_root) for pid in pids)
        named = [one for one in found if one is not None and one.name in self._wanted and _runs(one)]
        return [one for one in named if not in_container(one.pid, self._proc_root)]

    def _lives(self, known: Process) -> bool:
        one = process(known.pid, self._proc_root)  # a reused pid is not the same process
        return one is not None and one.started_seconds == known.started_seconds and _runs(one)


def _runs(one: Process) -> bool:
    return one.state not in ("Z", "X")
