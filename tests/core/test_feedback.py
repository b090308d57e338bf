import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, HOUR, MIB, by_id, changed, container, ranked, snapshot, story, watch

from memguard.core.feedback import (
    HALF_LIFE_SECONDS,
    MOST_WORKLOADS,
    Experience,
    Result,
    bias,
    bias_points,
    busiest,
    conduct,
    learn,
    reset,
    result,
)
from memguard.core.history import History
from memguard.core.model import Owner
from memguard.core.policy import LEARNED_POINTS, Plan
from memguard.core.select import judge, rank

NAME = "shop/Deployment/cart/app"

results = st.builds(
    Result,
    workload=st.sampled_from([NAME, "b", "c"]),
    caused=st.booleans(),
    killed=st.booleans(),
    estimated_bytes=st.integers(0, 2**62),
    freed_bytes=st.none() | st.integers(0, 2**62),
)
happenings = st.lists(st.tuples(st.floats(0, 1e6), results), max_size=20)


def experience(*found: Result, at: float = 0.0, every: float = 0.0) -> Experience:
    known = Experience()
    for index, one in enumerate(found):
        known = learn(known, one, at + index * every)
    return known


def caused(count: int = 1) -> list[Result]:
    return [Result(workload=NAME, caused=True)] * count


def freed(ratio: float, count: int = 1) -> list[Result]:
    return [Result(workload=NAME, killed=True, estimated_bytes=GIB, freed_bytes=int(ratio * GIB))] * count


def recalled(found: list[tuple[float, Result]]) -> Experience:
    known = Experience()
    for at, one in sorted(found, key=lambda pair: pair[0]):
        known = learn(known, one, at)
    return known


@pytest.mark.row("F2")
@given(happenings, st.floats(0, 1e7))
def test_bounded(found: list[tuple[float, Result]], now: float) -> None:
    known = recalled(found)
    for name in (NAME, "b", "c", "never heard of"):
        assert abs(bias_points(known, name, now)) <= LEARNED_POINTS
    assert msgspec.convert({"bias": bias(known, now)}, Plan).bias == bias(known, now), "a plan takes it as it is"


@pytest.mark.row("F2")
@given(happenings, st.floats(1e6, 1e7), st.floats(0, 1e7))
def test_decaying(found: list[tuple[float, Result]], now: float, later: float) -> None:
    """Nothing that is remembered weighs more tomorrow; in the end nothing is left."""
    known = recalled(found)
    for name in known.workloads:
        here, there = conduct(known, name, now), conduct(known, name, now + later)
        assert there.incidents <= here.incidents
        assert there.measurements <= here.measurements
        assert bias_points(known, name, now + 20 * HALF_LIFE_SECONDS) == 0


@pytest.mark.row("F2")
@given(happenings, st.floats(0, 1e7))
def test_resettable(found: list[tuple[float, Result]], now: float) -> None:
    known = recalled(found)
    assert reset(known) == Experience()
    for name in known.workloads:
        without = reset(known, name)
        assert bias_points(without, name, now) == 0
        assert set(without.workloads) == set(known.workloads) - {name}
    assert reset(known, "never heard of") == known


@pytest.mark.row("F2", "G2")
@given(happenings, results, st.floats(0, 1e7))
def test_pure_and_written_down_without_loss(found: list[tuple[float, Result]], one: Result, now: float) -> None:
    known = recalled(found)
    before = msgspec.json.encode(known)
    assert learn(known, one, now) == learn(known, one, now)
    assert msgspec.json.encode(known) == before
    assert msgspec.json.decode(before, type=Experience) == known


@pytest.mark.row("F1")
@given(happenings)
def test_effectiveness_is_a_share(found: list[tuple[float, Result]]) -> None:
    for one in recalled(found).workloads.values():
        assert one.effectiveness is None or 0 <= one.effectiveness <= 1


EFFECTIVENESS = [
    ("nothing measured", [Result(workload=NAME, killed=True, estimated_bytes=GIB)], None),
    ("as promised", freed(1.0), 1.0),
    ("half of it", freed(0.5), 0.5),
    ("more than promised is as promised", freed(3.0), 1.0),
    ("nothing came back: tmpfs", freed(0.0), 0.0),
    ("a mean", [*freed(1.0), *freed(0.5)], 0.75),
    ("too little to tell", [Result(workload=NAME, estimated_bytes=MIB - 1, freed_bytes=0)], None),
]


@pytest.mark.row("F1")
@pytest.mark.parametrize(("words", "found", "expected"), EFFECTIVENESS, ids=[row[0] for row in EFFECTIVENESS])
def test_freed_against_estimated(words: str, found: list[Result], expected: float | None) -> None:
    assert conduct(experience(*found), NAME, 0.0).effectiveness == pytest.approx(expected)


@pytest.mark.row("F1")
def test_older_measurements_weigh_less() -> None:
    day = 4 * HALF_LIFE_SECONDS
    known = experience(*freed(0.0), *freed(1.0), every=day)
    assert conduct(known, NAME, day).effectiveness == pytest.approx(1 / (1 + 1 / 16))


