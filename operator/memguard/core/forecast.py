"""How fast something moves, and when it will run out: robust slopes over a few recent samples."""

from __future__ import annotations

from collections.abc import Sequence

#: seconds, bytes
Sample = tuple[float, int]

#: Samples that are kept per series. They need not be equally spaced: the guard takes them by the fall of the
#: headroom, the nearer the danger the denser.
WINDOW = 20


def slope(samples: Sequence[Sample]) -> float:
    """Bytes per second by Theil's incomplete method: the median over pairs half a window apart.

    Robust against outliers like the full Theil-Sen estimator and linear in the number of samples instead of
    quadratic (Theil 1950, part I): 10 slopes instead of 190 on the path between wake-up and kill.
    """
    half = len(samples) // 2
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in zip(samples[:half], samples[len(samples) - half :], strict=True)
        if later[0] > earlier[0]
    ]
    return _median(slopes) if slopes else 0.0


def rise(samples: Sequence[Sample]) -> float:
    """Bytes per second upwards: over the window, or over its last third if that is steeper."""
    recent = samples[-max(2, len(samples) // 3) :]
    return max(slope(samples), slope(recent))


def _median(values: list[float]) -> float:
    """The statistics module's would do, at 0.5 MiB of imports (random, decimal) in the guard."""
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def seconds_until(headroom_bytes: float, fall_bytes_per_second: float) -> float | None:
    """When the headroom is used up; 0 if it is, None if it never will be."""
    if headroom_bytes <= 0:
        return 0.0
    return headroom_bytes / fall_bytes_per_second if fall_bytes_per_second > 0 else None
