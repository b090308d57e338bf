"""After a kill: are the processes that the node cannot do without still there?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.kernel.process import process


class Stability:
    """The critical processes found at start, by pid and start time: a reused pid is not the same process."""

    def __init__(self, names: Iterable[str], proc_root: str) -> None:
        self._proc_root = proc_root
        wanted = set(names)
        pids = (int(name) for name in os.listdir(proc_root) if name.isdecimal())
        found = (process(pid, proc_root) for pid in pids)
        self._alive = {one.pid: (one.name, one.started_seconds) for one in found if one and one.name in wanted}

    def lost(self) -> list[str]:
        """Names of those that died since the last look; each is told once."""
        gone = []
        for pid, (name, started) in list(self._alive.items()):
            one = process(pid, self._proc_root)
            if one is None or one.started_seconds != started or one.state in ("Z", "X"):
                gone.append(name)
                del self._alive[pid]
        return gone
