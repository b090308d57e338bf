import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, TIB

from memguard.core.domain import Domain, reserve
from memguard.core.history import Gauge
from memguard.core.policy import Settings
from memguard.core.pressure import Pressure, assess, need

SETTINGS = Settings()


def node(available: float, size: int = 16 * GIB, swap: tuple[int, int] = (0, 0)) -> Domain:
    """A node of which this share is available."""
    return Domain("node", "", size, int(available * size), reserve(size, SETTINGS), *swap)


def falling(domain: Domain, rate: float, swap_rate: float = 0.0, seconds: int = 20) -> Gauge:
    """Headroom and free swap that fell at these rates (bytes per second) until now."""
    return Gauge(
        tuple((float(t), int(domain.available_bytes + rate * (seconds - 1 - t))) for t in range(seconds)),
        tuple((float(t), int(domain.swap_free_bytes + swap_rate * (seconds - 1 - t))) for t in range(seconds)),
    )


def pressure(available: float, rate: float = 0.0, stall: float = 0.0, settings: Settings = SETTINGS) -> Pressure:
    domain = node(available)
    return assess(domain, falling(domain, rate), stall, settings)


domains_ = st.builds(
    lambda size, share, swap, free: node(share, size, (swap, int(free * swap))),
    st.integers(1, 2**62),
    st.floats(0, 1),
    st.sampled_from([0, GIB, 2**60]),
    st.floats(0, 1),
)
rates = st.floats(-1e11, 1e11)
ratios = st.floats(0, 1)
settings_ = st.builds(
    Settings,
    horizon_seconds=st.sampled_from([0.0, 0.1, 8.0, 1e6]),
    patience_looks=st.sampled_from([0, 1, 6]),
    patience_seconds=st.sampled_from([None, 0.0, 60.0]),
    reserve_ratio=ratios,
)


@pytest.mark.row("C1")
@given(domains_, rates, rates, ratios, settings_)
def test_the_documented_form(domain: Domain, rate: float, swap_rate: float, stall: float, settings: Settings) -> None:
    found = assess(domain, falling(domain, rate, swap_rate), stall, settings)
    for ratio in (found.level, found.soon, found.pressure):
        assert 0 <= ratio <= 1
    assert found.pressure == pytest.approx(
        1 - (1 - found.level) * (1 - 0.25 * found.stall) * (1 - 0.9 * found.soon), abs=1e-12
    )
    assert found.threshold_score == pytest.approx(8000 * (1 - found.pressure) ** 2, abs=1e-9)
    assert found.calls_for_action == (found.threshold_score <= 1000)
    assert found.need_bytes >= 1


@pytest.mark.row("A1", "C1")
@given(ratios, ratios, rates, ratios)
def test_less_available_never_means_less_pressure(one: float, other: float, rate: float, stall: float) -> None:
    less, more = sorted((one, other))
    assert pressure(less, rate, stall).pressure >= pressure(more, rate, stall).pressure - 1e-12


@pytest.mark.row("C1")
@given(ratios, st.floats(0, 1e11), st.floats(0, 1e11), ratios)
def test_a_faster_fall_never_means_less_pressure(share: float, one: float, other: float, stall: float) -> None:
    slow, fast = sorted((one, other))
    assert pressure(share, fast, stall).pressure >= pressure(share, slow, stall).pressure - 1e-9


