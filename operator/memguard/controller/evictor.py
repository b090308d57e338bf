"""Has a pod evicted: asks first, writes it down, then does it. Whoever comes after us finds what was meant."""

from __future__ import annotations

from datetime import datetime

from memguard.controller.decision import Decided
from memguard.controller.deeds import Deeds
from memguard.controller.eviction import Eviction
from memguard.controller.lender import Lender
from memguard.controller.mandate import Mandate
from memguard.controller.resources import RecordedDecision, Report
from memguard.core.decision import Decision, Outcome
from memguard.core.ladder import is_virtual_machine
from memguard.core.model import Container
from memguard.core.refusal import DEPOSED, LENT, Refusal, refused
from memguard.errors import KubeError, ServerError, TooManyRequestsError, UnreachableError
from memguard.kube.objects import Pod


class Evictor:
    """On one node, one pod at a time."""

    def __init__(self, mandate: Mandate, deeds: Deeds, lender: Lender, decided: Decided) -> None:
        self._mandate, self._deeds, self._lender, self._decided = mandate, deeds, lender, decided
        self._eviction: Eviction | None = None
        self._failed: set[str] = set()

    @property
    def busy(self) -> bool:
        """Is somebody on the way?"""
        return self._eviction is not None and not self._eviction.over

    def evict(
        self, pod: Pod, container: Container, decision: Decision, report: Report, now: datetime, *, weary: bool
    ) -> Refusal | None:
        """Have it go for the sake of this container; why not, if it may not. Raises KubeError.

        `weary`: ended in place again and again; it is to leave the node.
        """
        claim, policy = (pod.metadata.namespace, decision.id), self._mandate.plan.rule_for(container).policy
        why_not = self._hindrance(pod, container, now)
        if why_not is None:
            why_not = self._mandate.claim(claim, container, now, moving=weary, in_place=False)
        if why_not is not None:
            return why_not
        why_not = self._mandate.record(decision, policy, now)
        if why_not is None:
            why_not = self._begin(pod, container, decision, report, now)
        if why_not is not None:
            self._mandate.release(claim)
            return why_not
        self._lender.spent(self._mandate.name, container)
        self._decided(decision, policy)
        return None

    def resume(self, record: RecordedDecision, now: datetime) -> None:
        """Go on with one that another operator began, or we before a restart. Raises KubeError."""
        self._eviction = Eviction.resumed(self._deeds, record, now)

    def follow(self, report: Report | None, now: datetime) -> Outcome | None:
        """What became of whoever is on the way, once it is known. Raises KubeError."""
        return self._eviction.follow(report, now) if self._eviction is not None and self.busy else None

    def _hindrance(self, pod: Pod, container: Container, now: datetime) -> Refusal | None:
        """What stands against it: loans to other nodes, or the API server."""
        if not self._lender.spares(self._mandate.name, container, now):
            return LENT
        return None if is_virtual_machine(container) else self._tried(pod)  # a dry run would not have it migrate

    def _tried(self, pod: Pod) -> Refusal | None:
        """A dry run of its eviction. What fails twice in a row is the pod's own trouble, and not the server's.

        A pod with two PodDisruptionBudgets, say, is a 500.
        """
        uid = pod.metadata.uid
        try:
            why_not = self._deeds.evict(pod, dry_run=True)
        except (ServerError, TooManyRequestsError) as error:
            if uid not in self._failed:
                self._failed.add(uid)
                raise
            why_not = refused("the eviction", error.problem)
        self._failed.discard(uid)
        return why_not

    def _begin(
        self, pod: Pod, container: Container, decision: Decision, report: Report, now: datetime
    ) -> Refusal | None:
        """Ask for it, unless another leads by now; without an answer it may have been done, and `follow` looks."""
        eviction = Eviction.begun(
            self._deeds, pod, decision, report.available_bytes, now, migrates=is_virtual_machine(container)
        )
        self._eviction = eviction
        try:
            why_not = self._deeds.evict(pod) if self._mandate.acts() else DEPOSED
        except UnreachableError:
            raise
        except KubeError:
            eviction.give_up(now)
            raise
        if why_not is not None:
            eviction.give_up(now)
        return why_not
