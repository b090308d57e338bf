"""What may be done on a node: by its plan, by the cluster's budgets, and by whoever leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from memguard.controller.archive import Archive
from memguard.controller.deeds import Deeds
from memguard.controller.policy_book import PolicyBook
from memguard.core.cluster_budget import ClusterBudget, End
from memguard.core.compile import Compiled
from memguard.core.decision import Decision
from memguard.core.model import Container
from memguard.core.policy import Plan, workload
from memguard.core.refusal import DEPOSED, Refusal
from memguard.kube.codec import Key
from memguard.kube.objects import Node


class Mandate:
    """For the node `name`. `compiled`: its plan, as it was made last; `acts`: are we who leads, and know enough?"""

    def __init__(self, name: str, book: PolicyBook, archive: Archive, deeds: Deeds, acts: Callable[[], bool]) -> None:
        self.name, self.acts = name, acts
        self._book, self._archive, self._deeds = book, archive, deeds
        self.compiled: Compiled | None = None
        #: Nothing may be ended on the node: its profile, or that it is not fit. Then we only observe there, too.
        self.watches_only = True

    @property
    def plan(self) -> Plan:
        """Who is treated how there."""
        return self.compiled.plan if self.compiled else Plan()

    def renew(self, node: Node, namespaces: Iterable[str]) -> Compiled | None:
        """The plan by the policies as they are now, of these namespaces, too; None while they are not known."""
        self.compiled = self._book.plan(node.metadata.labels, namespaces)
        return self.compiled

    def observes(self, container: Container) -> bool:
        """May it only be observed?"""
        return self.watches_only or self.plan.mode_for(container) == "Observe"

    def claim(self, key: Key, container: Container, now: datetime, *, moving: bool, in_place: bool) -> Refusal | None:
        """Have its end counted in the cluster's budgets, or hear which of them is spent."""
        at, name = now.timestamp(), workload(container)
        end = End(
            at=at, workload=name, namespace=container.namespace or "", node=self.name, in_place=in_place, ordered=True
        )
        budget = ClusterBudget(budget=self.plan.budget, per_cluster=self.compiled.per_cluster if self.compiled else 0)
        own = self.plan.rule_for(container).budget
        spent = self._archive.claim(
            key, end, lambda ends: budget.refusal(ends, container, self.name, at, own, moving=moving)
        )
        return None if spent is None else Refusal(cause="budget", words=spent)

    def release(self, key: Key) -> None:
        """It was not ended after all, or its own record is about to come."""
        self._archive.release(key)

    def record(self, decision: Decision, policy: str, now: datetime) -> Refusal | None:
        """Write it down before it is done, unless another leads by now: answers may take longer than the lease."""
        if not self.acts():
            return DEPOSED
        namespace = decision.victim.namespace or ""
        return self._deeds.record(decision, namespace=namespace, node=self.name, at=now, policy=policy)
