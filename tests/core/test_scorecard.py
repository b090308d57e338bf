"""Was observing right? Hits, false alarms and misses against the kernel's own kills."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.scorecard import (
    MOST_ALARMS,
    MOST_DECISIONS,
    MOST_POLICIES,
    OTHERS,
    WINDOW_SECONDS,
    Decided,
    Fact,
    Judged,
    KernelKilled,
    Passed,
    Scorecard,
    Tally,
    keep_score,
)


def decided(at: float, container: str = "x", **facts: Any) -> Decided:
    return Decided(at=at, container=container, decision=facts.pop("decision", f"d{at:g}"), **{"policy": "p"} | facts)


def killed(at: float, container: str | None = "x", **facts: Any) -> KernelKilled:
    return KernelKilled(at=at, container=container, **{"policy": "p"} | facts)


def scored(*facts: Fact, card: Scorecard | None = None) -> tuple[Scorecard, list[Judged]]:
    card, told = card or Scorecard(), []
    for fact in facts:
        card, judged = keep_score(card, fact)
        told += judged
    return card, told


def tally(*facts: Fact) -> tuple[int, int, int]:
    total = scored(*facts)[0].total
    return total.hits, total.false_alarms, total.misses


MINUTE = 60.0
LATER = Passed(at=10_000)
STORIES = [
    ("the kernel came nine minutes later", [decided(0), killed(9 * MINUTE)], (1, 0, 0)),
    ("... exactly ten", [decided(0), killed(10 * MINUTE)], (1, 0, 0)),
    (
        "... eleven: too early an alarm, and a kill that it did not foresee",
        [decided(0), killed(11 * MINUTE)],
        (0, 1, 1),
    ),
    ("nothing came", [decided(0), LATER], (0, 1, 0)),
    ("nothing came yet", [decided(0), Passed(at=9 * MINUTE)], (0, 0, 0)),
    ("the kernel came first", [killed(0)], (0, 0, 1)),
    ("it came first, then the decision, then nothing", [killed(0), decided(1), LATER], (0, 1, 1)),
    ("it killed another at its own limit", [decided(0), killed(1, "y"), LATER], (0, 1, 1)),
    ("it killed another because the node was short", [decided(0), killed(1, "y", shared=True), LATER], (1, 0, 0)),
    ("it killed nobody knows whom", [decided(0), killed(1, None), LATER], (1, 0, 0)),
    ("... but the alarm was of an own limit", [decided(0, shared=False), killed(1, None), LATER], (0, 1, 1)),
    ("an own limit that the kernel enforced", [decided(0, shared=False), killed(1), LATER], (1, 0, 0)),
    ("many decisions about one are one alarm", [decided(0), decided(300), decided(800), LATER], (0, 1, 0)),
    ("... which ends ten minutes after the last", [decided(0), decided(590), killed(1100)], (1, 0, 0)),
    ("many kills after one alarm are one hit", [decided(0), killed(1), killed(2), killed(599), LATER], (1, 0, 0)),
    ("after a hit the next decision is a new alarm", [decided(0), killed(1), decided(2), LATER], (1, 1, 0)),
    ("... and may be a hit of its own", [decided(0), killed(1), decided(2), killed(3), LATER], (2, 0, 0)),
    ("two suspects, one node", [decided(0, "x"), decided(1, "y"), killed(2, None), LATER], (2, 0, 0)),
    ("two suspects, one at its own limit", [decided(0, "x"), decided(1, "y"), killed(2, "y"), LATER], (1, 1, 0)),
]


@pytest.mark.row("K5", "K9")
@pytest.mark.parametrize(("words", "facts", "expected"), STORIES, ids=[row[0] for row in STORIES])
def test_stories(words: str, facts: list[Fact], expected: tuple[int, int, int]) -> None:
    assert tally(*facts) == expected


@pytest.mark.row("K5")
def test_every_policy_has_its_own_score() -> None:
    card, _ = scored(decided(0, "x", policy="a"), decided(0, "y", policy="b"), killed(1, "y"), killed(2, "z"), LATER)
    assert card.policies == {"a": Tally(false_alarms=1), "b": Tally(hits=1), "p": Tally(misses=1)}
    assert card.total == Tally(hits=1, false_alarms=1, misses=1)


def test_every_decision_of_an_alarm_is_told_its_verdict_once() -> None:
    _, told = scored(decided(0), decided(60), killed(70), killed(80), decided(90), LATER)
    assert told == [
        Judged(verdict="Hit", decisions=("d0", "d60"), policy="p"),
        Judged(verdict="FalseAlarm", decisions=("d90",), policy="p"),
    ]


def test_an_alarm_that_goes_on_stays_small() -> None:
    card, told = scored(*(decided(minute * MINUTE) for minute in range(200)), Passed(at=1e6))
    assert [len(one.decisions) for one in told] == [MOST_DECISIONS]
    assert card.total == Tally(false_alarms=1)


def test_the_score_is_bounded_whoever_comes() -> None:
    crowd = [decided(index / 1e3, f"c{index}", policy=f"ns/p{index}") for index in range(MOST_ALARMS + 50)]
    card, _ = scored(*crowd)
    assert len(card.alarms) == MOST_ALARMS
    card, _ = scored(LATER, card=card)
    assert len(card.policies) == MOST_POLICIES + 1
    assert sum(one.false_alarms for one in card.policies.values()) == card.total.false_alarms == MOST_ALARMS
    assert card.policies[OTHERS].false_alarms == MOST_ALARMS - MOST_POLICIES


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    containers = st.sampled_from(["x", "y", "z"])
    policies = st.sampled_from(["a", "b", ""])
    facts: list[Fact] = []
    at = 0.0
    for index, step in enumerate(draw(st.lists(st.sampled_from([0.0, 1.0, 300.0, 600.0, 601.0]), max_size=12))):
        at += step
        facts.append(
            draw(
                st.one_of(
                    st.builds(
                        Decided, at=st.just(at), decision=st.just(f"d{index}"), container=containers, policy=policies,
                        shared=st.booleans(),
                    ),
                    st.builds(
                        KernelKilled, at=st.just(at), container=st.none() | containers, policy=policies,
                        shared=st.booleans(),
                    ),
                    st.just(Passed(at=at)),
                )
            )
        )  # fmt: skip
    return facts


@given(histories())
def test_every_decision_is_judged_once_and_every_kill_counts_at_most_once(facts: list[Fact]) -> None:
    card, told = scored(*facts, Passed(at=1e6))
    decisions = [one.decision for one in facts if isinstance(one, Decided)]
    judged = [decision for one in told for decision in one.decisions]
    assert sorted(judged) == sorted(decisions)
    assert card.alarms == ()
    assert card.total.hits == sum(one.verdict == "Hit" for one in told)
    assert card.total.false_alarms == sum(one.verdict == "FalseAlarm" for one in told)
    assert card.total.misses <= sum(isinstance(one, KernelKilled) for one in facts)


@given(histories())
def test_a_miss_had_no_decision_that_could_foresee_it(facts: list[Fact]) -> None:
    for index, fact in enumerate(facts):
        if isinstance(fact, KernelKilled):
            before, _ = scored(*facts[:index])
            after, _ = scored(*facts[: index + 1])
            foresaw = any(
                isinstance(one, Decided)
                and fact.at - one.at <= WINDOW_SECONDS
                and (one.container == fact.container or (one.shared and (fact.shared or fact.container is None)))
                for one in facts[:index]
            )
            assert (after.total.misses > before.total.misses) is not foresaw


@given(histories(), st.integers(0, 12))
def test_the_score_survives_a_restart(facts: list[Fact], cut: int) -> None:
    whole, _ = scored(*facts)
    first, _ = scored(*facts[:cut])
    again = msgspec.json.decode(msgspec.json.encode(first), type=Scorecard)
    assert scored(*facts[cut:], card=again)[0] == whole
