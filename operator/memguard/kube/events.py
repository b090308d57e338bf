"""What is told to people through `kubectl describe`: Events, without anybody waiting for them and without a flood.

The same thing again within six minutes is one Event with a count (a series), as client-go does it; one object gets 25
at once and then one in five minutes, client-go's limit, too. Both API groups show them: core/v1 calls `regarding`
involvedObject, and `note` message.
"""

from __future__ import annotations

import random as _random
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from memguard.errors import AlreadyExistsError, KubeError, NotFoundError
from memguard.kube.client import Client
from memguard.kube.objects import Event, EventSeries, ObjectMeta, ObjectReference, micro_time
from memguard.kube.resources import EVENTS
from memguard.kube.retry import Random, Sleep, retry
from memguard.kube.spam import Buckets

QUEUE_NOTICES = 256
SERIES = 512
#: Without a repetition for so long a series has ended; the next time is a new Event.
SERIES_SECONDS = 360.0
#: How often a count is written at most.
COUNT_SECONDS = 30.0
#: About half an hour with the usual backoff; the API server itself forgets Events after one.
ATTEMPTS = 120
#: The API server refuses longer ones.
LARGEST_NOTE_BYTES = 1024
#: Where Events about objects without a namespace go.
_NO_NAMESPACE = "default"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell about an object.

    With an `id` (a valid object name) it is told once, however often it is sent; without, repetitions are counted.
    """

    regarding: ObjectReference
    reason: str
    action: str
    note: str
    type: Literal["Normal", "Warning"] = "Normal"
    related: ObjectReference | None = None
    id: str = ""
    annotations: dict[str, str] = {}


class _Pending(msgspec.Struct, frozen=True):
    name: str
    notice: Notice
    at: datetime


class _Series(msgspec.Struct):
    """An Event and how often it happened; `seen_at` and `written_at` are the clock's seconds."""

    first: _Pending
    last: datetime
    seen_at: float
    written_at: float
    count: int = 1
    written: int = 1


