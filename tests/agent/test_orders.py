"""Which orders the guard is given, and which are answered without it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.agent.orders import EXPIRED, LATE, STOPPED, UNKNOWN, attend
from memguard.api.node_memory import OrderAnswer
from memguard.core.advice import Advice, AdvisedOrder
from memguard.core.link import Order

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def order(name: str = "o", *, left: float = 60.0, **facts: Any) -> AdvisedOrder:
    usual: dict[str, Any] = {"action": "kill", "pod_uid": "uid-cart", "container_id": "a"}
    return AdvisedOrder(id=name, expires_at=NOW + timedelta(seconds=left), **(usual | facts))


def runs(container_id: str, pod_uid: str) -> bool:
    return (container_id, pod_uid) == ("a", "uid-cart")


def told(advice: Advice, *answers: str, **how: Any) -> tuple[list[str], dict[str, str]]:
    """The ids of those that the guard is given, and the reasons of those that are refused."""
    given, refused = attend(advice, [OrderAnswer(id=one, accepted=True, at=NOW) for one in answers], runs, NOW, **how)
    assert not any(one.accepted for one in refused)
    return [one.id for one in given], {one.id: one.reason for one in refused}


def test_an_order_is_given_as_it_was_advised() -> None:
    [given], refused = attend(Advice(orders=(order(),)), (), runs, NOW)
    assert refused == ()
    assert given == Order(
        id="o", action="kill", container_id="a", pod_uid="uid-cart", expires_at=NOW + timedelta(seconds=60)
    )


LATE_SECONDS = LATE.total_seconds()


@pytest.mark.parametrize(
    ("advice", "how", "expected"),
    [
        (Advice(orders=(order(),)), {}, (["o"], {})),
        (Advice(orders=(order(container_id="b"),)), {}, ([], {"o": UNKNOWN})),
        (Advice(orders=(order(pod_uid="uid-other"),)), {}, ([], {"o": UNKNOWN})),
        (Advice(orders=(order(),), emergency_stop=True), {}, ([], {"o": STOPPED})),
        # run out: not given; but the guard may have carried it out just before, and its answer is on its way
        (Advice(orders=(order(left=-1),)), {}, ([], {})),
        (Advice(orders=(order(left=-LATE_SECONDS - 1),)), {}, ([], {"o": EXPIRED})),
        # given: its container may be gone because it was carried out
        (Advice(orders=(order(container_id="b"),)), {"given": {"o"}}, (["o"], {})),
        (Advice(orders=(order(),), emergency_stop=True), {"given": {"o"}}, (["o"], {})),
        (Advice(orders=(order(left=-LATE_SECONDS - 1),)), {"given": {"o"}}, ([], {"o": EXPIRED})),
        # it is not known what the guard did before we began
        (Advice(orders=(order(), order("p", container_id="b"))), {"settled": False}, ([], {})),
        (Advice(orders=(order(left=-LATE_SECONDS - 1),)), {"settled": False}, ([], {"o": EXPIRED})),
    ],
)
def test_who_is_asked_and_who_is_answered(
    advice: Advice, how: dict[str, Any], expected: tuple[list[str], dict[str, str]]
) -> None:
    assert told(advice, **how) == expected


def test_what_was_answered_is_over() -> None:
    advice = Advice(orders=(order("p"), order("q", container_id="b"), order("r", left=-99)))
    assert told(advice, "p", "q", "r") == ([], {})


@given(st.lists(st.sampled_from("abcd"), unique=True), st.sets(st.sampled_from("abcd")), st.floats(-100, 100))
def test_no_order_is_given_and_refused(names: list[str], answered: set[str], left: float) -> None:
    advice = Advice(orders=tuple(order(name, left=left, container_id=name) for name in names))
    given, refused = told(advice, *answered)
    assert not {*given} & {*refused}
    assert not answered & {*given, *refused}
