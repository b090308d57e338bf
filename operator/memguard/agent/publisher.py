"""Writes the node's NodeMemory: at once when what it says changed, often in trouble, seldom in quiet times.

5,000 nodes write to one API server: in quiet times that is 17 reports a second, and no two nodes keep step.
"""

from __future__ import annotations

import math
import random as _random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec

from memguard.agent.resources import NODE_MEMORIES
from memguard.api.meta import Condition, OwnerReference
from memguard.api.node_memory import NodeMemoryStatus, OrderAnswer, near_limit
from memguard.api.wire import body
from memguard.core.model import Level
from memguard.errors import AlreadyExistsError, KubeError, NotFoundError
from memguard.kube.client import Client
from memguard.kube.resources import NODES
from memguard.kube.retry import BACKOFF
from memguard.service.journal import Journal

MANAGER = "memguard-agent"
#: Between two reports, on average.
PAUSE_SECONDS: dict[Level | None, float] = {None: 300.0, "Calm": 300.0, "Tight": 5.0, "Critical": 5.0}
JITTER = 0.2
#: The same where a limit is about to be reached that may be raised.
RESIZE_SECONDS = 5.0
#: Whatever happens, not more often.
SHORTEST_SECONDS = 1.0


class Gist(msgspec.Struct, frozen=True):
    """What of a report is published at once when it changes."""

    level: Level | None
    plan: str | None
    orders: tuple[OrderAnswer, ...]
    conditions: tuple[tuple[str, str, str], ...]
    cramped: tuple[str, ...]
    #: Hits, false alarms and misses by powers of two: the first is news, the hundredth waits for the next report.
    score: tuple[int, ...]


def gist(status: NodeMemoryStatus) -> Gist:
    """Of this one."""
    said = tuple((one.type, one.status, one.reason) for one in status.conditions)
    cramped = tuple(sorted(one.id for one in filter(near_limit, status.top)))
    card = status.scorecard
    counts = (card.hits, card.false_alarms, card.misses) if card else ()
    score = tuple(count.bit_length() for count in counts)
    return Gist(status.level, status.plan.version if status.plan else None, status.orders, said, cramped, score)


class Publisher:
    """Writes what `report` gives. `run` it in a thread of its own, `poke` says that it may be another, `stop` ends it.

    `node_uid`: of the Node that the report goes with, empty while it is not known. `conditions`: as last written.
    """

    def __init__(
        self,
        client: Client,
        report: Callable[[], NodeMemoryStatus],
        journal: Journal,
        *,
        node: str,
        node_uid: Callable[[], str],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._client, self._report, self._journal = client, report, journal
        self._node, self._node_uid = node, node_uid
        self._now, self._clock, self._random = now, clock, random
        self._poked = threading.Event()
        self._stopped = threading.Event()
        self._gist: Gist | None = None
        self._due_at = float("-inf")
        self._failures = 0
        self.written_at: datetime | None = None
        self.conditions: tuple[Condition, ...] = ()

    def poke(self) -> None:
        """Look whether there is something new to say."""
        self._poked.set()

    def overdue(self) -> None:
        """There is no report, or none any more."""
        self._due_at = float("-inf")
        self._poked.set()

    def stop(self) -> None:
        """Say the last word, and end."""
        self._stopped.set()
        self._poked.set()

    def run(self) -> None:
        """Write until stopped, and once more then."""
        while not self._stopped.is_set():
            self._poked.clear()
            self.look()
            self._stopped.wait(SHORTEST_SECONDS)
            self._poked.wait(max(0.0, self._due_at - self._clock()))
        self._failures = 0
        self._publish(self._report())

    def look(self) -> None:
        """Write if it is time to, or if there is something new to say and the server did not just fail."""
        status = self._report()
        overdue = self._clock() >= self._due_at
        if overdue or (gist(status) != self._gist and not self._failures):
            self._publish(status)

    def _publish(self, status: NodeMemoryStatus) -> None:
        try:
            written = self._write(status)
        except KubeError as error:
            if not self._failures:
                self._journal.write("unavailable", what="NodeMemory", reason=str(error))
            self._failures += 1
            delay = BACKOFF.delay_seconds(self._failures, self._random, error.retry_after_seconds)
            self._due_at = self._clock() + max(SHORTEST_SECONDS, delay)
            return
        self._failures = 0
        if not written:
            self._due_at = self._clock() + SHORTEST_SECONDS
            return
        self._gist, self.conditions, self.written_at = gist(status), status.conditions, self._now()
        self._due_at = self._clock() + _pause_seconds(status) * (1 + JITTER * (2 * self._random() - 1))

    def _write(self, status: NodeMemoryStatus) -> bool:
        """Was it written? Not before it is known with which Node it goes."""
        content: dict[str, object] = {
            "apiVersion": NODE_MEMORIES.api_version,
            "kind": NODE_MEMORIES.kind,
            "metadata": {"name": self._node},
            "status": body(status),
        }
        with suppress(NotFoundError):
            self._apply(content)
            return True
        uid = self._node_uid()
        if uid:
            self._create(uid)
            self._apply(content)
        return bool(uid)

    def _apply(self, content: dict[str, object]) -> None:
        self._client.apply(NODE_MEMORIES, self._node, content, manager=MANAGER, force=True, subresource="status")

    def _create(self, uid: str) -> None:
        owner = OwnerReference(api_version=NODES.api_version, kind=NODES.kind, name=self._node, uid=uid)
        metadata = {"name": self._node, "ownerReferences": [body(owner)]}
        content = {"apiVersion": NODE_MEMORIES.api_version, "kind": NODE_MEMORIES.kind, "metadata": metadata}
        with suppress(AlreadyExistsError):  # a moment ago it was not
            self._client.create(NODE_MEMORIES, content)


def _pause_seconds(status: NodeMemoryStatus) -> float:
    """A guard that is gone is not in trouble any more, whatever it said last."""
    if not any(one.type == "Ready" and one.status == "True" for one in status.conditions):
        return PAUSE_SECONDS[None]
    return min(PAUSE_SECONDS[status.level], RESIZE_SECONDS if any(map(near_limit, status.top)) else math.inf)