@pytest.mark.row("A3", "C1")
@given(ratios, rates, ratios, ratios)
def test_more_stall_never_means_less_pressure(share: float, rate: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert pressure(share, rate, more).pressure >= pressure(share, rate, less).pressure - 1e-12


# available (share of a 16 GiB node), fall in MiB/s, stall -> threshold, or None where nobody is a candidate
THRESHOLDS = [
    ("plenty and quiet", 0.50, 0, 0.0, None),
    ("at the reserve and quiet", 0.06, 0, 0.0, None),
    ("half of the reserve gone, quiet", 0.03, 0, 0.0, None),
    ("... three quarters gone", 0.015, 0, 0.0, 500),
    ("nothing left", 0.0, 0, 0.0, 0),
    ("a fast fall far above the reserve", 0.50, 2000, 0.0, None),
    ("... that will cross it in 4 s", 0.06 + 4 * 100 / 16384, 100, 0.0, None),
    ("... in half a second, with two looks left before the last line", 0.06 + 0.5 * 400 / 16384, 400, 0.0, None),
    ("... in half a second, with little more than one", 0.06 + 0.5 * 1000 / 16384, 1000, 0.0, 872),
    ("inside the reserve, with three looks left", 0.033, 100, 0.0, 712),
    ("... with one", 0.021, 100, 0.0, 62),
    ("... a leak that crosses it in 4 s, but would take a quarter of an hour to fill it", 0.0602, 1, 0.0, None),
    ("cache churn that stalls everything", 0.50, 0, 1.0, None),
    ("stalled, with half of the reserve gone", 0.03, 0, 1.0, None),
    ("stalled, with 60 % of the reserve gone", 0.024, 0, 1.0, 720),
]


@pytest.mark.row("A1", "A3", "C1", "E5")
@pytest.mark.parametrize(
    ("words", "share", "fall", "stall", "threshold"), THRESHOLDS, ids=[row[0] for row in THRESHOLDS]
)
def test_from_which_score_on_somebody_is_a_candidate(
    words: str, share: float, fall: int, stall: float, threshold: int | None
) -> None:
    found = pressure(share, fall * MIB, stall)
    if threshold is None:
        assert not found.calls_for_action
    else:
        assert found.threshold_score == pytest.approx(threshold, rel=0.05, abs=1)


@pytest.mark.row("A1")
def test_time_to_exhaustion() -> None:
    assert pressure(0.5).exhaustion_seconds is None
    assert pressure(0.5, -MIB).exhaustion_seconds is None, "it rises"
    assert pressure(0.5, 1024 * MIB).exhaustion_seconds == pytest.approx(8.0)
    assert pressure(0.0).exhaustion_seconds == 0


@pytest.mark.row("C1")
def test_a_guard_that_needs_no_forecast_waits_for_the_reserve() -> None:
    instant = Settings(horizon_seconds=0, patience_seconds=60)
    assert pressure(0.061, 1024 * MIB, settings=instant).soon == 0
    assert pressure(0.059, 1024 * MIB, settings=instant).soon > 0.9


@pytest.mark.row("A1", "E5")
def test_the_guard_acts_at_its_line() -> None:
    """guard/config.py's settings on a small node: who looks all the time waits for nothing at the reserve."""
    guard = Settings(horizon_seconds=0.1, patience_seconds=60)
    domain = Domain("node", "", GIB, 100 * MIB, 100 * MIB)
    for rate in (50 * MIB, 300 * MIB, 12 * GIB):
        assert assess(domain, falling(domain, rate), 0.0, guard).threshold_score <= 250
    assert not assess(domain, falling(domain, MIB), 0.0, guard).calls_for_action


# --- patience ----------------------------------------------------------------------------------------------------


def look_back(domain: Domain, *lost: int, interval: float = 1.0) -> Gauge:
    """What was available at the looks before, that lost so much each until now."""
    found = [domain.available_bytes]
    for loss in reversed(lost):
        found.insert(0, found[0] + loss)
    return Gauge(tuple((index * interval, value) for index, value in enumerate(found)), ())


@pytest.mark.row("A1", "E5")
@pytest.mark.parametrize("interval", [0.001, 0.1, 1.0, 10.0])
def test_patience_is_counted_in_looks_at_any_cadence(interval: float) -> None:
    """Inside the reserve: what matters is how often there will still be time to look again."""
    domain = node(0.04)
    per_look = int(domain.size_bytes * (0.04 - 0.015) / 3)
    found = assess(domain, look_back(domain, *[per_look] * 10, interval=interval), 0.0, SETTINGS)
    assert found.soon == pytest.approx(1 - 3 / SETTINGS.patience_looks, abs=1e-6)


@pytest.mark.row("A1", "E5")
def test_a_jump_counts_before_it_is_a_trend() -> None:
    domain = node(0.04)
    jump = int(domain.size_bytes * 0.05)
    sudden = assess(domain, look_back(domain, *[0] * 18, jump), 0.0, SETTINGS)
    assert sudden.fall_bytes_per_second == 0
    assert sudden.soon == pytest.approx(1 - 0.5 / SETTINGS.patience_looks), "another one would be the end"
    above = node(0.07)
    assert assess(above, look_back(above, *[0] * 18, jump), 0.0, SETTINGS).soon == 0, "before the reserve it is not"
    gentle = assess(domain, look_back(domain, *[0] * 18, jump // 20), 0.0, SETTINGS)
    assert gentle.soon == 0


@pytest.mark.row("E5")
@pytest.mark.parametrize("share", [0.05, 0.02, 0.014, 0.005])
def test_what_nobody_is_to_blame_for_is_no_growth(share: float) -> None:
    domain = node(share)
    noise = int(domain.size_bytes * 4e-5)
    assert assess(domain, look_back(domain, *[noise] * 19), 0.0, SETTINGS).soon == 0


@pytest.mark.row("E5")
def test_below_the_last_line_growth_is_not_waited_for() -> None:
    domain = node(0.014)
    slow = int(domain.size_bytes * 6e-5)
    assert assess(domain, look_back(domain, *[slow] * 19), 0.0, SETTINGS).soon == 1


@pytest.mark.row("S10")
def test_the_estimate_of_a_numa_node_earns_no_patience() -> None:
    whole, part = node(0.06), Domain("numa", "0", 16 * GIB, int(0.06 * 16 * GIB), reserve(16 * GIB, SETTINGS))
    gauge = falling(whole, 100 * MIB)
    assert not assess(whole, gauge, 0.0, SETTINGS).calls_for_action
    assert assess(part, gauge, 0.0, SETTINGS).soon == 1


@pytest.mark.row("A1")
def test_a_first_look_knows_no_growth() -> None:
    domain = node(0.03)
    assert assess(domain, Gauge(((0.0, domain.available_bytes),), ()), 0.0, SETTINGS).soon == 0


SWAP = [
    # words, fall of RAM and of free swap in MiB/s, stall, how much of the free swap helps
    ("idle swap is no headroom", 100, 0, 0.0, 0.0),
    ("swap that takes half of the demand counts half", 50, 50, 0.0, 0.5),
    ("swap that takes all of it counts in full", 0, 100, 0.0, 1.0),
    ("... less the more everything stalls", 0, 100, 0.75, 0.25),
    ("... and not at all in a thrash", 0, 100, 1.0, 0.0),
]


@pytest.mark.row("A2", "E6")
@pytest.mark.parametrize(("words", "fall", "swap_fall", "stall", "helps"), SWAP, ids=[row[0] for row in SWAP])
def test_swap_eases_only_as_far_as_it_takes_pressure_away(
    words: str, fall: int, swap_fall: int, stall: float, helps: float
) -> None:
    free = 256 * MIB
    domain = node(0.02, swap=(8 * GIB, free))
    found = assess(domain, falling(domain, fall * MIB, swap_fall * MIB), stall, SETTINGS)
    left = domain.available_bytes + helps * free
    assert found.level == pytest.approx(1 - left / domain.reserve_bytes, abs=0.01)


@pytest.mark.row("A2")
def test_swap_that_is_used_up_helps_nobody() -> None:
    depleted = node(0.02, swap=(8 * GIB, 0))
    none = node(0.02)
    gauge = falling(none, 50 * MIB)
    assert assess(depleted, gauge, 0.0, SETTINGS).pressure == assess(none, gauge, 0.0, SETTINGS).pressure


@pytest.mark.row("A2")
def test_both_falls_count_for_the_forecast_when_swap_helps() -> None:
    domain = node(0.02, swap=(8 * GIB, 4 * GIB))
    found = assess(domain, falling(domain, 0, 100 * MIB), 0.0, SETTINGS)
    assert found.fall_bytes_per_second == pytest.approx(100 * MIB)
    assert found.exhaustion_seconds == pytest.approx((domain.available_bytes + 4 * GIB) / (100 * MIB))


@pytest.mark.row("C3")
@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0.08), (0.02, 0.06), (0.06, 0.02), (0.07, 0.01), (0.5, 0.01), (1.0, 0.01)]
)
def test_the_need_brings_it_back_above_8_percent(share: float, expected: float) -> None:
    assert need(node(share), SETTINGS) / (16 * GIB) == pytest.approx(expected, abs=1e-6)


@pytest.mark.row("C1")
@pytest.mark.parametrize("size", [1, 2, 99])
def test_even_a_domain_of_a_few_bytes_needs_something(size: int) -> None:
    assert need(node(1.0, size), SETTINGS) == 1


@pytest.mark.row("S9", "C1")
@given(st.floats(0, 1), st.floats(-0.5, 0.5), st.floats(0, 1))
def test_pressure_is_relative_to_the_node_below_the_cap(share: float, fall: float, stall: float) -> None:
    small, large = node(share, GIB), node(share, 64 * GIB)
    found = [assess(d, falling(d, fall * d.size_bytes), stall, SETTINGS) for d in (small, large)]
    assert found[0].pressure == pytest.approx(found[1].pressure, abs=1e-3)


@pytest.mark.row("C1")
def test_a_big_node_keeps_a_smaller_share() -> None:
    assert assess(node(0.01, TIB), Gauge(), 0.0, SETTINGS).level == 0
    assert assess(node(0.01, 16 * GIB), Gauge(), 0.0, SETTINGS).level > 0.8
