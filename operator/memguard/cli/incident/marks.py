"""What all pictures of a report have: a time axis with round values, and the moments' numbers above it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from memguard.cli.incident.incident import Incident
from memguard.cli.incident.moments import Moment, moments
from memguard.cli.view.plot import Frame, decimal_step, spread, ticks

#: Room for the badges above a frame, and for an axis below it.
BADGES, AXIS = 34.0, 44.0
#: Moments nearer than this share a badge; badges keep the other distance.
BADGE_GAP, BADGE_WIDTH = 9.0, 34.0
#: A label of the time axis, with some air.
TIME_WIDTH = 56.0


class Tick(msgspec.Struct, frozen=True):
    """A value on an axis."""

    at: float
    label: str


class Badge(msgspec.Struct, frozen=True):
    """The number of a moment, or of several; it stands at `x`, and its pin leads to `pin`."""

    x: float
    pin: float
    label: str
    kind: str


def time_ticks(frame: Frame, since: float = 0.0) -> Iterator[Tick]:
    """Round times within a frame; `since`: what counts as 0."""
    low, high = frame.from_t - since, frame.to_t - since
    most = max(2, int(frame.width / TIME_WIDTH))
    factor, _ = unit(frame)
    for t in ticks(low, high, most, (decimal_step(high - low, most),)):
        value = t / factor
        sign = "+" if value > 0 and since == 0 else ""
        yield Tick(frame.px(t + since), f"{sign}{value:.6g}".replace("-", "\N{MINUS SIGN}"))


def unit(frame: Frame) -> tuple[float, str]:
    """What the time of a frame is counted in: its length in seconds, and its name."""
    span = frame.to_t - frame.from_t
    if span < 2:
        return 1e-3, "milliseconds"
    return (1.0, "seconds") if span < 300 else (60.0, "minutes")


def badges(incident: Incident, frame: Frame) -> tuple[Badge, ...]:
    """The moments within the frame's time, those that fall together as one."""
    groups: list[list[tuple[int, Moment]]] = []
    for number, moment in enumerate(moments(incident), 1):
        if not frame.shows(moment.seconds):
            continue
        if groups and frame.px(moment.seconds) - frame.px(groups[-1][0][1].seconds) < BADGE_GAP:
            groups[-1].append((number, moment))
        else:
            groups.append([(number, moment)])
    pins = [frame.px(group[0][1].seconds) for group in groups]
    places = spread(pins, BADGE_WIDTH, frame.x, frame.right)
    return tuple(_badge(group, x, pin) for group, x, pin in zip(groups, places, pins, strict=True))


def _badge(group: list[tuple[int, Moment]], x: float, pin: float) -> Badge:
    first, last = group[0][0], group[-1][0]
    kinds = {moment.kind for _, moment in group}
    kind = next((kind for kind in ("deed", "end", "before") if kind in kinds), "step")
    return Badge(x, pin, str(first) if first == last else f"{first}\N{EN DASH}{last}", kind)