class Recorder:
    """Writes Events. `emit` never waits; `run` it in a thread of its own, `stop` ends it from any.

    `controller` is what reports (`memguard.io/agent`), `instance` who, the name of our pod. `dropped` counts
    notices; `trouble` is told why one was not taken.
    """

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        trouble: Callable[[str], None],
        count_seconds: float = COUNT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Random = _random.random,
        sleep: Sleep | None = None,
    ) -> None:
        self._client = client
        self._controller, self._instance = controller, instance
        self._trouble = trouble
        self._count_seconds = count_seconds
        self._clock = clock
        self._now = now
        self._random = random
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._changed = threading.Condition()
        self._queue: deque[_Pending] = deque()
        self._series: dict[tuple[str, ...], _Series] = {}
        self._buckets = Buckets()
        self.dropped = 0

    def emit(self, notice: Notice) -> bool:
        """Take the notice; False when it is dropped: too many wait, or too many are about this object."""
        with self._changed:
            if not notice.id and self._counted(notice):
                return True
            if len(self._queue) >= QUEUE_NOTICES or not self._buckets.take(_who(notice.regarding), self._clock()):
                self.dropped += 1
                return False
            pending = _Pending(_name(notice, self._now()), notice, self._now())
            self._queue.append(pending)
            if not notice.id:
                self._begin(pending)
            self._changed.notify()
            return True

    def stop(self) -> None:
        """End `run` soon: what waits is tried once more."""
        self._stopped.set()
        with self._changed:
            self._changed.notify()

    def run(self) -> None:
        """Write what there is until stopped."""
        while not self._stopped.is_set():
            pending = self._next()
            if pending is not None:
                self._create(pending)
            self._write_counts(self._due())
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            if not self._create(self._queue.popleft()):
                self.dropped += len(self._queue)
                return
        self._write_counts([series for series in self._series.values() if series.count > series.written])

    def _counted(self, notice: Notice) -> bool:
        series = self._series.get(_key(notice))
        if series is None or self._clock() - series.seen_at >= SERIES_SECONDS:
            return False
        series.count += 1
        series.last = self._now()
        series.seen_at = self._clock()
        return True

    def _begin(self, pending: _Pending) -> None:
        key = _key(pending.notice)
        self._series.pop(key, None)
        if len(self._series) >= SERIES:
            del self._series[next(iter(self._series))]
        self._series[key] = _Series(pending, pending.at, seen_at=self._clock(), written_at=self._clock())

    def _next(self) -> _Pending | None:
        with self._changed:
            if not self._queue and not self._stopped.is_set():
                self._changed.wait(self._count_seconds)
            return self._queue.popleft() if self._queue else None

    def _due(self) -> list[_Series]:
        """Series whose count is to be written; what has ended is forgotten."""
        now = self._clock()
        with self._changed:
            ended = [
                key
                for key, series in self._series.items()
                if series.count == series.written and now - series.seen_at >= SERIES_SECONDS
            ]
            for key in ended:
                del self._series[key]
            return [
                series
                for series in self._series.values()
                if series.count > series.written and now - series.written_at >= self._count_seconds
            ]

    def _write_counts(self, due: list[_Series]) -> None:
        for series in due:
            with self._changed:
                count, last = series.count, series.last
            if self._count(series.first, EventSeries(count=count, last_observed_time=micro_time(last))):
                series.written = count
            series.written_at = self._clock()

    def _count(self, first: _Pending, series: EventSeries) -> bool:
        namespace = first.notice.regarding.namespace or _NO_NAMESPACE
        try:
            self._patiently(lambda: self._client.merge_patch(EVENTS, first.name, {"series": series}, namespace))
        except NotFoundError:  # the API server forgets Events after an hour
            return self._create(first, series)
        except KubeError as error:
            self._trouble(str(error))
            return False
        return True

    def _create(self, pending: _Pending, series: EventSeries | None = None) -> bool:
        event = self._event(pending, series)
        try:
            self._patiently(lambda: self._client.create(EVENTS, event, event.metadata.namespace))
        except AlreadyExistsError:  # it was told before we were started anew, or the answer to it was lost
            return True
        except KubeError as error:
            self._trouble(str(error))
            self.dropped += 1
            return False
        return True

    def _patiently(self, call: Callable[[], Event]) -> None:
        retry(call, attempts=ATTEMPTS, sleep=self._sleep, random=self._random)

    def _event(self, pending: _Pending, series: EventSeries | None) -> Event:
        notice = pending.notice
        namespace = notice.regarding.namespace or _NO_NAMESPACE
        return Event(
            api_version=EVENTS.api_version,
            kind=EVENTS.kind,
            metadata=ObjectMeta(name=pending.name, namespace=namespace, annotations=notice.annotations),
            event_time=micro_time(pending.at),
            reason=notice.reason,
            action=notice.action,
            note=_clipped(notice.note),
            type=notice.type,
            regarding=notice.regarding,
            related=notice.related,
            reporting_controller=self._controller,
            reporting_instance=self._instance,
            series=series,
        )


def _who(reference: ObjectReference) -> str:
    return "/".join((reference.kind, reference.namespace, reference.name, reference.uid))


def _key(notice: Notice) -> tuple[str, ...]:
    related = _who(notice.related) if notice.related else ""
    return _who(notice.regarding), notice.reason, notice.action, notice.type, related


def _name(notice: Notice, now: datetime) -> str:
    """With an id the same name each time, another for each object that it is told of."""
    if notice.id:
        return f"{notice.id}.{zlib.crc32('/'.join(_key(notice)).encode()):08x}"
    stem = notice.regarding.name[:200].rstrip("-.")
    return f"{stem}.{int(now.timestamp() * 1e6):x}{zlib.crc32('/'.join(_key(notice)).encode()):08x}"


def _clipped(note: str) -> str:
    encoded = note.encode()
    if len(encoded) <= LARGEST_NOTE_BYTES:
        return note
    return encoded[: LARGEST_NOTE_BYTES - 3].decode("utf-8", "ignore") + "…"
