"""What waits in the spool, written to the API server: records of decisions, what became of them, Events.

In order, for ever, and each once: names are the guard's, so what was written before a crash is found there. A namespace
that refuses (its quota, or it is ending) or fails (a webhook of its own) holds up nobody else; what can never be
written is set aside.
"""

from __future__ import annotations

import random as _random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from memguard.agent.entries import Amended, Entry, Told, namespace_of
from memguard.agent.notices import FindPolicy, node_reference, notices, vpa_notice
from memguard.agent.resources import DECISIONS
from memguard.agent.spool import Spool
from memguard.api.decision import MemoryGuardDecisionStatus, first_status, outcome_status, record
from memguard.api.wire import body
from memguard.core.decision import Decision
from memguard.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from memguard.kube.client import Client
from memguard.kube.events import Recorder
from memguard.kube.retry import BACKOFF
from memguard.service.journal import Journal

#: A namespace that refuses is asked again after this.
REFUSED_SECONDS = 60.0
#: One that fails so often in a row is taken for one that refuses: with the server itself it would be all of them.
MOST_FAILURES = 3
#: An entry that was refused for a day is set aside: its namespace was deleted, or the quota there stays full.
HOPELESS_SECONDS = 86_400.0
#: So many namespaces in a row that fail are the server.
_AWAY = 2
_IDLE_SECONDS = 60.0


class DecisionWriter:
    """Empties the spool. `run` it in a thread of its own, `poke` says that something waits, `stop` ends it."""

    def __init__(
        self,
        client: Client,
        spool: Spool,
        recorder: Recorder,
        journal: Journal,
        *,
        node: str,
        system_namespace: str,
        node_uid: Callable[[], str],
        find_policy: FindPolicy,
        vpa_events: bool = False,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._client, self._spool, self._recorder, self._journal = client, spool, recorder, journal
        self._node, self._system_namespace = node, system_namespace
        self._node_uid, self._find_policy = node_uid, find_policy
        self._vpa_events = vpa_events
        self._wall, self._clock, self._random = wall, clock, random
        self._poked = threading.Event()
        self._stopped = threading.Event()
        self._failures = 0
        self._refusing: dict[str, float] = {}
        self._failing: dict[str, int] = {}

    def poke(self) -> None:
        """There is something."""
        self._poked.set()

    def stop(self) -> None:
        """End soon; what waits stays on the disk."""
        self._stopped.set()
        self._poked.set()

    def run(self) -> None:
        """Write until stopped."""
        while not self._stopped.is_set():
            self._poked.clear()
            seconds = self.work()
            # While the server is away more work is no reason to ask it sooner.
            (self._stopped if self._failures else self._poked).wait(seconds)

    def work(self) -> float:
        """Write what can be written; after how many seconds to come again, if nobody pokes."""
        now = self._clock()
        self._refusing = {namespace: until for namespace, until in self._refusing.items() if until > now}
        failed: dict[str, KubeError] = {}
        in_a_row = 0
        for number in self._spool.waiting():
            entry = self._spool.read(number)
            if self._stopped.is_set() or entry is None or self._namespace(entry) in {*self._refusing, *failed}:
                continue
            error = self._tried(number, entry)
            in_a_row = 0 if error is None else in_a_row + 1
            if error is not None:
                failed[self._namespace(entry)] = error
            if in_a_row == _AWAY or isinstance(error, UnreachableError):
                break
        if failed:
            return self._later(list(failed.values())[-1])
        self._failures = 0
        return min((until - now for until in self._refusing.values()), default=_IDLE_SECONDS)

    def _tried(self, number: int, entry: Entry) -> KubeError | None:
        """Write it; the error that says that the server cannot now."""
        try:
            self._write(entry)
        except KubeError as error:
            if not _will_pass(error):
                self._refused(number, entry, error)
                return None
            self._failed(self._namespace(entry), error)
            return error
        self._failing.pop(self._namespace(entry), None)
        self._spool.remove(number)
        return None

    def _write(self, entry: Entry) -> None:
        if isinstance(entry, Amended):
            status = MemoryGuardDecisionStatus(verdict=entry.verdict, kernel_oom_kills=entry.kernel_oom_kills)
            self._amend(entry.decision.partition("/")[2], self._namespace(entry), status)
            return
        news = entry.news
        if news.decision is not None:
            self._record(entry, news.decision)
        if news.outcome is not None:
            self._amend(news.outcome.id, self._namespace(entry), outcome_status(news.outcome, news.at))
        for notice in notices(entry, self._find_policy, node_reference(self._node, self._node_uid())):
            self._recorder.emit(notice)
        learned = vpa_notice(entry) if self._vpa_events else None
        if learned is not None:
            self._recorder.emit(learned)

    def _record(self, entry: Told, decision: Decision) -> None:
        namespace, at = self._namespace(entry), entry.news.at
        content = record(decision, namespace=namespace, node=self._node, taken_at=at, policy=entry.policy)
        with suppress(AlreadyExistsError):  # written before a crash, or the answer to it was lost
            self._client.create(DECISIONS, content, namespace)
        self._amend(decision.id, namespace, first_status(decision))

    def _amend(self, name: str, namespace: str, status: MemoryGuardDecisionStatus) -> None:
        with suppress(NotFoundError):  # its time was over, or it was refused
            self._client.merge_patch(DECISIONS, name, {"status": body(status)}, namespace, subresource="status")

    def _later(self, error: KubeError) -> float:
        """The server is away: come again, more and more slowly."""
        if not self._failures:
            self._journal.write("unavailable", what="API server", waiting=len(self._spool), reason=str(error))
        self._failures += 1
        return BACKOFF.delay_seconds(self._failures, self._random, error.retry_after_seconds)

    def _failed(self, namespace: str, error: KubeError) -> None:
        failures = self._failing.pop(namespace, 0) + 1
        if failures < MOST_FAILURES:
            self._failing[namespace] = failures
        else:
            self._pass_over(namespace, error)

    def _pass_over(self, namespace: str, error: KubeError) -> None:
        self._refusing[namespace] = self._clock() + REFUSED_SECONDS
        self._journal.write("refused", namespace=namespace, again=REFUSED_SECONDS, reason=str(error))

    def _refused(self, number: int, entry: Entry, error: KubeError) -> None:
        namespace = self._namespace(entry)
        may_change = isinstance(error, ForbiddenError | NotFoundError)
        if may_change and self._wall() - _at(entry).timestamp() < HOPELESS_SECONDS:
            self._pass_over(namespace, error)
            return
        self._spool.set_aside(number)
        self._journal.write("aside", namespace=namespace, entry=number, reason=str(error))

    def _namespace(self, entry: Entry) -> str:
        """Where its record is."""
        if isinstance(entry, Amended):
            return entry.decision.partition("/")[0]
        return namespace_of(entry.news.victim, self._system_namespace)


def _will_pass(error: KubeError) -> bool:
    """Is it the server that cannot now, whatever it is asked?"""
    return error.passing or isinstance(error, UnauthorizedError | ConflictError)


def _at(entry: Entry) -> datetime:
    return entry.news.at if isinstance(entry, Told) else entry.at
