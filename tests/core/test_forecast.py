import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.forecast import WINDOW, rise, seconds_until, slope

series = st.lists(st.tuples(st.floats(0.001, 10), st.integers(0, 2**50)), max_size=WINDOW).map(
    lambda steps: [(sum(step for step, _ in steps[: index + 1]), value) for index, (_, value) in enumerate(steps)]
)


@pytest.mark.parametrize("count", range(2, WINDOW + 1))
@given(rate=st.integers(-(10**9), 10**9), start=st.integers(0, 10**12), step=st.sampled_from([0.005, 0.5, 1.0, 30.0]))
def test_a_straight_line_has_its_own_slope(count: int, rate: int, start: int, step: float) -> None:
    line = [(index * step, start + round(rate * index * step)) for index in range(count)]
    assert slope(line) == pytest.approx(rate, rel=1e-6, abs=1 / step)


@given(series, st.floats(0, 1e6), st.integers(-(2**40), 2**40))
def test_neither_the_clock_nor_the_level_matters(samples: list[tuple[float, int]], later: float, higher: int) -> None:
    moved = [(at + later, value + higher) for at, value in samples]
    spread = max((abs(value) for _, value in samples), default=0) + abs(higher)
    assert slope(moved) == pytest.approx(slope(samples), rel=1e-4, abs=1 + spread * 1e-4)


@given(series)
def test_turned_over_it_is_the_negative(samples: list[tuple[float, int]]) -> None:
    assert slope([(at, -value) for at, value in samples]) == pytest.approx(-slope(samples))


@pytest.mark.row("S10")
@pytest.mark.parametrize("position", range(WINDOW))
def test_one_wild_reading_does_not_turn_it(position: int) -> None:
    line = [(float(index), 1000 * index) for index in range(WINDOW)]
    line[position] = (float(position), 10**12)
    assert slope(line) == pytest.approx(1000, rel=0.3)


@pytest.mark.parametrize("samples", [[], [(0.0, 5)], [(1.0, 5), (1.0, 9)], [(2.0, 5), (1.0, 9)]])
def test_too_few_or_unordered_samples_say_nothing(samples: list[tuple[float, int]]) -> None:
    assert slope(samples) == 0
    assert rise(samples) == 0


@pytest.mark.row("E5")
def test_a_rise_that_just_began_is_seen_in_its_last_third() -> None:
    flat_then_up = [(float(index), 0 if index < 14 else (index - 13) * 100) for index in range(WINDOW)]
    assert slope(flat_then_up) < rise(flat_then_up)
    assert rise(flat_then_up) == pytest.approx(100)


@given(series)
def test_rise_is_no_less_than_the_slope(samples: list[tuple[float, int]]) -> None:
    assert rise(samples) >= slope(samples)


@pytest.mark.row("A1")
@pytest.mark.parametrize(
    ("headroom", "fall", "expected"),
    [(100, 10, 10.0), (100, 0, None), (100, -5, None), (0, 10, 0.0), (-1, 0, 0.0), (0, -1, 0.0)],
)
def test_seconds_until(headroom: int, fall: float, expected: float | None) -> None:
    assert seconds_until(headroom, fall) == expected
