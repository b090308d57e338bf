"""The process's threads: all of them are needed, so when one ends by itself the process is to end, and begins anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from memguard.service.journal import Journal

#: For all threads together to end in good order; kubelet's grace is 30 s.
PARTING_SECONDS = 8.0


class Crew:
    """Runs each job in a thread of its own. `lost` names the first that ended without having been asked to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._threads: list[threading.Thread] = []
        self._leaving = False
        self.lost: str | None = None

    def start(self, name: str, job: Callable[[], None]) -> None:
        """From now on, until it ends."""
        # A daemon does not keep the process: a hanging disk must not either.
        thread = threading.Thread(target=self._work, args=(name, job), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def idle(self) -> tuple[str, ...]:
        """The names of those that do not run."""
        return tuple(thread.name for thread in self._threads if not thread.is_alive())

    def leave(self) -> None:
        """From now on whoever ends was asked to."""
        self._leaving = True

    def part(self) -> tuple[str, ...]:
        """Wait for all to end, for a while; the names of those that did not."""
        deadline = time.monotonic() + PARTING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return tuple(thread.name for thread in self._threads if thread.is_alive())

    def _work(self, name: str, job: Callable[[], None]) -> None:
        try:
            job()
        finally:  # what it raised is shown by threading's own hook
            if not self._leaving and self.lost is None:
                self.lost = name
                self._journal.write("lost", thread=name)
