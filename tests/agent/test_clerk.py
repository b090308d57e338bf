"""Plan before names, each order once, and what is remembered written now and then."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.agent.cluster import Events
from tests.agent.guards import status
from tests.agent.pods import key, pod, running
from tests.agent.test_plan import sources, tenant

from memguard.agent.census import Census
from memguard.agent.clerk import KEEP_SECONDS, REMAKE_SECONDS, Clerk
from memguard.agent.ledger import Ledger, answered
from memguard.agent.orders import STOPPED, UNKNOWN
from memguard.agent.plan import Sources
from memguard.agent.plan_store import PlanStore
from memguard.agent.planner import Planner
from memguard.agent.presence import Presence
from memguard.api.node_memory import OrderAnswer
from memguard.core.advice import NO_ADVICE, Advice, AdvisedOrder
from memguard.core.link import PROTOCOL, Hello, Order
from memguard.service.journal import Journal

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
THERE = Presence(since=0.0, hello=Hello(protocol=PROTOCOL, version="1"), status=status(), status_at=1.0)


class Link:
    """What the guard is to know, in the order in which it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.named: set[str] = set()
        self.given: list[tuple[Order, ...]] = []
        self.presence = THERE

    def tell(self, *, plan: Any = None, roster: Any = None) -> None:
        said = "plan" if plan is not None else "roster"
        if roster is not None:
            self.named = {one.namespace for one in roster.containers.values()}
        if self.told[-1:] != [said]:  # as the link does with what it knows
            self.told.append(said)

    def order(self, orders: tuple[Order, ...]) -> None:
        self.given.append(orders)


class Chronicle:
    """Takes answers, as the ledger does."""

    def __init__(self) -> None:
        self.ledger = Ledger(since=NOW)
        self.times: list[float] = []

    def answered(self, answers: tuple[OrderAnswer, ...]) -> None:
        self.ledger = answered(self.ledger, answers)

    def pass_time(self, now: float) -> None:
        self.times.append(now)


class Office:
    """A clerk and what it looks after."""

    def __init__(self, directory: Path) -> None:
        self.link, self.chronicle, self.census = Link(), Chronicle(), Census()
        self.store = PlanStore(str(directory), lambda _: None)
        self.log = os.open(os.devnull, os.O_WRONLY)
        self.sources: Sources | None = sources(tenants=(tenant(),))
        self.asked = 0
        self.clock = 0.0
        self.done = 0
        self.meanwhile: Callable[[], object] = lambda: None
        planner = Planner(
            self.store, self.link, self.census, Events(), Journal(self.log), now=lambda: NOW,  # type: ignore[arg-type]
        )  # fmt: skip
        self.clerk = Clerk(
            planner,
            self.census,
            self.link,  # type: ignore[arg-type]
            self.chronicle,  # type: ignore[arg-type]
            self.store,
            sources=self._sources,
            now=lambda: NOW,
            clock=lambda: self.clock,
            done=self._done,
        )

    def advise(self, *orders: AdvisedOrder, **advice: Any) -> None:
        self.sources = sources(tenants=(tenant(),), advice=Advice(orders=orders, **advice))
        self.clerk.advised()
        self.clerk.tick()

    def _sources(self, namespaces: frozenset[str]) -> Sources | None:
        self.asked += 1
        self.meanwhile()
        return self.sources

    def _done(self) -> None:
        self.done += 1


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found = Office(tmp_path)
    yield found
    os.close(found.log)


MALL = pod("other", statuses=[running("app", "b")], meta={"namespace": "mall"})


def order(name: str = "o", **facts: Any) -> AdvisedOrder:
    usual: dict[str, Any] = {"action": "kill", "pod_uid": "uid-cart", "container_id": key("a")}
    return AdvisedOrder(id=name, expires_at=NOW + timedelta(minutes=5), **(usual | facts))


def test_nobody_is_named_before_there_is_a_plan(office: Office) -> None:
    office.census.follow([pod()])
    plan, office.sources = office.sources, None
    office.clerk.tick()
    assert office.link.told == [], "a container of a namespace that no plan knows is left alone"
    office.sources = plan
    office.clerk.tick()
    assert office.link.told == ["plan", "roster"]


