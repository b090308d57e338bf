"""How much may still be ended, with all that the cluster did in mind: per workload, namespace, node, cluster. Pure.

The guards count their own node; here is counted what all of them and the operator have done, as it is recorded, so that
neither a restart nor another replica forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable

from memguard.core.model import Container, Record, Seconds
from memguard.core.policy import Budget, RuleBudget, workload

#: A container that was ended in place so often within half an hour is not helped by another restart.
WEARY_ENDS = 3
WEARY_SECONDS = 1800.0


class End(Record, frozen=True, kw_only=True):
    """A container was ended, in place or with its pod."""

    at: Seconds
    workload: str
    namespace: str
    node: str
    in_place: bool
    #: by the operator, or a guard at its order, and not by a guard's own reflex
    ordered: bool


class ClusterBudget(Record, frozen=True, kw_only=True):
    """What may be done within the window, beyond the node's own budget.

    `per_cluster` is for the operator and what guards do at its order: their own reflexes must not stop it.
    """

    budget: Budget
    per_cluster: int

    def refusal(
        self,
        ends: Iterable[End],
        container: Container,
        node: str,
        now: float,
        own: RuleBudget | None,
        *,
        moving: bool = False,
    ) -> str | None:
        """Why this container of that node may not be ended now; None if it may.

        `moving`: it is to leave the node because restarts there are of no use, so that those are not held against it.
        """
        allowed = self.budget.narrowed(own)
        recent = [end for end in ends if now - end.at < allowed.window_seconds]
        mine, where = workload(container), container.namespace or ""
        own_ends = (end for end in recent if end.workload == mine and end.node == node)
        for spent, most, whose in (
            (sum(not (moving and end.in_place) for end in own_ends), allowed.per_container, "its own"),
            (sum(end.namespace == where and end.node == node for end in recent), allowed.per_namespace, f"{where}'s"),
            (sum(end.node == node for end in recent), allowed.per_node, "the node's"),
            (sum(end.ordered for end in recent), self.per_cluster, "the cluster's"),
        ):
            if spent >= most:
                return f"{whose} budget of {most} in {allowed.window_seconds:.0f} s is spent"
        return None


def weary(ends: Iterable[End], name: str, node: str, now: float) -> bool:
    """Was this workload ended in place on the node again and again?"""
    own = (end for end in ends if end.in_place and end.workload == name and end.node == node)
    return sum(now - end.at < WEARY_SECONDS for end in own) >= WEARY_ENDS
