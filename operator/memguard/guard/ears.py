"""What the guard sleeps on: descriptors, each with what is to be done when it rings."""

from __future__ import annotations

import select
from collections.abc import Callable

#: What to do, with the time of the wake-up (monotonic seconds).
Heard = Callable[[float], None]

BELL, MESSAGE = select.POLLPRI, select.POLLIN


class Ears:
    """One poll set."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._heard: dict[int, Heard] = {}

    def listen(self, fd: int, heard: Heard, events: int = BELL) -> None:
        """From now on; a descriptor that is listened to already, or is none, changes nothing."""
        if fd >= 0 and fd not in self._heard:
            self._poller.register(fd, events)
            self._heard[fd] = heard

    def deafen(self, fd: int) -> None:
        """No longer. Before the descriptor is closed: its number may soon mean something else."""
        if self._heard.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def sleep(self, seconds: float) -> list[Heard]:
        """Until something rings, at most this long; what is to be done about it."""
        return [self._heard[fd] for fd, _ in self._poller.poll(seconds * 1000) if fd in self._heard]
