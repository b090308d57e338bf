"""How the node stands, as its NodeMemory says it: the guard's last word and what the agent knows of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from memguard import __version__
from memguard.agent.ledger import Ledger
from memguard.agent.plan_store import KeptPlan
from memguard.agent.presence import Presence
from memguard.api.meta import Condition, condition, updated
from memguard.api.node_memory import NodeCapability, NodeMemoryStatus, NodeScorecard, PlanInForce, TopContainer
from memguard.core.explain import size
from memguard.core.link import Standing, Status
from memguard.core.notes import Note

#: A new plan is answered within milliseconds; until then the guard has no other than it had.
ANSWER = timedelta(seconds=5)
#: More would be a list; the policies' own status has them all.
_NAMED = 3


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report is made of.

    `missing`: the guard is gone for longer than it takes to begin anew. `fresh`: it spoke lately. `generation`: of the
    spec that is heeded.
    `planless`: why there is no plan of what the policies say now. `stopped`: this is the agent's last word.
    """

    now: datetime
    presence: Presence
    missing: bool
    fresh: bool
    ledger: Ledger
    kept: KeptPlan | None = None
    current: bool = False
    planless: str = ""
    notes: tuple[Note, ...] = ()
    generation: int | None = None
    before: tuple[Condition, ...] = ()
    stopped: bool = False


def report(outlook: Outlook) -> NodeMemoryStatus:
    """The whole status."""
    tally, kept = outlook.ledger.card.total, outlook.kept
    known = NodeMemoryStatus(
        observed_generation=outlook.generation,
        conditions=updated(outlook.before, conditions(outlook)),
        orders=outlook.ledger.answers,
        plan=PlanInForce(version=kept.plan.version, policy=kept.cluster) if kept else None,
        scorecard=NodeScorecard(
            hits=tally.hits, false_alarms=tally.false_alarms, misses=tally.misses, since=outlook.ledger.since
        ),
        agent_version=__version__,
    )
    status = outlook.presence.status
    return known if status is None else _with_the_guards(known, status)


class Finding(NamedTuple):
    """Whether an aspect holds, why in one word, and in a sentence."""

    holds: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def conditions(outlook: Outlook) -> tuple[Condition, ...]:
    """Ready, Fit, Acting and PlanCurrent, as they are found now."""
    found = {
        "Ready": _ready(outlook),
        "Fit": _fit(outlook),
        "Acting": _acting(outlook),
        "PlanCurrent": _plan_current(outlook),
    }
    return tuple(
        condition(
            kind,
            holds={"True": True, "False": False}.get(one.holds),
            reason=one.reason,
            message=one.message,
            now=outlook.now,
            generation=outlook.generation,
        )
        for kind, one in found.items()
    )


def _ready(outlook: Outlook) -> Finding:
    status = outlook.presence.status
    if outlook.stopped:
        return Finding("False", "AgentStopped", "the agent was stopped; the guard goes on")
    if outlook.missing:
        reason = "ProtocolMismatch" if outlook.presence.mismatch else "GuardNotConnected"
        return Finding("False", reason, outlook.presence.problem)
    if status is None or not outlook.fresh:
        return Finding("False", "GuardSilent", "the guard does not say how things stand")
    if _without_plan(status, outlook):
        return Finding("False", "NoPlan", "the guard has no plan, or an older one")
    return Finding("True", "GuardReports")


def _without_plan(status: Status, outlook: Outlook) -> bool:
    kept = outlook.kept
    if kept is None or status.plan is None:
        return True
    return status.plan != kept.plan.version and outlook.now - kept.made_at > ANSWER


def _fit(outlook: Outlook) -> Finding:
    status = outlook.presence.status
    if status is None:
        return Finding("Unknown", "Unknown", "the guard has not said yet")
    return Finding("True", "Fit") if status.unfit is None else Finding("False", "Unfit", status.unfit)


def _acting(outlook: Outlook) -> Finding:
    status = outlook.presence.status
    if status is None or outlook.missing:
        return Finding("Unknown", "Unknown", "the guard does not say")
    if status.mode == "Enforce":
        return Finding("True", "Enforce")
    if status.unfit is not None:
        return Finding("False", "Unfit", status.unfit)
    return Finding("False", "Observe", "no policy that counts here says Enforce")


def _plan_current(outlook: Outlook) -> Finding:
    if not outlook.current:
        what = "the plan is an older one" if outlook.kept else "there is no plan yet"
        return Finding("False", "PoliciesUnknown", f"{what}: {outlook.planless}")
    ignored = [note for note in outlook.notes if note.kind == "Broken"]
    if ignored:
        shown = "; ".join(f"{note.policy}: {note.reason}" for note in ignored[:_NAMED])
        return Finding("False", "PolicyIgnored", f"{len(ignored)} policies are ignored. {shown}")
    return Finding("True", "PlanCurrent")


def _with_the_guards(known: NodeMemoryStatus, status: Status) -> NodeMemoryStatus:
    return msgspec.structs.replace(
        known,
        observed_at=status.at,
        level=status.level,
        mode=status.mode,
        domain=status.domain,
        pressure=status.pressure,
        threshold_score=status.threshold_score,
        total_bytes=status.total_bytes,
        available_bytes=status.available_bytes,
        reserve_bytes=status.reserve_bytes,
        headroom_bytes=status.headroom_bytes,
        headroom=size(status.headroom_bytes),
        exhaustion_seconds=status.exhaustion_seconds,
        containers=status.containers,
        unmapped_containers=status.unmapped,
        kernel_oom_kills=status.kernel_oom_kills,
        top=tuple(map(_top, status.top)),
        capabilities=tuple(NodeCapability(name=one.name, ok=one.ok, detail=one.detail) for one in status.capabilities),
        guard_version=status.version,
    )


def _top(one: Standing) -> TopContainer:
    return TopContainer(
        namespace=one.namespace,
        pod=one.pod,
        name=one.name,
        score=one.score,
        footprint_bytes=one.footprint_bytes,
        limit_bytes=one.limit_bytes,
        limit_seconds=one.limit_seconds,
        excluded=one.excluded,
    )
