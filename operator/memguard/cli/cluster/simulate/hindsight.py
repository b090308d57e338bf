"""The decisions that were recorded, under policies that were not in force then: what would have been different. Pure.

A record has the victim's score and that of whoever was compared with it, so a choice can be made again as far as
policies decide it: who is protected, whose points are others, who is only observed. Pressure and readings are those of
then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from memguard.api.decision import DecidedCandidate, MemoryGuardDecision
from memguard.cli.cluster.simulate.rejudged import Known, Plans, rejudged
from memguard.core.exclusion import BELOW_THRESHOLD
from memguard.core.explain import size
from memguard.core.model import Container, Moment, Record, container_title, titled, unread
from memguard.core.policy import Mode, Plan
from memguard.core.replay import LISTED

Outcome = Literal["same", "acted", "observed", "spared", "another", "unknown"]
WORDS: Mapping[Outcome, str] = {
    "same": "as it was",
    "acted": "would have acted, where it was only observed",
    "observed": "would only have been observed, where it was done",
    "spared": "nobody would have been chosen",
    "another": "another would have been chosen",
    "unknown": "cannot be told",
}


class Hindsight(Record, frozen=True, kw_only=True):
    """One recorded decision, and what it would have been."""

    name: str
    namespace: str
    at: Moment
    victim: str
    mode: Mode
    would: Mode | None
    outcome: Outcome
    words: str


class _Standing(NamedTuple):
    candidate: DecidedCandidate
    badness: float
    excluded: str | None
    container: Container
    unsure: bool


def hindsight(record: MemoryGuardDecision, plans: Plans | None, known: Known) -> Hindsight:
    """What this decision would have been."""
    victim = record.spec.victim
    title = container_title(victim.namespace, victim.pod, victim.name, victim.id[:12])
    outcome, would, words = _judged(record, plans, known, title)
    return Hindsight(
        name=record.metadata.name,
        namespace=record.metadata.namespace,
        at=record.spec.taken_at,
        victim=title,
        mode=record.spec.mode,
        would=would,
        outcome=outcome,
        words=words or WORDS[outcome],
    )


def _judged(
    record: MemoryGuardDecision, plans: Plans | None, known: Known, title: str
) -> tuple[Outcome, Mode | None, str]:
    if plans is None:
        return "unknown", None, f"its node {record.spec.node} is gone, and with it the labels that choose its policy"
    unsure = _unsure(record, plans, known, title)
    return ("unknown", None, unsure) if unsure else _chosen_anew(record, plans, known, title)


def _chosen_anew(
    record: MemoryGuardDecision, plans: Plans, known: Known, title: str
) -> tuple[Outcome, Mode | None, str]:
    own, after = record.spec.victim.id, plans.after.plan
    standings = [_standing(one, record, plans, known) for one in _candidates(record, title)]
    allowed = sorted((one for one in standings if one.excluded is None), key=lambda one: -one.badness)
    excluded = next((one.excluded for one in standings if one.candidate.id == own), None)
    first = allowed[0] if allowed else None
    if doubt := _doubt(standings, first):
        return "unknown", None, doubt
    if first is None:
        return "spared", None, f"nobody: {excluded}" if excluded else ""
    if first.candidate.id != own:
        why = f", because {excluded}" if excluded else ""
        return "another", after.mode_for(first.container), f"{first.candidate.title} instead{why}"
    if record.spec.domain.partition(":")[0] in ("container", "pod") and not after.rule_for(first.container).guard_limit:
        return "spared", None, "its own limit would not have been guarded (limit.guard)"
    return _carried_out(record, after, first.container)


def _doubt(standings: Sequence[_Standing], first: _Standing | None) -> str:
    """Why it cannot be told who would have been chosen, if anybody."""
    for one in standings:
        if one.unsure and (first is None or one.badness > first.badness):
            return f"{one.candidate.title} was left alone then ({one.excluded}), and might not be now"
    if first is None and len(standings) >= LISTED:
        return f"none of the {len(standings)} that were recorded, and whoever else was there was not"
    return ""


def _carried_out(record: MemoryGuardDecision, plan: Plan, container: Container) -> tuple[Outcome, Mode, str]:
    """The same one is chosen: would it have been done?"""
    mode = plan.mode_for(container)
    if mode == record.spec.mode:
        return "same", mode, ""
    if mode == "Observe":
        return "observed", mode, ""
    came = {
        "Hit": "before the kernel's OOM killer came",
        "FalseAlarm": "needlessly: the kernel's OOM killer did not come",
    }
    verdict = came.get(record.status.verdict or "", "whether in time, or needlessly, was not judged")
    freed = size(record.spec.expected_bytes)
    return "acted", mode, f"{record.spec.action}, which was expected to free {freed}; {verdict}"


def _candidates(record: MemoryGuardDecision, title: str) -> tuple[DecidedCandidate, ...]:
    """With the victim, also where a record lists none (a resize, a pod moved for its restarts)."""
    spec = record.spec
    if any(one.id == spec.victim.id for one in spec.candidates):
        return spec.candidates
    own = DecidedCandidate(id=spec.victim.id, title=title, score=spec.score, badness=spec.badness)
    return (own, *spec.candidates)


def _standing(one: DecidedCandidate, record: MemoryGuardDecision, plans: Plans, known: Known) -> _Standing:
    found = rejudged(_container(one, record, known), one.score, one.excluded, plans)
    threshold, excluded = record.spec.threshold_score, found.excluded
    if excluded is None and found.score < threshold:
        excluded = f"{BELOW_THRESHOLD} of {threshold:.0f}"
    return _Standing(one, one.badness + (found.score - one.score) / 1000, excluded, found.container, found.unsure)


def _container(one: DecidedCandidate, record: MemoryGuardDecision, known: Known) -> Container:
    victim = record.spec.victim
    found = known.find(one.id, one.title, victim.workload if one.id == victim.id else "")
    return unread(found or titled(one.id, one.title))


def _unsure(record: MemoryGuardDecision, plans: Plans, known: Known, title: str) -> str:
    """Nobody knows the labels of a pod that is gone, and there are policies that choose by them."""
    victim = record.spec.victim
    if known.find(victim.id, title, victim.workload) is not None:
        return ""
    choosy = [
        rule.policy
        for plan in plans
        for rule in plan.plan.rules
        if rule.match.namespace == victim.namespace and (rule.match.labels or rule.match.expressions)
    ]
    return f"its pod is gone, and {choosy[0]} chooses by labels" if choosy else ""
