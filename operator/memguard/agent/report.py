"""How the node stands, as its NodeMemory says it: the guard's last word and what the agent knows of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from memguard import __version__
from memguard.agent.ledger import Ledger
from memguard.agent.plan_store import KeptPlan
from memguard.agent.presence import Presence
from memguard.api.meta import Condition, condition, updated
from memguard.api.node_memory import (
    NodeCapability,
    NodeMemoryStatus,
    NodeScorecard,
    PlanInForce,
    PolicyTally,
    TopContainer,
)
from memguard.core.explain import size
from memguard.core.link import Status, Top
from memguard.core.notes import Note
from memguard.core.scorecard import Tally, together

#: A new plan is answered within milliseconds; until then the guard has no other than it had.
ANSWER = timedelta(seconds=5)
#: More would be a list; the policies' own status has them all.
_NAMED = 3


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report is made of.

    `missing`: the guard is gone for longer than it takes to begin anew. `fresh`: it spoke lately. `planless`: why there
    is no plan of what the policies say now. `halted`: who stops all, by the plan. `generation`: of the spec
    that is heeded. `stopped`: this is the agent's last word.
    """

    now: datetime
    presence: Presence
    missing: bool
    fresh: bool
    ledger: Ledger
    kept: KeptPlan | None = None
    current: bool = False
    planless: str = ""
    halted: str = ""
    notes: tuple[Note, ...] = ()
    generation: int | None = None
    before: tuple[Condition, ...] = ()
    stopped: bool = False


def report(basis: Basis) -> NodeMemoryStatus:
    """The whole status."""
    kept = basis.kept
    known = NodeMemoryStatus(
        observed_generation=basis.generation,
        conditions=updated(basis.before, conditions(basis)),
        orders=basis.ledger.answers,
        plan=PlanInForce(version=kept.plan.version, policy=kept.cluster) if kept else None,
        scorecard=_scorecard(basis.ledger),
        agent_version=__version__,
    )
    status = basis.presence.status
    return known if status is None else _with_the_guards(known, status)


def _scorecard(ledger: Ledger) -> NodeScorecard:
    card, earlier = ledger.card, ledger.earlier
    total, policies = together((card.total, earlier)), dict(card.policies)
    for one in earlier.policies:
        policies[one.policy] = together((one, policies.get(one.policy, Tally())))
    busiest = sorted(policies.items(), key=lambda pair: (-sum(msgspec.structs.astuple(pair[1])), pair[0]))
    return NodeScorecard(
        hits=total.hits,
        false_alarms=total.false_alarms,
        misses=total.misses,
        since=earlier.since or ledger.since,
        policies=tuple(
            PolicyTally(policy=name, hits=one.hits, false_alarms=one.false_alarms, misses=one.misses)
            for name, one in busiest
        ),
    )


class Finding(NamedTuple):
    """Why an aspect holds or not, in one word and in a sentence; None: it is not known."""

    reason: str
    message: str = ""
    holds: bool | None = False


def conditions(basis: Basis) -> tuple[Condition, ...]:
    """Ready, Fit, Acting and PlanCurrent, as they are found now."""
    found = {
        "Ready": _ready(basis),
        "Fit": _fit(basis),
        "Acting": _acting(basis),
        "PlanCurrent": _plan_current(basis),
    }
    return tuple(
        condition(
            kind,
            holds=one.holds,
            reason=one.reason,
            message=one.message,
            now=basis.now,
            generation=basis.generation,
        )
        for kind, one in found.items()
    )


def _ready(basis: Basis) -> Finding:
    status = basis.presence.status
    if basis.stopped:
        return Finding("AgentStopped", "the agent was stopped; the guard goes on")
    if basis.missing:
        reason = "ProtocolMismatch" if basis.presence.mismatch else "GuardNotConnected"
        return Finding(reason, basis.presence.problem)
    if status is None or not basis.fresh:
        return Finding("GuardSilent", "the guard does not say how things stand")
    if _without_plan(status, basis):
        return Finding("NoPlan", "the guard has no plan, or an older one")
    return Finding("GuardReports", holds=True)


def _without_plan(status: Status, basis: Basis) -> bool:
    kept = basis.kept
    if kept is None or status.plan is None:
        return True
    return status.plan != kept.plan.version and basis.now - kept.made_at > ANSWER


def _fit(basis: Basis) -> Finding:
    status = basis.presence.status
    if status is None:
        return Finding("Unknown", "the guard has not said yet", holds=None)
    return Finding("Fit", holds=True) if status.unfit is None else Finding("Unfit", status.unfit)


def _acting(basis: Basis) -> Finding:
    status = basis.presence.status
    if status is None or basis.missing:
        return Finding("Unknown", "the guard does not say", holds=None)
    if status.mode == "Enforce":
        return Finding("Enforce", holds=True)
    if basis.halted:
        return Finding("EmergencyStop", f"nothing is enforced: stopped by {basis.halted}")
    if status.unfit is not None:
        return Finding("Unfit", status.unfit)
    return Finding("Observe", "no policy that counts here says Enforce")


def _plan_current(basis: Basis) -> Finding:
    if not basis.current:
        what = "the plan is an older one" if basis.kept else "there is no plan yet"
        return Finding("PoliciesUnknown", f"{what}: {basis.planless}")
    ignored = [note for note in basis.notes if note.kind == "Broken"]
    if ignored:
        shown = "; ".join(f"{note.policy}: {note.reason}" for note in ignored[:_NAMED])
        return Finding("PolicyIgnored", f"{len(ignored)} policies are ignored. {shown}")
    return Finding("PlanCurrent", holds=True)


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


def _top(one: Top) -> TopContainer:
    return TopContainer(
        id=one.id,
        namespace=one.namespace,
        pod=one.pod,
        name=one.name,
        score=one.score,
        footprint_bytes=one.footprint_bytes,
        shmem_bytes=one.shmem_bytes,
        limit_bytes=one.limit_bytes,
        limit_seconds=one.limit_seconds,
        largest_limit_bytes=one.largest_limit_bytes,
        excluded=one.excluded,
    )
