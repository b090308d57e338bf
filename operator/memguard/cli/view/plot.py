"""Where things stand in a picture: a frame's pixels for its values, round values for axes, places that do not collide.

Pure geometry; who draws brings the marks.
"""

from __future__ import annotations

from math import floor, log2, log10

import msgspec

#: A step of an axis is one of these times a power of ten.
_ROUND = (1.0, 2.0, 5.0, 10.0)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A plot's place on the page, and the values at its edges (`from` below `to`)."""

    x: float
    y: float
    width: float
    height: float
    from_t: float
    to_t: float
    from_v: float
    to_v: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    def px(self, t: float) -> float:
        """Where a time stands."""
        return self.x + (t - self.from_t) / (self.to_t - self.from_t) * self.width

    def py(self, v: float) -> float:
        """Where a value stands."""
        return self.bottom - (v - self.from_v) / (self.to_v - self.from_v) * self.height

    def shows(self, t: float) -> bool:
        """Is this time within?"""
        return self.from_t <= t <= self.to_t


def ticks(low: float, high: float, most: int, steps: tuple[float, ...]) -> list[float]:
    """Round values within low and high, at most `most`; `steps` from fine to coarse."""
    step = next((step for step in steps if (high - low) / step <= most), steps[-1])
    first = -(-low // step)
    count = int(high // step - first) + 1
    return [(first + index) * step for index in range(count)]


def decimal_step(span: float, most: int) -> float:
    """The finest of 1, 2, 5, 10, ... that divides a span into at most `most` parts."""
    rough = span / most
    power: float = 10.0 ** floor(log10(rough))
    return next((power * part for part in _ROUND if power * part >= rough), power * 10)


def binary_step(span_bytes: float, most: int) -> float:
    """The same for sizes: a power of two, which reads round in MiB and GiB."""
    return 2.0 ** -floor(-log2(span_bytes / most))


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places in order, each as near to the wanted one as `gap` to its neighbours allows, within low and high."""
    placed: list[float] = []
    for want in wanted:
        placed.append(max(want, low, placed[-1] + gap if placed else low))
    for index in range(len(placed) - 1, -1, -1):
        limit = high if index == len(placed) - 1 else placed[index + 1] - gap
        placed[index] = min(placed[index], limit)
    return placed
