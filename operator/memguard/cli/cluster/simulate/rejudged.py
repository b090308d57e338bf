"""A candidate of then or now under other policies: other points, other exclusions, the readings as they were. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from memguard.core.compile import Compiled
from memguard.core.exclusion import exclusion, lifted
from memguard.core.model import Container, Identity, unread
from memguard.core.policy import workload


class Plans(NamedTuple):
    """Of one node: as the policies are, and as they would be."""

    before: Compiled
    after: Compiled


class Known:
    """Who is who now: a record has no labels. Where its pod is gone, another of the same workload stands in."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._by_id: dict[str, Identity] = {}
        self._by_title: dict[str, Identity] = {}
        self._by_workload: dict[str, Identity] = {}
        for one in identities:
            container = unread(one)
            self._by_id[one.id] = one
            self._by_title[container.title] = one
            self._by_workload[workload(container)] = one

    def find(self, identity: str, title: str = "", workload_: str = "") -> Identity | None:
        """By id, else by name, else by workload."""
        return self._by_id.get(identity) or self._by_title.get(title) or self._by_workload.get(workload_)


class Rejudged(NamedTuple):
    """`excluded`: by a policy, or by what no policy decides; the threshold is not looked at.

    `unsure`: it is excluded as it was then, and whether it would be cannot be told.
    """

    container: Container
    score: int
    excluded: str | None
    unsure: bool = False


def rejudged(container: Container, score: int, told: str | None, plans: Plans) -> Rejudged:
    """Who scored so much, and was excluded for what was `told`."""
    before, after = plans.before.plan, plans.after.plan
    shift = after.rule_for(container).adjustment - before.rule_for(container).adjustment
    excluded = exclusion(container, after.rule_for(container), after)
    free = told is None or excluded is not None or lifted(told, container, before, after)
    return Rejudged(container, max(0, min(1000, score + shift)), excluded if free else told, unsure=free is None)
