"""How much may still be killed: per container, namespace and node within a window."""

from __future__ import annotations

from datetime import datetime

import msgspec

from memguard.core.model import Container
from memguard.core.policy import Budget, Disruptions, workload


class Kill(msgspec.Struct, frozen=True, gc=False):
    """One kill that counts."""

    at: float
    workload: str
    namespace: str


class RecentKills(msgspec.Struct, frozen=True, gc=False):
    """The kills of the window, oldest first."""

    kills: tuple[Kill, ...] = ()

    def spend(self, container: Container, budget: Budget, now: float) -> RecentKills:
        """Those of the window after one more."""
        recent = tuple(kill for kill in self.kills if now - kill.at < budget.window_seconds)
        return RecentKills((*recent, Kill(now, workload(container), container.namespace or "")))

    def undisruptable(self, container: Container, lent: Disruptions, at: datetime, now: float) -> str | None:
        """Why its PodDisruptionBudget forbids it at this moment (`at`; the clock of the kills says `now`)."""
        if not lent.since <= at < lent.until:
            return None
        age = (at - lent.since).total_seconds()
        spent = sum(kill.workload == workload(container) and now - kill.at <= age for kill in self.kills)
        if spent < lent.count:
            return None
        return f"its PodDisruptionBudget has {'no more' * bool(spent) or 'nothing'} to spare for this node"

    def refusal(self, container: Container, budget: Budget, now: float) -> str | None:
        """Why this container may not be killed now; None if it may."""
        recent = [kill for kill in self.kills if now - kill.at < budget.window_seconds]
        mine = sum(kill.workload == workload(container) for kill in recent)
        near = sum(kill.namespace == (container.namespace or "") for kill in recent)
        for spent, allowed, scope in (
            (mine, budget.per_container, "its own"),
            (near, budget.per_namespace, f"the namespace {container.namespace}'s"),
            (len(recent), budget.per_node, "the node's"),
        ):
            if spent >= allowed:
                return f"{scope} budget of {allowed} kills in {budget.window_seconds:.0f} s is spent"
        return None
