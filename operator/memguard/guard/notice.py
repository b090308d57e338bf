"""Telling containers that memory is short, before anything is done to anybody: a signal, a file, or both.

The kernel tells survivors itself through their memory.events; this is for programs that can drop caches in time.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from memguard.guard.ward import Ward
from memguard.kernel.notify import notify_file
from memguard.kernel.signals import init_pids, signal_init


class Notices:
    """Who was told in the present episode: everybody once, until it is over."""

    def __init__(self, proc_root: str) -> None:
        self._proc_root = proc_root
        self._told: set[str] = set()

    def warn(self, wards: Iterable[Ward], headroom_bytes: int) -> list[Ward]:
        """Tell those whose rule asks for it and that were not told yet; they are returned."""
        fresh = [ward for ward in wards if ward.id not in self._told and _wants(ward)]
        for ward in fresh:
            self._told.add(ward.id)
            self._tell(ward, headroom_bytes)
        return fresh

    def over(self) -> None:
        """The episode is over: the next one is told again."""
        self._told.clear()

    def _tell(self, ward: Ward, headroom_bytes: int) -> None:
        rule = ward.rule
        if rule.notify_directory:
            pids = init_pids(ward.cgroup, self._proc_root) or []
            for pid in pids[:1]:
                text = b"memory is short: %d bytes above the reserve\n" % headroom_bytes
                notify_file(pid, rule.notify_directory, text, self._proc_root)
        if rule.notify_signal:
            signal_init(ward.cgroup, signal.Signals[rule.notify_signal], self._proc_root)


def _wants(ward: Ward) -> bool:
    rule = ward.rule
    return ward.forbidden is None and rule.allows("notify") and bool(rule.notify_signal or rule.notify_directory)
