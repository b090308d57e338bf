"""An order to a node's guard: given once, until it is answered or its time is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controller.objects import NOW, moment, reported

from memguard.controller.orders import ORDER, Orders
from memguard.core.advice import AdvisedOrder
from memguard.core.model import Container, Memory
from memguard.core.refusal import Refusal

pytestmark = pytest.mark.row("K3")
CART = Container(id="c" * 64, pod_uid="uid-cart", memory=Memory(current_bytes=0))
SPENT = Refusal(cause="budget", words="its budget is spent")


class Node:
    """Its budgets and its NodeMemory: what is claimed, and what was ordered."""

    def __init__(self, spent: Refusal | None = None) -> None:
        self.spent, self.claims, self.given = spent, set[tuple[str, str]](), list[AdvisedOrder]()

    def claim(self, key: tuple[str, str], *_: object, **__: object) -> Refusal | None:
        if self.spent is None:
            self.claims.add(key)
        return self.spent

    def release(self, key: tuple[str, str]) -> None:
        self.claims.remove(key)

    def order(self, _: object, order: AdvisedOrder) -> None:
        self.given.append(order)


def orders(node: Node) -> Orders:
    return Orders(node, node)  # type: ignore[arg-type]


def given(node: Node, now: datetime = NOW) -> Orders:
    found = orders(node)
    found.give(reported(), CART, "terminate", now)
    return found


def answer(node: Node, **facts: Any) -> Any:
    return reported(orders=[{"id": node.given[0].id, "at": moment(1)} | facts]).status


def test_it_names_the_container_of_a_pod_and_its_end() -> None:
    node = Node()
    assert given(node).open
    [order] = node.given
    assert (order.action, order.pod_uid, order.container_id) == ("terminate", "uid-cart", CART.id)
    assert order.expires_at == NOW + ORDER
    assert node.claims == {("", order.id)}


def test_it_is_the_same_one_within_its_time_whoever_gives_it() -> None:
    node = Node()
    for seconds in (0, 59, 60):
        given(node, NOW + timedelta(seconds=seconds))
    first, again, later = (one.id for one in node.given)
    assert first == again != later


def test_where_a_budget_is_spent_none_is_given() -> None:
    node = Node(SPENT)
    found = orders(node)
    assert found.give(reported(), CART, "kill", NOW) == SPENT
    assert (found.open, node.given) == (False, [])


def test_one_that_was_accepted_is_over() -> None:
    node = Node()
    found = given(node)
    assert found.follow(answer(node, accepted=True), NOW) is None
    assert (found.open, node.claims) == (False, set())


def test_whom_the_guard_does_not_end_is_told() -> None:
    node = Node()
    found = given(node)
    refused = found.follow(answer(node, accepted=False, reason="its policy says Observe"), NOW)
    assert refused is not None
    assert refused[0] == CART.id
    assert refused[1].words == "the order is refused: its policy says Observe"
    assert (found.open, node.claims) == (False, set())


@pytest.mark.parametrize("silent", [True, False])
def test_without_an_answer_it_stands_until_its_end(silent: bool) -> None:
    node = Node()
    found, report = given(node), None if silent else reported().status
    assert found.follow(report, NOW + ORDER) is None
    assert found.open
    assert found.follow(report, NOW + ORDER + timedelta(seconds=1)) is None
    assert (found.open, node.claims) == (False, set())


@pytest.mark.parametrize(("answered", "seconds", "stands"), [(False, 1, True), (True, 1, False), (False, 61, False)])
def test_one_of_whoever_led_before_stands_until_it_is_answered(answered: bool, seconds: int, stands: bool) -> None:
    order = {"id": "kill-1", "action": "kill", "podUid": "uid-cart", "containerId": CART.id, "expiresAt": moment(60)}
    answers = [{"id": "kill-1", "accepted": True, "at": moment(0)}] if answered else []
    found = reported(spec={"orders": [order]}, orders=answers)
    assert orders(Node()).stand(found, NOW + timedelta(seconds=seconds)) is stands
