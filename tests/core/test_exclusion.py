"""Which reasons a policy decides: told by the very words that records have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.core.make import container

from memguard.core.budget import RecentKills
from memguard.core.exclusion import BELOW_THRESHOLD, OBSERVED, ONLY_EVICTED, exclusion, lifted, youth
from memguard.core.model import Container
from memguard.core.policy import Budget, Disruptions, Plan, Rule, Settings

ONE = container("a", namespace="shop", name="app", pod="x")
AT = datetime(2026, 11, 30, tzinfo=UTC)


def plan(*, budget: Budget | None = None, namespaces: tuple[str, ...] = (), **rule: object) -> Plan:
    settings = Settings(protected_namespaces=namespaces)
    return Plan(settings=settings, rules=(Rule(**rule),), budget=budget or Budget())  # type: ignore[arg-type]


def told(one: Container, under: Plan) -> str:
    found = exclusion(one, under.rule_for(one), under)
    assert found is not None
    return found


@pytest.mark.parametrize("before", [plan(namespaces=("shop",)), plan(protected=True), plan(actions=("brake",))])
def test_what_a_policy_forbade_is_looked_at_anew(before: Plan) -> None:
    assert lifted(told(ONE, before), ONE, Plan(), plan())  # whatever the policies are now


@pytest.mark.parametrize("fact", [{"type": "sandbox"}, {"static": True}, {"oom_score_adj": -1000}])
def test_what_a_container_is_no_policy_changes(fact: dict[str, object]) -> None:
    one = container("a", namespace="shop", **fact)
    assert lifted(told(one, plan()), one, plan(), plan(mode="Enforce")) is False


@pytest.mark.parametrize(
    ("words", "after", "free"),
    [
        (f"{BELOW_THRESHOLD} of 320", plan(), True),
        (OBSERVED, plan(mode="Enforce"), True),
        (OBSERVED, plan(mode="Observe"), False),
        (ONLY_EVICTED, plan(actions=("kill",)), True),
        (ONLY_EVICTED, plan(actions=("evict",)), False),
        (youth(20.4, 60.0), plan(minimum_age_seconds=20.0), True),
        (youth(20.4, 60.0), plan(minimum_age_seconds=21.0), False),
        ("ending it would free too little", plan(mode="Enforce"), False),
    ],
)
def test_the_others_by_what_the_policies_say_now(words: str, after: Plan, free: bool) -> None:
    assert lifted(words, ONE, plan(), after) is free


def test_of_a_budget_nobody_knows_what_another_would_have_left() -> None:
    tight = Budget(per_container=1)
    spent = RecentKills().spend(ONE, tight, 0.0)
    words = spent.refusal(ONE, tight, 1.0)
    assert words is not None
    before = plan(budget=tight)
    assert lifted(words, ONE, before, plan(budget=tight)) is False
    assert lifted(words, ONE, before, plan(budget=Budget(per_container=2))) is None
    lent = Disruptions(count=0, since=AT, until=AT + timedelta(seconds=60))
    words = RecentKills().undisruptable(ONE, lent, AT, 0.0)
    assert words is not None
    assert lifted(words, ONE, plan(), plan()) is False
    assert lifted(words, ONE, plan(), plan(override_disruption_budget=True)) is None
