"""The nodes in trouble, one after another, by a few hands: each in its turn, never one by two at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from memguard.errors import KubeError
from memguard.kube.retry import BACKOFF

#: A hand with nothing to do is woken when there is; so long at most it sleeps.
IDLE_SECONDS = 60.0
#: What attends to one node; raises KubeError for what may succeed later.
Attend = Callable[[str], None]


class Desk:
    """`attend` is called with a node's name after somebody `noticed` it. `run` it in as many threads as it has hands.

    `failed` hears of what went wrong; the node is looked at again, later and later, whoever notices it meanwhile: the
    server may have said when.
    """

    def __init__(
        self,
        attend: Attend,
        failed: Callable[[str, KubeError], None],
        *,
        random: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attend, self._failed, self._random, self._clock = attend, failed, random, clock
        lock = threading.Lock()
        self._changed, self._calmer = threading.Condition(lock), threading.Condition(lock)
        self._waiting: dict[str, None] = {}  # in the order in which they came
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._stopped = False

    def noticed(self, name: str) -> None:
        """Look at this node, when it is its turn."""
        with self._changed:
            self._waiting[name] = None
            self._changed.notify()

    def stop(self) -> None:
        """Let all hands end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            self._calmer.notify_all()

    def clear(self, seconds: float) -> bool:
        """Wait so long at most until every node that waits is in somebody's hands; is it?"""
        with self._calmer:
            return self._calmer.wait_for(lambda: not self._due() or self._stopped, seconds)

    def rest(self, seconds: float) -> bool:
        """Wait so long at most until every hand has put down what it had in hand; has it?"""
        with self._calmer:
            return self._calmer.wait_for(lambda: not self._busy, seconds)

    def run(self) -> None:
        """One hand's work, until stopped."""
        while (name := self._next()) is not None:
            try:
                self._attend(name)
            except KubeError as error:
                self._failed(name, error)
                self._put_off(name, error)
            else:
                self._failures.pop(name, None)
            finally:
                self._done(name)

    def _next(self) -> str | None:
        with self._changed:
            while not self._stopped:
                if name := self._due():
                    del self._waiting[name]
                    self._not_before.pop(name, None)
                    self._busy.add(name)
                    self._calmer.notify_all()
                    return name
                now = self._clock()
                due = min((self._not_before[one] for one in self._idle()), default=now + IDLE_SECONDS)
                self._changed.wait(due - now)
        return None

    def _due(self) -> str | None:
        """The next that nobody has in hand, and that was not put off."""
        now = self._clock()
        return next((one for one in self._idle() if self._not_before.get(one, now) <= now), None)

    def _done(self, name: str) -> None:
        with self._changed:
            self._busy.discard(name)
            self._changed.notify_all()
            self._calmer.notify_all()

    def _put_off(self, name: str, error: KubeError) -> None:
        with self._changed:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            delay = BACKOFF.delay_seconds(failures, self._random, error.retry_after_seconds)
            self._not_before[name] = self._clock() + delay
            self._waiting[name] = None

    def _idle(self) -> Iterator[str]:
        return (one for one in self._waiting if one not in self._busy)
