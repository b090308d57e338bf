"""Telling containers that memory is short, before anything is done to anybody: a signal, a file, or both.

The kernel tells survivors itself through their memory.events; this is for programs that can drop caches in time.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from memguard.guard.aside import aside
from memguard.guard.ears import Ears
from memguard.guard.ward import Ward
from memguard.kernel.notify import notify_file
from memguard.kernel.signals import init_pids, signal_init


class Notices:
    """Who was told in the present episode: everybody once, until it is over."""

    def __init__(self, proc_root: str, ears: Ears) -> None:
        self._proc_root, self._ears = proc_root, ears
        self._told: set[str] = set()

    def warn(self, wards: Iterable[Ward], headroom_bytes: int) -> list[Ward]:
        """Tell those whose rule asks for it and that were not told yet; they are returned."""
        fresh = [ward for ward in wards if ward.id not in self._told and _wants(ward)]
        self._told.update(ward.id for ward in fresh)
        for ward in fresh:
            if ward.rule.notify_signal:
                signal_init(ward.cgroup, signal.Signals[ward.rule.notify_signal], self._proc_root)
        files = [ward for ward in fresh if ward.rule.notify_directory]
        if files:  # a container's file system may be anything, and hang
            aside(lambda: self._leave_files(files, headroom_bytes), self._ears)
        return fresh

    def over(self) -> None:
        """The episode is over: the next one is told again."""
        self._told.clear()

    def _leave_files(self, wards: Iterable[Ward], headroom_bytes: int) -> None:
        text = b"memory is short: %d bytes above the reserve\n" % headroom_bytes
        for ward in wards:
            for pid in (init_pids(ward.cgroup, self._proc_root) or [])[:1]:
                notify_file(pid, ward.rule.notify_directory or "", text, self._proc_root)


def _wants(ward: Ward) -> bool:
    rule = ward.rule
    return ward.forbidden is None and rule.allows("notify") and bool(rule.notify_signal or rule.notify_directory)
