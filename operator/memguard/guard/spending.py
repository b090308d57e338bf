"""What was spent of the budgets, for this guard and for the one after it: one that dies after each kill has them, too.

The file lies in the run directory, on tmpfs, and is allocated beforehand: adding to it never waits, and a full tmpfs is
no hindrance. It is gone with the machine's boot and with the pod.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from memguard.core.budget import Kill, RecentKills
from memguard.core.model import UNREADABLE, Container
from memguard.core.policy import Budget
from memguard.errors import UnfitError

#: A kill takes some 100 bytes.
FILE_BYTES: Final = 64 << 10
_END: Final = b"\n"


class Spending:
    """`recent`: the kills that count, by the clock that `now` is of. Raises UnfitError where the file cannot be had."""

    def __init__(self, run_directory: str, now: float) -> None:
        path = f"{run_directory}/spent"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.posix_fallocate(self._fd, 0, FILE_BYTES)
        except OSError as error:
            message = f"{path}: {error.strerror}. Give the guard a writable directory on tmpfs for its records."
            raise UnfitError(message) from None
        kills = _read(os.pread(self._fd, FILE_BYTES, 0).partition(_END)[0])
        # A directory that outlived the boot holds times of another clock.
        self.recent = RecentKills(tuple(kill for kill in kills if kill.at <= now))

    def spend(self, container: Container, budget: Budget, now: float) -> None:
        """One more."""
        self.recent = self.recent.spend(container, budget, now)
        kills = self.recent.kills
        while len(text := msgspec.json.encode(kills) + _END) > FILE_BYTES:
            kills = kills[len(kills) // 2 :]
        os.pwrite(self._fd, text, 0)


def _read(line: bytes) -> tuple[Kill, ...]:
    try:
        return msgspec.json.decode(line, type=tuple[Kill, ...])
    except UNREADABLE:
        return ()  # a new file, or not ours
