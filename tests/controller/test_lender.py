"""Disruptions are lent to nodes, never more in all than a PodDisruptionBudget has to spare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.objects import NOW, reported
from tests.kube.scripted import Scripted, answer

from memguard.controller.lender import LOAN, RENEW, Lender
from memguard.controller.resources import ReportedNode
from memguard.core.advice import LentDisruptions
from memguard.core.model import Identity, Owner, unread
from memguard.kube.client import Client
from memguard.kube.codec import Codec, Listing
from memguard.kube.connection import Connection
from memguard.kube.objects import PodDisruptionBudget
from memguard.kube.wire import Wire

_codec = Codec(PodDisruptionBudget)
ALL: dict[str, Any] = {}
WEB = {"matchLabels": {"app": "web"}}


def identity(name: str = "web", namespace: str = "shop") -> Identity:
    return Identity(
        id=name,
        namespace=namespace,
        pod=f"{name}-1",
        name="app",
        owner=Owner(kind="Deployment", name=name),
        labels={"app": name},
    )


def key(name: str = "web") -> str:
    return f"shop/Deployment/{name}/app"


def budget(spare: int = 1, selector: Any = WEB, **facts: Any) -> dict[str, Any]:
    metadata = {"name": "pdb", "namespace": "shop", "uid": "u", "resourceVersion": "1"} | facts
    spec = {} if selector is None else {"selector": selector}
    return {"metadata": metadata, "spec": spec, "status": {"disruptionsAllowed": spare}}


def listing(*budgets: dict[str, Any]) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": list(budgets)}).encode()


class Budgets:
    """Stands for the client: the budgets as they are, and how often they were asked for."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[str | None] = []

    def list_all(self, selection: Any) -> Listing[PodDisruptionBudget]:
        self.asked.append(selection.namespace)
        return _codec.listing(listing(*self.found))


class Lent:
    """A lender, and what each node has by its NodeMemory."""

    def __init__(self, *found: dict[str, Any], before: Iterable[ReportedNode] = ()) -> None:
        self.budgets = Budgets(*found)
        self.before = list(before)
        self.advice: dict[str, dict[str, LentDisruptions]] = {}
        self.lender = Lender(self.budgets, lambda: self.before)  # type: ignore[arg-type]

    def ask(self, node: str, *known: Identity, at: float = 0.0) -> dict[str, int]:
        """What the node has then, by workload."""
        moment = NOW + timedelta(seconds=at)
        self.advice[node] = self.lender.loans(node, known or [identity()], self.advice.get(node, {}), moment)
        return {name: loan.count for name, loan in self.advice[node].items()}


def given_before(node: str, *, until: datetime, count: int = 1) -> ReportedNode:
    """By whoever led before."""
    loan = {"count": count, "since": NOW.isoformat(), "until": until.isoformat(), "budget": "shop/pdb"}
    return reported(node, spec={"disruptions": {key(): loan}})


@pytest.mark.row("K6")
def test_what_is_to_spare_is_lent_once() -> None:
    lent = Lent(budget(spare=1))
    assert [lent.ask("a"), lent.ask("b"), lent.ask("a")] == [{key(): 1}, {key(): 0}, {key(): 1}]
    loan = lent.advice["a"][key()]
    assert (loan.since, loan.until, loan.budget) == (NOW, NOW + LOAN, "shop/pdb")


@pytest.mark.row("K6")
def test_an_eviction_elsewhere_spends_no_loan() -> None:
    lent = Lent(budget(spare=1))
    lent.ask("a")
    assert not lent.lender.spares("b", unread(identity()), NOW)
    assert lent.lender.spares("a", unread(identity()), NOW)
    assert lent.lender.spares("b", unread(identity("other")), NOW)
    assert lent.lender.spares("b", unread(identity()), NOW + LOAN)


@pytest.mark.row("K6")
def test_where_there_is_more_to_spare_it_may() -> None:
    lent = Lent(budget(spare=2))
    lent.ask("a")
    assert lent.lender.spares("b", unread(identity()), NOW)


@pytest.mark.row("K6")
def test_what_an_eviction_took_is_not_lent_any_more() -> None:
    lent = Lent(budget(spare=1))
    assert lent.ask("a") == {key(): 1}
    lent.lender.spent("a", unread(identity()))
    lent.budgets.found = (budget(spare=0),)
    assert lent.ask("a") == {key(): 0}


@pytest.mark.row("K6")
def test_who_waits_has_it_after_a_term() -> None:
    """Else whoever came first would keep it for ever."""
    lent, term = Lent(budget(spare=1)), (LOAN - RENEW).total_seconds() + 5  # as nodes in trouble renew it
    had = []
    for turn in range(6):
        at = turn * term
        had.append((lent.ask("a", at=at)[key()], lent.ask("b", at=at)[key()]))
    assert all(sum(pair) <= 1 for pair in had)
    assert (1, 0) in had
    assert (0, 1) in had


@pytest.mark.row("K6")
def test_one_at_a_time_however_much_there_is() -> None:
    lent = Lent(budget(spare=5))
    assert lent.ask("a") == {key(): 1}


