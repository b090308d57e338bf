"""What is remembered of all news, and what becomes known of earlier decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.guards import decision, observed, victim

from memguard.agent.entries import Amended
from memguard.agent.ledger import MOST_ACTED, Ledger, answered, come, decided, is_known, killed, passed, resumed
from memguard.agent.oom import Death
from memguard.api.node_memory import NodeScorecard, OrderAnswer
from memguard.core.advice import MOST_ORDERS
from memguard.core.scorecard import Tally

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
T = AT.timestamp()
BEGUN = Ledger(since=AT)
OWN_LIMIT = "container:" + "a" * 64


def death(at: float, key: str | None = "a" * 64, count: int = 1) -> Death:
    return Death(at=at, count=count, scope="container" if key else "node", victim=victim(key) if key else None)


def test_an_agent_with_an_empty_disk_goes_on_with_what_was_published() -> None:
    published = NodeScorecard(hits=7, since=AT - timedelta(days=3))
    after = resumed(BEGUN, published)
    assert (after.earlier, after.card) == (published, BEGUN.card)
    assert resumed(after, published) is after, "it is our own by now"


@pytest.mark.parametrize("since", [None, AT, AT + timedelta(seconds=1)])
def test_its_own_scorecard_is_not_counted_twice(since: datetime | None) -> None:
    assert resumed(BEGUN, NodeScorecard(hits=7, since=since)) is BEGUN


def facts(amended: tuple[Amended, ...]) -> list[tuple[str, str | None, int | None]]:
    return [(one.decision, one.verdict, one.kernel_oom_kills) for one in amended]


def test_an_observed_decision_was_right_when_the_kernel_comes() -> None:
    ledger, amended = decided(BEGUN, observed("d"), "shop/d", "shop/strict", T)
    assert amended == ()
    ledger, amended = killed(ledger, death(T + 9), "shop/strict", shared=False)
    assert facts(amended) == [("shop/d", "Hit", None)]
    assert ledger.card.total == Tally(hits=1)
    assert ledger.card.policies == {"shop/strict": Tally(hits=1)}


def test_and_wrong_when_it_does_not() -> None:
    ledger, _ = decided(BEGUN, observed("d"), "shop/d", "", T)
    assert passed(ledger, T + 600)[1] == ()
    ledger, amended = passed(ledger, T + 601)
    assert facts(amended) == [("shop/d", "FalseAlarm", None)]
    assert ledger.card.total == Tally(false_alarms=1)


def test_a_kill_that_nobody_foresaw_is_a_miss() -> None:
    for key in ("a" * 64, None):
        assert killed(BEGUN, death(T, key), "", shared=False)[0].card.total == Tally(misses=1)


def test_after_a_decision_that_was_carried_out_the_kernels_kills_are_counted() -> None:
    ledger, _ = decided(BEGUN, decision("d"), "shop/d", "", T)
    ledger, first = killed(ledger, death(T + 1, "b" * 64, count=2), "", shared=True)
    ledger, second = killed(ledger, death(T + 2, None), "", shared=False)
    assert facts(first + second) == [("shop/d", None, 2), ("shop/d", None, 3)]
    ledger, over = passed(ledger, T + 601)
    assert over == (), "it is known already"
    assert ledger.acted == ()


def test_and_none_is_known_after_ten_minutes() -> None:
    ledger, _ = decided(BEGUN, decision("d"), "shop/d", "", T)
    assert facts(passed(ledger, T + 601)[1]) == [("shop/d", None, 0)]


def test_at_its_own_limit_only_its_own_end_counts() -> None:
    ledger, _ = decided(BEGUN, decision("d", domain=OWN_LIMIT), "shop/d", "", T)
    for other in (death(T + 1, "b" * 64), death(T + 1, None)):
        assert facts(killed(ledger, other, "", shared=True)[1]) == []
    assert facts(killed(ledger, death(T + 1), "", shared=False)[1]) == [("shop/d", None, 1)]


def test_what_came_before_or_long_after_is_not_its() -> None:
    ledger, _ = decided(BEGUN, decision("d"), "shop/d", "", T)
    for at in (T - 1, T + 601):
        assert not [one for one in killed(ledger, death(at), "", shared=True)[1] if one.kernel_oom_kills]


def test_news_are_known_by_their_series_and_number() -> None:
    ledger = come(BEGUN, "s", 5, 9)
    assert [is_known(ledger, "s", number) for number in (4, 5, 6)] == [True, True, False]
    assert not is_known(ledger, "t", 1)
    assert ledger.entry == 9


def test_the_first_answer_to_an_order_counts() -> None:
    first = OrderAnswer(id="o", accepted=True, at=AT, decision="d")
    ledger = answered(BEGUN, (first,))
    assert answered(ledger, (OrderAnswer(id="o", accepted=False, at=AT),)) is ledger
    many = answered(ledger, (OrderAnswer(id=str(n), accepted=False, at=AT) for n in range(99)))
    assert len(many.answers) == 2 * MOST_ORDERS


@given(st.lists(st.tuples(st.floats(0, 5000), st.sampled_from(["act", "observe", "kill", "pass"])), max_size=40))
def test_whatever_happens_it_is_bounded_and_survives_the_disk(story: list[tuple[float, str]]) -> None:
    ledger = BEGUN
    for number, (at, what) in enumerate(story):
        match what:
            case "act":
                ledger, _ = decided(ledger, decision(str(number)), f"shop/{number}", "", T + at)
            case "observe":
                ledger, _ = decided(ledger, observed(str(number)), f"shop/{number}", "", T + at)
            case "kill":
                ledger, _ = killed(ledger, death(T + at), "", shared=True)
            case _:
                ledger, _ = passed(ledger, T + at)
    assert len(ledger.acted) <= MOST_ACTED
    assert msgspec.json.decode(msgspec.json.encode(ledger), type=Ledger) == ledger
    _, amended = passed(ledger, T + 1e6)
    assert passed(passed(ledger, T + 1e6)[0], T + 2e6) == (passed(ledger, T + 1e6)[0], ())
    assert len({one.decision for one in amended}) == len(amended), "each is judged once"
