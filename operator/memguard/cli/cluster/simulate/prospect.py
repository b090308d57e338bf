"""The nodes as they stand now, under policies that are not in force: who would be nearest to being chosen. Pure."""

from __future__ import annotations

from datetime import datetime

from memguard.api.node_memory import NodeMemoryStatus
from memguard.cli.cluster.simulate.rejudged import Known, Plans, rejudged
from memguard.core.domain import Domain, reserve
from memguard.core.history import Gauge
from memguard.core.model import Level, Record, unread
from memguard.core.policy import Mode, Plan
from memguard.core.pressure import assess


class Nearest(Record, frozen=True, kw_only=True):
    """The container that is nearest to being chosen. `chosen`: its score reaches the threshold of the report."""

    container: str
    score: int
    threshold_score: float | None
    chosen: bool
    mode: Mode
    policy: str


class NodeProspect(Record, frozen=True, kw_only=True):
    """One node, as the policies are and as they would be; None: nobody of its report may be chosen.

    By a report of this age; `silent`: it is too old to say how things are.
    """

    node: str
    age_seconds: float | None
    silent: bool
    level: Level | None
    policy: str
    before: Nearest | None
    after: Nearest | None


def prospect(node: str, status: NodeMemoryStatus, plans: Plans, known: Known, now: datetime) -> NodeProspect:
    """By the node's last report: ten containers, the guard's own scores, other points and exclusions."""
    return NodeProspect(
        node=node,
        age_seconds=status.age_seconds(now),
        silent=status.silent(now),
        level=status.level,
        policy=plans.after.cluster,
        before=_nearest(status, Plans(plans.before, plans.before), known),
        after=_nearest(status, plans, known),
    )


def _nearest(status: NodeMemoryStatus, plans: Plans, known: Known) -> Nearest | None:
    plan, threshold = plans.after.plan, _threshold(status, plans.before.plan, plans.after.plan)
    listed = ((entry, known.find(entry.id)) for entry in status.top)
    found = [(rejudged(unread(who), entry.score, entry.excluded, plans), entry) for entry, who in listed if who]
    allowed = [both for both in found if both[0].excluded is None]
    if not allowed:
        return None
    first, _ = max(allowed, key=lambda both: (both[0].score, both[1].footprint_bytes, both[1].id))
    return Nearest(
        container=first.container.title,
        score=first.score,
        threshold_score=threshold,
        chosen=threshold is not None and first.score >= threshold,
        mode=plan.mode_for(first.container),
        policy=plan.rule_for(first.container).policy,
    )


def _threshold(status: NodeMemoryStatus, before: Plan, after: Plan) -> float | None:
    """The guard's own; reckoned anew, without growth, where other figures of the decision are asked for."""
    if after.settings == before.settings or status.total_bytes is None or status.available_bytes is None:
        return status.threshold_score
    total = status.total_bytes
    domain = Domain("node", "", total, status.available_bytes, reserve(total, after.settings))
    return assess(domain, Gauge(), 0.0, after.settings).threshold_score
