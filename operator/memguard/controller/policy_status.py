"""What is said about each policy in its status: is it in force, what of it was clipped, who comes before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from memguard.api.meta import Condition, condition
from memguard.api.policies import (
    ClippedField,
    ClusterMemoryGuardPolicyStatus,
    LastDecision,
    MemoryGuardPolicyStatus,
    PolicyScorecard,
)
from memguard.core.notes import Note


class Known(NamedTuple):
    """What is known of one policy beside its notes."""

    generation: int
    matched_containers: int | None = None
    matched_nodes: int | None = None
    last: LastDecision | None = None
    scorecard: PolicyScorecard | None = None


def tenants_status(notes: Iterable[Note], known: Known, now: datetime) -> MemoryGuardPolicyStatus:
    """Of a tenant's policy."""
    notes = tuple(notes)
    clipped = tuple(
        ClippedField(field=one.field, asked=one.asked, granted=one.granted, reason=one.reason)
        for one in _of(notes, "Clipped")
    )
    return MemoryGuardPolicyStatus(
        conditions=(*_common(notes, known, now), _clipped(clipped, known, now)),
        observed_generation=known.generation,
        matched_containers=known.matched_containers,
        last_decision=known.last,
        scorecard=known.scorecard,
        clipped=clipped,
    )


def clusters_status(notes: Iterable[Note], known: Known, now: datetime) -> ClusterMemoryGuardPolicyStatus:
    """Of an administrators' policy."""
    return ClusterMemoryGuardPolicyStatus(
        conditions=_common(tuple(notes), known, now),
        observed_generation=known.generation,
        matched_containers=known.matched_containers,
        matched_nodes=known.matched_nodes,
        last_decision=known.last,
        scorecard=known.scorecard,
    )


def _of(notes: Iterable[Note], *kinds: str) -> tuple[Note, ...]:
    return tuple(one for one in notes if one.kind in kinds)


def _common(notes: tuple[Note, ...], known: Known, now: datetime) -> tuple[Condition, ...]:
    broken, idle = _of(notes, "Broken"), _of(notes, "Idle")
    ready = condition(
        "Ready",
        holds=not broken and not idle,
        reason="Unreadable" if broken else "NeverCounts" if idle else "InForce",
        message=(broken or idle)[0].reason if broken or idle else "",
        now=now,
        generation=known.generation,
    )
    after, before = _of(notes, "Idle", "Tied", "Later"), _of(notes, "First")
    conflict = condition(
        "Conflict",
        holds=bool(after),
        reason=_CONFLICTS[after[0].kind] if after else "ComesFirst" if before else "None",
        message=" ".join(f"{one.reason}." for one in (*after, *before)[:4]),
        now=now,
        generation=known.generation,
    )
    return ready, conflict


_CONFLICTS = {"Idle": "NeverCounts", "Tied": "ByNameAlone", "Later": "ByPrecedence"}


def _clipped(clipped: tuple[ClippedField, ...], known: Known, now: datetime) -> Condition:
    return condition(
        "Clipped",
        holds=bool(clipped),
        reason="BeyondGuardrails" if clipped else "AsAsked",
        message="; ".join(one.reason for one in clipped),
        now=now,
        generation=known.generation,
    )
