"""What may still be ended, after all that the whole cluster did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import container

from memguard.core.cluster_budget import WEARY_ENDS, WEARY_SECONDS, ClusterBudget, End, weary
from memguard.core.model import Container, Owner
from memguard.core.policy import Budget, RuleBudget, workload

BUDGET = ClusterBudget(budget=Budget(window_seconds=100, per_container=2, per_namespace=3, per_node=4), per_cluster=6)
MINE = container("mine", namespace="shop", owner=Owner(kind="Deployment", name="web"))
OTHERS = [container(name, namespace=name) for name in "uvwxyz"]
NEIGHBOUR = container("neighbour", namespace="shop")


def end(
    one: Container = MINE, at: float = 0.0, node: str = "n1", *, in_place: bool = True, ordered: bool = True
) -> End:
    where = one.namespace or ""
    return End(at=at, workload=workload(one), namespace=where, node=node, in_place=in_place, ordered=ordered)


def on(node: str, *those: Container) -> list[End]:
    return [end(one, node=node) for one in those]


CASES: list[tuple[str, list[End], str | None]] = [
    ("nothing was ended", [], None),
    ("once", on("n1", MINE), None),
    ("its own is spent", on("n1", MINE, MINE), "its own budget of 2"),
    ("an eviction counts as well", [end(in_place=False), end()], "its own budget of 2"),
    ("on another node it is not", on("n2", MINE, MINE, MINE), None),
    ("the namespace's is spent", on("n1", MINE, NEIGHBOUR, NEIGHBOUR), "shop's budget of 3"),
    ("of the namespace on another node", [*on("n1", MINE, NEIGHBOUR), *on("n2", NEIGHBOUR)], None),
    ("the node's is spent", on("n1", *OTHERS[:4]), "the node's budget of 4"),
    ("the cluster's is spent", on("n2", *OTHERS), "the cluster's budget of 6"),
    ("guards' own reflexes do not spend it", [end(one, node="n2", ordered=False) for one in OTHERS], None),
    ("it passes", [end(at=-100), end(at=-100)], None),
    ("it has not passed yet", [end(at=-99), end(at=-99)], "its own"),
]


@pytest.mark.row("K6")
@pytest.mark.parametrize(("words", "ends", "refusal"), CASES, ids=[row[0] for row in CASES])
def test_a_spent_budget_refuses_with_its_name(words: str, ends: list[End], refusal: str | None) -> None:
    found = BUDGET.refusal(ends, MINE, "n1", 0.0, None)
    assert found is None if refusal is None else refusal in (found or "")


@pytest.mark.row("K6")
def test_a_rule_narrows_it_for_its_own() -> None:
    own = RuleBudget(per_container=1)
    assert BUDGET.refusal(on("n1", MINE), MINE, "n1", 0.0, own) == "its own budget of 1 in 100 s is spent"
    assert BUDGET.refusal(on("n1", MINE, MINE), MINE, "n1", 0.0, RuleBudget(per_container=9)) is not None


@pytest.mark.row("K6")
def test_who_moves_away_does_so_because_of_its_restarts() -> None:
    """Three of them are what its own budget allows by default, and what makes it weary: it could never move."""
    restarts = on("n1", MINE, MINE)
    assert BUDGET.refusal(restarts, MINE, "n1", 0.0, None, moving=True) is None
    assert "its own" in (BUDGET.refusal([end(in_place=False)] * 2, MINE, "n1", 0.0, None, moving=True) or "")
    assert "shop's" in (BUDGET.refusal([*restarts, end()], MINE, "n1", 0.0, None, moving=True) or "")


def test_no_budget_is_no_end() -> None:
    assert ClusterBudget(budget=Budget(), per_cluster=0).refusal([], MINE, "n1", 0.0, None) is not None


@pytest.mark.row("K6")
@given(
    st.lists(st.tuples(st.sampled_from([MINE, NEIGHBOUR, *OTHERS]), st.sampled_from(["n1", "n2", "n3"])), max_size=40)
)
def test_whoever_heeds_refusals_stays_within_all_budgets(wanted: list[tuple[Container, str]]) -> None:
    ends: list[End] = []
    for one, node in wanted:
        if BUDGET.refusal(ends, one, node, 0.0, None) is None:
            ends.append(end(one, node=node))
    assert len(ends) <= 6
    for node in ("n1", "n2", "n3"):
        there = [one for one in ends if one.node == node]
        assert len(there) <= 4
        assert sum(one.namespace == "shop" for one in there) <= 3
        assert sum(one.workload == workload(MINE) for one in there) <= 2


WEARY: list[tuple[str, list[End], bool]] = [
    ("again and again", [end()] * WEARY_ENDS, True),
    ("not often enough", [end()] * (WEARY_ENDS - 1), False),
    ("evictions were elsewhere", [end(in_place=False)] * WEARY_ENDS, False),
    ("long ago", [end(at=-WEARY_SECONDS)] * WEARY_ENDS, False),
    ("on several nodes", [end(), end(), end(node="n2")], False),
    ("another of its namespace", [end(NEIGHBOUR)] * WEARY_ENDS, False),
]


@pytest.mark.row("K6")
@pytest.mark.parametrize(("words", "ends", "expected"), WEARY, ids=[row[0] for row in WEARY])
def test_weary_of_restarts_in_place(words: str, ends: list[End], expected: bool) -> None:
    assert weary(ends, workload(MINE), "n1", 0.0) == expected
