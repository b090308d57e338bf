"""The nodes as they stand now, under policies that are not in force: who would be nearest to being chosen. Pure."""

from __future__ import annotations

from typing import NamedTuple

from memguard.api.node_memory import NodeMemoryStatus, TopContainer
from memguard.cli.cluster.hindsight import Known, Plans
from memguard.core.compile import Compiled
from memguard.core.domain import Domain, reserve
from memguard.core.history import Gauge
from memguard.core.model import Container, Level, Record, unread
from memguard.core.policy import Mode, Plan
from memguard.core.pressure import assess
from memguard.core.select import BELOW_THRESHOLD, exclusion


class Nearest(Record, frozen=True, kw_only=True):
    """The container that is nearest to being chosen. `chosen`: its score reaches the threshold now."""

    container: str
    score: int
    threshold_score: float | None
    chosen: bool
    mode: Mode
    policy: str


class NodeProspect(Record, frozen=True, kw_only=True):
    """One node, as the policies are and as they would be; None: nobody of its report may be chosen."""

    node: str
    level: Level | None
    policy: str
    before: Nearest | None
    after: Nearest | None


class _Ranked(NamedTuple):
    score: int
    entry: TopContainer
    container: Container


def prospect(node: str, status: NodeMemoryStatus, plans: Plans, known: Known) -> NodeProspect:
    """By the node's last report: ten containers, the guard's own scores, other points and exclusions."""
    return NodeProspect(
        node=node,
        level=status.level,
        policy=plans.after.cluster,
        before=_nearest(status, plans.before.plan, plans.before, known),
        after=_nearest(status, plans.before.plan, plans.after, known),
    )


def _nearest(status: NodeMemoryStatus, before: Plan, compiled: Compiled, known: Known) -> Nearest | None:
    plan, threshold = compiled.plan, _threshold(status, before, compiled.plan)
    ranked = []
    for entry in status.top:
        found = known.find(entry.id)
        if found is None:
            continue
        container = unread(found)
        if _excluded(entry, container, before, plan) is None:
            shift = plan.rule_for(container).adjustment - before.rule_for(container).adjustment
            ranked.append(_Ranked(max(0, min(1000, entry.score + shift)), entry, container))
    if not ranked:
        return None
    first = max(ranked, key=lambda one: (one.score, one.entry.footprint_bytes, one.entry.id))
    return Nearest(
        container=first.container.title,
        score=first.score,
        threshold_score=threshold,
        chosen=threshold is not None and first.score >= threshold,
        mode=plan.mode_for(first.container),
        policy=plan.rule_for(first.container).policy,
    )


def _excluded(entry: TopContainer, container: Container, before: Plan, after: Plan) -> str | None:
    """By the plan; else by what the guard said that no policy is the reason of."""
    found = exclusion(container, after.rule_for(container), after)
    told = entry.excluded
    if found is not None or told is None or told.startswith(BELOW_THRESHOLD):
        return found
    return None if told == exclusion(container, before.rule_for(container), before) else told


def _threshold(status: NodeMemoryStatus, before: Plan, after: Plan) -> float | None:
    """The guard's own; reckoned anew, without growth, where other figures of the decision are asked for."""
    if after.settings == before.settings or status.total_bytes is None or status.available_bytes is None:
        return status.threshold_score
    total = status.total_bytes
    domain = Domain("node", "", total, status.available_bytes, reserve(total, after.settings))
    return assess(domain, Gauge(), 0.0, after.settings).threshold_score
