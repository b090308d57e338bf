import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import container

from memguard.core.budget import RecentKills
from memguard.core.model import Container
from memguard.core.policy import Budget, RuleBudget

BUDGET = Budget(window_seconds=100, per_container=2, per_namespace=3, per_node=4)
A, B, C = (container(name, namespace="shop") for name in "abc")
OTHERS = [container(name, namespace=name) for name in "uvwxyz"]


def spent(*killed: Container, start: float = 0.0) -> RecentKills:
    recent = RecentKills()
    for index, one in enumerate(killed):
        recent = recent.spend(one, BUDGET, start + index)
    return recent


CASES = [
    ("nothing spent", [], A, None),
    ("once", [A], A, None),
    ("its own is spent", [A, A], A, "its own"),
    ("another's is not", [A, A], B, None),
    ("the namespace's is spent", [A, A, B], C, "namespace shop"),
    ("another namespace's is not", [A, A, B], OTHERS[0], None),
    ("the node's is spent", OTHERS[:4], A, "the node's"),
]


@pytest.mark.row("T4")
@pytest.mark.parametrize(("words", "killed", "one", "refusal"), CASES, ids=[row[0] for row in CASES])
def test_a_spent_budget_refuses_with_its_reason(
    words: str, killed: list[Container], one: Container, refusal: str | None
) -> None:
    found = spent(*killed).refusal(one, BUDGET, 50.0)
    assert (found is None) if refusal is None else (refusal in (found or ""))


@pytest.mark.row("T4")
def test_a_window_passes() -> None:
    recent = spent(A, A)
    assert recent.refusal(A, BUDGET, 100.5) is None
    assert recent.refusal(A, BUDGET, 99.5) is not None


def test_no_budget_is_no_kill() -> None:
    assert RecentKills().refusal(A, Budget(per_node=0), 0.0) is not None


@pytest.mark.row("T4")
def test_a_rule_narrows_the_budget_for_its_own() -> None:
    narrow = BUDGET.narrowed(RuleBudget(per_container=1))
    assert spent(A).refusal(A, narrow, 50.0) == "its own budget of 1 kills in 100 s is spent"
    assert spent(A).refusal(A, BUDGET, 50.0) is None
    assert spent(B).refusal(A, BUDGET.narrowed(RuleBudget(per_namespace=1)), 50.0) is not None
    assert BUDGET.narrowed(None) == BUDGET.narrowed(RuleBudget()) == BUDGET


maybe = st.none() | st.integers(1, 50)


@given(st.builds(RuleBudget, per_container=maybe, per_namespace=maybe), st.integers(0, 9), st.integers(0, 9))
def test_no_rule_widens_the_budget(by: RuleBudget, mine: int, near: int) -> None:
    whole = Budget(per_container=mine, per_namespace=near)
    found = whole.narrowed(by)
    assert found.per_container <= mine
    assert found.per_namespace <= near
    assert (found.per_node, found.window_seconds) == (whole.per_node, whole.window_seconds)
    assert found.generous == whole.generous, "the guard asks the whole budget first"


@given(st.lists(st.sampled_from([A, B, C, *OTHERS]), max_size=30))
def test_whoever_heeds_refusals_stays_within_the_budget(wanted: list[Container]) -> None:
    recent, killed = RecentKills(), []
    for index, one in enumerate(wanted):
        if recent.refusal(one, BUDGET, float(index)) is None:
            recent = recent.spend(one, BUDGET, float(index))
            killed.append(one)
    assert len(killed) <= BUDGET.per_node
    assert all(killed.count(one) <= BUDGET.per_container for one in killed)
    assert sum(one.namespace == "shop" for one in killed) <= BUDGET.per_namespace


def test_they_do_not_grow_for_ever() -> None:
    recent = RecentKills()
    for index in range(1000):
        recent = recent.spend(A, BUDGET, float(index))
    assert len(recent.kills) <= BUDGET.window_seconds + 1
