"""How close a domain is to breaking, and what score that makes a container a candidate.

level     = 1 - (available + swap that really helps) / reserve
soon      = (1 - time to the reserve / horizon) (1 - looks until the last line / patience), each 0..1
p         = 1 - (1 - level)(1 - 0.25 stall)(1 - 0.9 soon)
threshold = 8000 (1 - p)^2          candidates need a score of at least this; above 1000 nobody is one

With patience in seconds, as in the guard, the second part of `soon` is (1 - time until nothing is left / patience).
"""

from __future__ import annotations

import msgspec

from memguard.core.domain import Domain
from memguard.core.forecast import rise, seconds_until
from memguard.core.history import Gauge
from memguard.core.policy import Settings
from memguard.core.score import GROWTH_FLOOR

#: Stalls add a quarter at most, so that they never suffice; the time that is left counts nearly as much as what is.
#: Chosen, not swept.
STALL_WEIGHT, SOON_WEIGHT = 0.25, 0.9
#: The threshold falls from 1000 to 0 with pressure by this law (the table in docs/score.md). Chosen, not swept.
THRESHOLD_SCALE = 8000.0
#: Share of the domain that must be left when patience with growth ends. Nodes fail with about 1 % available, since
#: hot cache and watermarks are in it. On simulated incidents (bench/victims) 1.25 to 1.75 % decide alike; with 1 %
#: twice as many come too late, and a third of the reserve is too late on nodes so big that its cap leaves 1.6 % in all.
LAST_LINE = 0.015
#: Relief below this share of the domain is not worth a victim.
SMALLEST_NEED = 0.01


class Pressure(msgspec.Struct, frozen=True, gc=False):
    """The state of one domain; rates in bytes per second, ratios 0..1."""

    level: float
    stall: float
    soon: float
    pressure: float
    threshold_score: float
    need_bytes: int
    fall_bytes_per_second: float
    exhaustion_seconds: float | None

    @property
    def calls_for_action(self) -> bool:
        """Could any score reach the threshold?"""
        return self.threshold_score <= 1000


def assess(domain: Domain, gauge: Gauge, stall: float, settings: Settings) -> Pressure:
    """The pressure on a domain from its present headroom and its recent past."""
    fall = rise([(at, -available) for at, available in gauge.available])
    swap_fall = max(0.0, rise([(at, -free) for at, free in gauge.swap_free]))
    helpful = _helpful_swap(domain, fall, swap_fall, stall)
    left = domain.available_bytes + helpful
    fall = max(0.0, fall) + (swap_fall if helpful else 0.0)
    level = _clamp(1 - left / domain.reserve_bytes) if domain.reserve_bytes else 0.0
    to_reserve = seconds_until(left - domain.reserve_bytes, fall)
    to_zero = seconds_until(left, fall)
    if settings.patience_seconds is not None:
        urgency = _soon(to_zero, settings.patience_seconds)
    else:
        urgency = _soon(_looks_left(domain, gauge, left, fall), settings.patience_looks)
    soon = _soon(to_reserve, settings.horizon_seconds) * urgency
    pressure = 1 - (1 - level) * (1 - STALL_WEIGHT * stall) * (1 - SOON_WEIGHT * soon)
    return Pressure(
        level=level,
        stall=stall,
        soon=soon,
        pressure=pressure,
        threshold_score=THRESHOLD_SCALE * (1 - pressure) ** 2,
        need_bytes=need(domain, settings),
        fall_bytes_per_second=fall,
        exhaustion_seconds=to_zero,
    )


def need(domain: Domain, settings: Settings) -> int:
    """Bytes that bring the domain back to its relief line, at least 1 % of it."""
    wanted = int(domain.reserve_bytes * settings.relief_ratio) - domain.available_bytes
    return max(wanted, int(domain.size_bytes * SMALLEST_NEED), 1)


def _helpful_swap(domain: Domain, fall: float, swap_fall: float, stall: float) -> float:
    """Free swap counts only as far as it takes the demand at present, and less the more everything stalls.

    With zram the thrash began with nearly all swap still free (braking.md): free swap by itself is not headroom.
    """
    demand = max(0.0, fall) + swap_fall
    taken = swap_fall / demand if demand > 0 else 0.0
    return domain.swap_free_bytes * taken * (1 - stall)


def _looks_left(domain: Domain, gauge: Gauge, left: float, fall: float) -> float | None:
    """How many more looks like the last would cross the last line; 0 if it is crossed, None if nothing is being lost.

    Counted in looks, since whoever can look again in time need not act yet, at any cadence. On simulated incidents
    (bench/victims) 3 looks of patience are too late in 1.5 to 2 %, 5 to 8 in 0.5; 12 kill where nobody should die in
    13 to 15 %, 5 to 8 in 5 to 7. What the last look itself lost counts where it is more than the trend, which lags a
    jump by three looks: without it up to twice as many come too late. On a NUMA node the reserve itself is the last
    line: its headroom is reckoned from the containers' shares of cache, and that was 2 to 3 % of the domain too much
    when the kernel gave up.
    """
    if len(gauge.available) < 2:
        return None
    (before, had), (now, has) = gauge.available[-2:]
    interval = max(0.0, now - before)
    loss = max(fall * interval, had - has)
    if loss <= GROWTH_FLOOR * domain.size_bytes * interval:
        return None
    last_line = domain.reserve_bytes if domain.kind == "numa" else LAST_LINE * domain.size_bytes
    return max(0.0, left - last_line) / loss


def _soon(time: float | None, horizon: float) -> float:
    """1 when the time is up, 0 when it is the horizon or more (None: never); both in seconds, or both in looks."""
    if time is None:
        return 0.0
    return _clamp(1 - time / horizon) if horizon > 0 else float(time <= 0)


def _clamp(ratio: float) -> float:
    return min(1.0, max(0.0, ratio))