POINTS = [
    ("nothing known", [], 0),
    ("one incident", caused(), 12),
    ("two", caused(2), 25),
    ("four reach the bound", caused(4), 50),
    ("forty do not pass it", caused(40), 50),
    ("killed, but not the cause: no reason to kill it again", freed(1.0, 3), 0),
    ("a kill that freed half, once", freed(0.5), -12),
    ("... and again", freed(0.5, 2), -25),
    ("nothing freed, again and again", freed(0.0, 5), -50),
    ("an offender whose end frees nothing", [*caused(4), *freed(0.0, 4)], 0),
]


@pytest.mark.row("F2", "F3")
@pytest.mark.parametrize(("words", "found", "points"), POINTS, ids=[row[0] for row in POINTS])
def test_points(words: str, found: list[Result], points: int) -> None:
    assert bias_points(experience(*found), NAME, 0.0) == points


@pytest.mark.row("F2")
def test_the_half_life_is_the_documented_one() -> None:
    known = experience(*caused(4))
    points = [bias_points(known, NAME, lives * HALF_LIFE_SECONDS) for lives in range(5)]
    assert points == [50, 25, 12, 6, 3]
    assert HALF_LIFE_SECONDS == 6 * HOUR


@pytest.mark.row("F2")
def test_visible() -> None:
    known = conduct(experience(*caused(2), *freed(0.5)), NAME, HALF_LIFE_SECONDS)
    assert (known.incidents, known.kills, known.effectiveness, known.measurements) == (1.0, 1, 0.5, 0.5)


#: Twice may be chance.
REPEATED = 2.5


@pytest.mark.row("F3")
@pytest.mark.parametrize(
    ("count", "every", "offender"),
    [
        (0, 60.0, False),
        (2, 60.0, False),
        (3, 60.0, True),
        (3, 6 * HOUR, False),
        (9, 4 * HOUR, True),
        (9, 24 * HOUR, False),
    ],
)
def test_who_causes_pressure_again_and_again_is_recognised(count: int, every: float, offender: bool) -> None:
    known = experience(*caused(count), every=every)
    assert (conduct(known, NAME, max(0, count - 1) * every).incidents >= REPEATED) == offender


@pytest.mark.row("F3")
def test_no_offender_is_one_for_ever() -> None:
    known = experience(*caused(1000))
    assert conduct(known, NAME, HALF_LIFE_SECONDS).incidents >= REPEATED
    assert conduct(known, NAME, 2 * HALF_LIFE_SECONDS).incidents < REPEATED
    assert conduct(known, "another", 0.0).incidents == 0


@pytest.mark.row("F3", "C1")
def test_an_offender_is_treated_earlier() -> None:
    """At a threshold that it would not reach yet, what was learned makes it a candidate."""
    cart = container("cart", anon=6 * GIB, request_bytes=GIB, owner=Owner(kind="Deployment", name="cart"))
    learned = Plan(bias=bias(experience(*caused(4)), 0.0))
    assert learned.bias == {NAME: 50}
    look = snapshot([cart], available=0)
    history, plain = judge(History(), look, Plan())
    between = changed(plain.pressure, threshold_score=plain.candidates[0].scored.score + 25.0)
    assert rank(history, look, Plan(), plain.domain, between).victim is None
    assert rank(history, look, learned, plain.domain, between).victim is not None


@pytest.mark.row("F1", "F3")
def test_what_there_is_to_learn_from_a_candidate() -> None:
    quiet = by_id(ranked(container("a", anon=GIB)))["a"]
    assert result(quiet, killed=True, freed_bytes=7) == Result(
        workload="shop/pod-a/app", caused=False, killed=True, estimated_bytes=GIB, freed_bytes=7
    )
    looks = story([(container("a"), lambda t: (1 + 0.1 * t) * GIB)], seconds=30)
    assert result(watch(looks)[-1].candidates[0], killed=False).caused


def test_the_longest_silent_is_forgotten_first() -> None:
    known = Experience()
    for index in range(MOST_WORKLOADS + 10):
        known = learn(known, Result(workload=f"w{index:05}", caused=True), float(index))
    assert len(known.workloads) == MOST_WORKLOADS
    assert "w00009" not in known.workloads
    assert "w00010" in known.workloads
    again = learn(known, Result(workload="w00010"), 1e5)
    assert "w00010" in learn(again, Result(workload="new"), 1e5 + 1).workloads


@pytest.mark.row("F2")
def test_clocks_may_step_back() -> None:
    known = learn(experience(*caused(), at=1000.0), Result(workload=NAME, caused=True), 0.0)
    assert conduct(known, NAME, 1000.0).incidents == 2


@pytest.mark.row("F2")
def test_those_with_most_points_either_way() -> None:
    points = {f"w{number}": number - 10 for number in range(30)}
    assert busiest(points, 4) == {"w29": 19, "w28": 18, "w27": 17, "w26": 16}
    assert busiest({"a": -50, "b": 1, "c": 10}, 2) == {"a": -50, "c": 10}
