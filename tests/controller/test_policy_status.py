"""What a policy's author reads in its status."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.objects import NOW

from memguard.api.meta import Condition, updated
from memguard.api.policies import LastDecision, PolicyScorecard
from memguard.api.wire import body
from memguard.controller.policy_status import Known, clusters_status, tenants_status
from memguard.core.notes import Note

KNOWN = Known(
    generation=3,
    matched_containers=7,
    matched_nodes=2,
    last=LastDecision(name="kill-1", namespace="shop", at=NOW, action="kill", mode="Enforce"),
    scorecard=PolicyScorecard(hits=1),
)


def note(kind: Any, reason: str = "why", **facts: str) -> Note:
    return Note(policy="shop/a", kind=kind, reason=reason, **facts)


CLIPPED = note("Clipped", "mode is Observe", field="mode", asked="Enforce", granted="Observe")

#: notes; status and reason of Ready, Conflict and Clipped
STATES: list[tuple[str, list[Note], list[str]]] = [
    ("nothing to say", [], ["True InForce", "False None", "False AsAsked"]),
    ("it cannot be read", [note("Broken")], ["False Unreadable", "False None", "False AsAsked"]),
    ("it never counts", [note("Idle")], ["False NeverCounts", "True NeverCounts", "False AsAsked"]),
    ("another by its name", [note("Tied")], ["True InForce", "True ByNameAlone", "False AsAsked"]),
    ("another by its precedence", [note("Later")], ["True InForce", "True ByPrecedence", "False AsAsked"]),
    ("it is the other", [note("First")], ["True InForce", "False ComesFirst", "False AsAsked"]),
    ("between two", [note("First"), note("Tied")], ["True InForce", "True ByNameAlone", "False AsAsked"]),
    ("not granted as asked", [CLIPPED], ["True InForce", "False None", "True BeyondGuardrails"]),
    ("all at once", [CLIPPED, note("Idle")], ["False NeverCounts", "True NeverCounts", "True BeyondGuardrails"]),
]  # fmt: skip


def said(conditions: tuple[Condition, ...]) -> list[str]:
    return [f"{one.status} {one.reason}" for one in conditions]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("words", "notes", "expected"), STATES, ids=[row[0] for row in STATES])
def test_a_tenant_sees_whether_it_counts_and_as_asked(words: str, notes: list[Note], expected: list[str]) -> None:
    status = tenants_status(iter(notes), KNOWN, NOW)
    assert [one.type for one in status.conditions] == ["Ready", "Conflict", "Clipped"]
    assert said(status.conditions) == expected
    assert {(one.last_transition_time, one.observed_generation) for one in status.conditions} == {(NOW, 3)}


@pytest.mark.row("K2")
def test_an_administrators_policy_is_clipped_by_nobody() -> None:
    status = clusters_status([note("Tied")], KNOWN, NOW)
    assert [one.type for one in status.conditions] == ["Ready", "Conflict"]
    assert said(status.conditions) == ["True InForce", "True ByNameAlone"]
    assert (status.matched_nodes, status.matched_containers, status.observed_generation) == (2, 7, 3)
    assert (status.last_decision, status.scorecard) == (KNOWN.last, KNOWN.scorecard)


@pytest.mark.row("G3")
def test_the_sentences_are_the_notes() -> None:
    notes = [note("Broken", "it cannot be read"), note("First", "it comes before b"), note("Later", "c is higher")]
    ready, conflict, clipped = tenants_status([*notes, CLIPPED, CLIPPED], KNOWN, NOW).conditions
    assert ready.message == "it cannot be read"
    assert conflict.message == "c is higher. it comes before b.", "first who comes before it"
    assert clipped.message == "mode is Observe; mode is Observe"


@pytest.mark.row("K2")
def test_each_field_with_what_was_asked_and_what_is_granted() -> None:
    [field] = tenants_status([CLIPPED], KNOWN, NOW).clipped
    assert (field.field, field.asked, field.granted, field.reason) == ("mode", "Enforce", "Observe", "mode is Observe")


def test_what_is_no_longer_so_is_taken_back() -> None:
    """A merge patch leaves what it does not name."""
    status = body(tenants_status([], KNOWN, NOW))
    assert status["clipped"] == []
    assert status["conditions"][0]["message"] == ""


def test_a_condition_keeps_the_time_since_when_it_holds() -> None:
    later = NOW.replace(hour=9)
    before = tenants_status([CLIPPED], KNOWN, NOW).conditions
    now = updated(before, tenants_status([], KNOWN, later).conditions)
    assert [one.last_transition_time for one in now] == [NOW, NOW, later]


def test_as_many_conflicts_as_a_person_reads() -> None:
    status = tenants_status([note("Later", f"p{number} is higher") for number in range(20)], KNOWN, NOW)
    assert status.conditions[1].message.count("higher") == 4