@pytest.mark.row("K6")
def test_a_budget_that_is_spent_is_a_loan_of_none() -> None:
    """Not to be listed would mean that nobody minds."""
    assert Lent(budget(spare=0)).ask("a") == {key(): 0}


@pytest.mark.row("K6")
def test_at_its_end_another_may_have_it() -> None:
    lent = Lent(budget(spare=1))
    lent.ask("a")
    assert lent.ask("b", at=LOAN.total_seconds() - 1) == {key(): 0}
    assert lent.ask("c", at=LOAN.total_seconds()) == {key(): 1}


@pytest.mark.row("K6")
def test_shortly_before_its_end_it_is_given_anew() -> None:
    lent = Lent(budget(spare=1))
    lent.ask("a")
    assert lent.ask("a", at=LOAN.total_seconds() - RENEW.total_seconds()) == {key(): 1}
    assert lent.advice["a"][key()].until == NOW + 2 * LOAN - RENEW


@pytest.mark.row("K6")
def test_what_whoever_led_before_has_lent_is_lent() -> None:
    before = given_before("a", until=NOW + timedelta(seconds=30))
    assert Lent(budget(spare=1), before=[before]).ask("b") == {key(): 0}
    assert Lent(budget(spare=1), before=[before]).ask("b", at=30) == {key(): 1}
    assert Lent(budget(spare=1), before=[given_before("a", until=NOW + LOAN, count=0)]).ask("b") == {key(): 1}


@pytest.mark.row("K6")
def test_two_workloads_of_one_budget_share_it() -> None:
    lent = Lent(budget(spare=1, selector=ALL))
    assert lent.ask("a", identity("web"), identity("api")) == {key("web"): 1, key("api"): 0}


FOR_WHOM: list[tuple[str, dict[str, Any], bool]] = [
    ("by its labels", budget(), True),
    ("by a condition", budget(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}), True),
    ("for everybody", budget(selector=ALL), True),
    ("without a selector for nobody", budget(selector=None), False),
    ("for others", budget(selector={"matchLabels": {"app": "db"}}), False),
    ("of another namespace", budget(namespace="ops"), False),
    (
        "one that we do not understand is taken to be for everybody",
        budget(selector={"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}),
        True,
    ),
]


@pytest.mark.row("K6")
@pytest.mark.parametrize(("words", "one", "expected"), FOR_WHOM, ids=[row[0] for row in FOR_WHOM])
def test_whom_a_budget_is_for(words: str, one: dict[str, Any], expected: bool) -> None:
    assert Lent(one).ask("a") == ({key(): 1} if expected else {})


def test_who_has_no_labels_or_no_namespace_is_not_asked_for() -> None:
    nobody = Identity(id="x")
    lent = Lent(budget(selector=ALL))
    assert lent.ask("a", nobody, Identity(id="y", namespace="shop", pod="p", name="c", labels=None)) == {}
    assert lent.budgets.asked == []


@pytest.mark.row("G4")
def test_the_server_is_asked_only_for_what_is_not_known() -> None:
    """Most workloads have no budget: a node in trouble says so every few seconds."""
    lent = Lent(budget())
    known = (identity("web"), identity("free"), identity("free", "ops"))
    for at in (0, 2, 19):
        assert lent.ask("a", *known, at=at) == {key(): 1}
    assert lent.budgets.asked == ["ops", "shop"]
    lent.ask("a", *known, at=20)
    assert lent.budgets.asked == ["ops", "shop"] * 2, "somebody may have made a budget meanwhile"


def test_a_budget_that_is_gone_holds_nobody_back() -> None:
    lent = Lent(budget())
    lent.ask("a")
    lent.budgets.found = ()
    assert lent.ask("a", at=45) == {}


def test_the_real_client_is_asked_by_namespace() -> None:
    with Scripted([answer(listing(budget(spare=2)))]) as server:
        client = Client(Wire(Connection(server.url)))
        found = Lender(client, list).loans("a", [identity()], {}, NOW)
        client.close()
    assert {name: loan.count for name, loan in found.items()} == {key(): 1}
    assert "/apis/policy/v1/namespaces/shop/poddisruptionbudgets?" in server.requests[0]


asks = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.integers(0, 3)), max_size=30)


@pytest.mark.row("K6")
@given(asks, st.integers(0, 3))
def test_never_more_than_there_was_to_spare(asked: list[tuple[str, int, int]], spare: int) -> None:
    """Whoever asks when, and however the budget changes: what is given anew fits into what there is then."""
    lent, now = Lent(budget(spare)), 0.0
    for node, wait, spare_now in asked:
        now += wait
        lent.budgets.found = (budget(spare_now),)
        before = dict(lent.advice)
        lent.ask(node, at=now)
        loan = lent.advice[node][key()]
        if loan.count and loan != before.get(node, {}).get(key()):
            others = (of[key()] for name, of in before.items() if name != node)
            lent_elsewhere = sum(one.count for one in others if one.until > NOW + timedelta(seconds=now))
            assert lent_elsewhere + loan.count <= spare_now
