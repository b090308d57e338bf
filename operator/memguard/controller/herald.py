"""Who hears of a decision: metrics and journal at once, the owners of pod and policy by Events, when there is time."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from memguard.controller.metrics import Metrics
from memguard.controller.policy_book import PolicyBook
from memguard.core.decision import Decision
from memguard.core.notes import title_of
from memguard.kube.events import Notice, Recorder
from memguard.kube.objects import ObjectReference
from memguard.service.journal import Journal
from memguard.service.notices import decided
from memguard.service.resources import CLUSTER_POLICIES, POLICIES, reference


class Herald:
    """Any thread may tell it something."""

    def __init__(self, metrics: Metrics, journal: Journal, recorder: Recorder, book: PolicyBook) -> None:
        self._metrics, self._journal, self._recorder, self._book = metrics, journal, recorder, book
        self._notices: deque[Notice] = deque()

    def decided(self, decision: Decision, policy: str) -> None:
        """A decision, with the title of the policy that treats the victim."""
        self._metrics.decided(decision)
        self._journal.write("decision", decision=decision, policy=policy)
        self._notices.extend(decided(decision, self._reference(policy)))

    def announce(self) -> None:
        """Hand over the Events that are due."""
        with suppress(IndexError):
            while True:
                self._recorder.emit(self._notices.popleft())

    def _reference(self, title: str) -> ObjectReference | None:
        """The object of a policy; None for the one that is compiled in."""
        for resource, items in ((POLICIES, self._book.tenants()), (CLUSTER_POLICIES, self._book.clusters())):
            for one in items:
                if title_of(one.namespace, one.name) == title:
                    return reference(resource, one)
        return None
