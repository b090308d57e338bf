"""The nodes in trouble, one after another, by a few hands: each in its turn, never one by two at a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from memguard.errors import KubeError
from memguard.kube.retry import BACKOFF

#: What attends to one node; raises KubeError for what may succeed later.
Attend = Callable[[str], None]


class _Later(NamedTuple):
    at: float
    name: str


class Desk:
    """`attend` is called with a node's name after somebody `noticed` it. `run` it in as many threads as it has hands.

    `failed` hears of what went wrong; the node is looked at again, later and later.
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
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._busy: set[str] = set()
        self._later: list[_Later] = []
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

    def __len__(self) -> int:
        return len(self._waiting)

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
                self._come_due()
                name = next((one for one in self._waiting if one not in self._busy), None)
                if name is not None:
                    del self._waiting[name]
                    self._busy.add(name)
                    return name
                self._changed.wait(self._seconds())
        return None

    def _done(self, name: str) -> None:
        with self._changed:
            self._busy.discard(name)
            self._changed.notify()

    def _put_off(self, name: str, error: KubeError) -> None:
        with self._changed:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            delay = BACKOFF.delay_seconds(failures, self._random, error.retry_after_seconds)
            self._later.append(_Later(self._clock() + delay, name))

    def _come_due(self) -> None:
        now = self._clock()
        for one in [one for one in self._later if one.at <= now]:
            self._later.remove(one)
            self._waiting.setdefault(one.name)

    def _seconds(self) -> float:
        return max(0.0, min((one.at for one in self._later), default=self._clock() + 60.0) - self._clock())