def test_a_plan_is_made_anew_only_when_something_of_it_may_be_another(office: Office) -> None:
    office.census.follow([pod()])
    for _ in range(3):
        office.clerk.tick()
    assert office.asked == 1
    office.census.follow([pod(), pod("other")])
    office.clerk.peopled()
    office.clerk.tick()
    assert office.asked == 1, "of the same namespace"
    office.clock += REMAKE_SECONDS
    office.census.follow([pod(), pod("other", meta={"namespace": "mall"})])
    office.clerk.tick()
    assert office.asked == 2
    office.clerk.advised()
    office.clerk.tick()
    assert office.asked == 3
    assert (len(office.chronicle.times), office.done) == (6, 6)


def test_pods_of_new_namespaces_wait_a_moment_and_a_policy_does_not(office: Office) -> None:
    office.census.follow([pod()])
    office.clerk.tick()
    office.census.follow([pod(), MALL])
    office.clerk.tick()
    assert (office.asked, office.link.named) == (1, {"shop"}), "the plan does not know it"
    office.clerk.advised()
    office.clerk.tick()
    assert (office.asked, office.link.named) == (2, {"shop", "mall"})
    office.census.follow([pod()])
    office.clerk.tick()
    assert (office.asked, office.link.named) == (2, {"shop"}), "the plan knows more than it must"
    office.clock += REMAKE_SECONDS
    office.clerk.tick()
    assert office.asked == 3


def test_who_comes_while_the_plan_is_made_is_told_of_after_the_next(office: Office) -> None:
    office.census.follow([pod()])
    office.meanwhile = lambda: office.census.follow([MALL])
    office.clerk.tick()
    assert office.link.named == {"shop"}
    office.clock += REMAKE_SECONDS
    office.clerk.tick()
    assert office.link.named == {"mall"}


def test_no_plan_is_made_before_it_is_known_whose_pods_are_here(office: Office) -> None:
    office.clerk.tick()
    assert (office.asked, office.link.told) == (0, [])


def test_orders_are_given_until_they_are_answered(office: Office) -> None:
    office.census.follow([pod()])
    office.advise(order())
    office.clerk.tick()
    assert [[one.id for one in given] for given in office.link.given] == [["o"]]
    # it was carried out: the container is gone before the guard's answer is here
    office.census.follow([])
    office.clerk.tick()
    assert office.chronicle.ledger.answers == ()
    office.chronicle.answered((OrderAnswer(id="o", accepted=True, at=NOW),))
    office.clerk.tick()
    assert [[one.id for one in given] for given in office.link.given] == [["o"], []]
    assert [one.accepted for one in office.chronicle.ledger.answers] == [True]


def test_orders_that_the_guard_need_not_see_are_answered(office: Office) -> None:
    office.census.follow([pod()])
    office.advise(order("p", pod_uid="another"))
    office.advise(order("q"), emergency_stop=True)
    assert {one.id: one.reason for one in office.chronicle.ledger.answers} == {"p": UNKNOWN, "q": STOPPED}
    assert office.link.given == []


@pytest.mark.parametrize(
    "presence", [Presence(since=0.0), Presence(since=2.0, hello=THERE.hello, status=status(), status_at=1.0)]
)
def test_while_the_guard_has_not_spoken_nothing_is_known_of_orders(office: Office, presence: Presence) -> None:
    office.link.presence = presence
    office.census.follow([pod()])
    office.advise(order(), order("p", pod_uid="another"))
    assert (office.link.given, office.chronicle.ledger.answers) == ([], ())


def test_nor_before_the_pods_are_listed_or_where_the_advice_cannot_be_read(office: Office) -> None:
    office.advise(order())
    assert (office.link.given, office.chronicle.ledger.answers) == ([], ())
    office.census.follow([pod()])
    office.sources = sources(advice=None)
    office.clerk.advised()
    office.clerk.tick()
    assert (office.link.given, office.chronicle.ledger.answers) == ([], ())


def test_who_is_who_is_kept_now_and_then(office: Office) -> None:
    office.sources = sources(advice=NO_ADVICE)
    office.census.follow([pod()])
    office.clerk.tick()
    first = office.store.roster()
    assert first is not None
    assert set(first.containers) == {key("a")}
    office.census.follow([])
    office.clock = KEEP_SECONDS - 1
    office.clerk.tick()
    assert office.store.roster() == first
    office.clock = KEEP_SECONDS
    office.clerk.tick()
    assert office.store.roster() != first
