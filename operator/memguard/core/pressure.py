"""How close a domain is to breaking, and what score that makes a container a candidate.

level     = 1 - (available + swap that really helps) / reserve
soon      = 1 - (time to the reserve / horizon), and inside the reserve only for growth that matters
p         = 1 - (1 - level)(1 - 0.25 stall)(1 - 0.9 soon)
threshold = 8000 (1 - p)^2          candidates need a score of at least this; above 1000 nobody is one
"""

from __future__ import annotations

import msgspec

from memguard.core.domain import Domain
from memguard.core.forecast import rise, seconds_until
from memguard.core.history import Gauge
from memguard.core.policy import Settings

STALL_WEIGHT = 0.25
SOON_WEIGHT = 0.9
THRESHOLD_SCALE = 8000.0
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
    soon = _soon(to_reserve, settings.horizon_seconds) * _soon(to_zero, settings.patience_seconds)
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


def _soon(seconds: float | None, horizon: float) -> float:
    if seconds is None:
        return 0.0
    return _clamp(1 - seconds / horizon) if horizon > 0 else float(seconds <= 0)


def _clamp(ratio: float) -> float:
    return min(1.0, max(0.0, ratio))
