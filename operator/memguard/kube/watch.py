"""A set of objects that is kept as the API server has it: a list, then what happens from there on, for ever.

Whatever goes wrong it goes on from the last version that it has seen, and when the server no longer remembers that,
lists again: nothing is lost and nothing is told twice. How fresh it is can be asked; readiness is by that.
"""

from __future__ import annotations

import random as _random
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from memguard.errors import ForbiddenError, KubeError, UnauthorizedError
from memguard.kube.client import PAGE, UNLIMITED, Client, Watch
from memguard.kube.codec import Bookmark, Broken, Happening, Key
from memguard.kube.ration import Ration
from memguard.kube.resources import Selection
from memguard.kube.retry import BACKOFF, Backoff, Random, Sleep
from memguard.kube.store import Change, Store

T = TypeVar("T")

#: client-go asks for 5 to 10 minutes, drawn anew each time, so that watches do not all end at once.
WATCH_SECONDS = 300
#: The server sends a bookmark each minute: half as much again without a byte, and the connection is dead.
QUIET_SECONDS = 90.0


class Watcher(Generic[T]):
    """Keeps one selection up to date. `run` it in a thread of its own; `stop` ends it from any.

    `on_change` is called in that thread, with the store already changed; what it raises ends the watcher. `ration`: how
    much is kept of each namespace. `heard` is called with whatever is told after the list, before any of that.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection[T],
        on_change: Callable[[Change[T]], None],
        *,
        page: int = PAGE,
        ration: Callable[[], Ration] = UNLIMITED,
        heard: Callable[[Happening[T]], None] = lambda _: None,
        watch_seconds: int = WATCH_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
        backoff: Backoff = BACKOFF,
        clock: Callable[[], float] = time.monotonic,
        random: Random = _random.random,
        sleep: Sleep | None = None,
    ) -> None:
        self._client = client
        self._selection = selection
        self._on_change = on_change
        self._page = page
        self._new_ration, self._heard = ration, heard
        self._ration = ration()
        self._watch_seconds = watch_seconds
        self._quiet_seconds = quiet_seconds
        self._backoff = backoff
        self._clock = clock
        self._random = random
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._lock = threading.Lock()
        self._store: Store[T] = Store()
        self._watch: Watch[T] | None = None
        self._version: str | None = None
        self._fresh_at: float | None = None
        self._in_a_row = 0
        self.synced = threading.Event()
        self.lists = 0
        self.failures = 0
        self.last_error: KubeError | None = None

    def objects(self) -> dict[Key, T]:
        """All objects that decode, by namespace and name."""
        with self._lock:
            return self._store.objects()

    def find(self, key: Key) -> T | None:
        """One of them, if it is there and decodes."""
        with self._lock:
            return self._store.find(key)

    def broken(self) -> dict[Key, Broken]:
        """All objects that do not decode."""
        with self._lock:
            return self._store.broken()

    def fresh_seconds(self) -> float:
        """How long ago the server last said how things stand; infinite before the first list.

        A quiet selection is told so once a minute: up to twice that is normal.
        """
        fresh_at = self._fresh_at
        return float("inf") if fresh_at is None else self._clock() - fresh_at

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()
        if watch := self._watch:
            watch.cut()

    def run(self) -> None:
        """Keep the selection up to date until stopped."""
        while not self._stopped.is_set():
            error = self._round()
            if self._stopped.is_set():
                return
            self._sleep(self._wait_seconds(error))

    def _round(self) -> KubeError | None:
        """List if need be, then follow as long as it lasts; returns what ended it, None for the server's own end."""
        try:
            if self._version is None:
                self._list()
            self._follow()
        except KubeError as error:
            if not error.passing and not isinstance(error, UnauthorizedError | ForbiddenError):
                self._version = None
            return error
        return None

    def _wait_seconds(self, error: KubeError | None) -> float:
        """Until the next round. One that brought nothing is a failure even if nobody said so."""
        self._in_a_row += 1
        if error is None:
            return self._backoff.delay_seconds(self._in_a_row, self._random)
        self.failures += 1
        self.last_error = error
        return self._backoff.delay_seconds(self._in_a_row, self._random, error.retry_after_seconds)

    def _list(self) -> None:
        listing = self._client.list_all(self._selection, page=self._page, ration=self._begin_ration)
        with self._lock:
            change = self._store.replace(listing.items)
        self.lists += 1
        self._fresh_at = self._clock()
        self._on_change(change)
        self._version = listing.resource_version
        self.synced.set()

    def _begin_ration(self) -> Ration:
        self._ration = self._new_ration()
        return self._ration

    def _follow(self) -> None:
        seconds = int(self._watch_seconds * (1 + self._random()))
        version = self._version or ""
        with self._client.watch(self._selection, version, seconds=seconds, quiet_seconds=self._quiet_seconds) as watch:
            self._watch = watch
            if self._stopped.is_set():  # `stop` saw no watch to cut, or the last one
                return
            for event in watch:
                self._take(event)

    def _take(self, event: Happening[T] | Bookmark) -> None:
        self._fresh_at = self._clock()
        self._in_a_row = 0
        self.last_error = None
        if isinstance(event, Bookmark):
            self._version = event.resource_version
            return
        self._heard(event)
        item = event.item
        with self._lock:
            if event.deleted:
                self._ration.forget(item.key)
                change = self._store.remove(item.key)
            else:
                change = self._store.upsert(self._ration.admit(item))
        if change is not None:
            self._on_change(change)
        self._version = item.resource_version
