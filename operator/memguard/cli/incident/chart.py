"""Where everything stands in the picture of memory: pure geometry, which the page's template draws as SVG.

An incident has three scales: it comes in seconds, memory comes back in tenths of them, and the guard's own steps take
milliseconds. So there are up to two views of memory, the whole and the end magnified, and a strip for the steps
(strip.py). Moments bear the same number in each of them and in the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from memguard.cli.incident.curves import Curve, available, victims, within
from memguard.cli.incident.incident import Incident, short
from memguard.cli.incident.marks import AXIS, BADGES, Badge, Tick, badges, time_ticks, unit
from memguard.cli.incident.moments import spans
from memguard.cli.incident.words import around, place
from memguard.cli.view.plot import Frame, binary_step, ticks
from memguard.core.explain import size

#: The page shows one of two drawings: beside each other, or below each other on a phone.
WIDE, NARROW = 920.0, 330.0
LEFT, RIGHT, GUTTER = 66.0, 16.0, 40.0
#: Of the width without margins, for the whole, where the end is magnified beside it.
WHOLE_SHARE = 0.62
TITLE, PLOT = 26.0, 112.0
#: Width of a character of a title, generously.
TITLE_LETTER = 8.5
#: Dots nearer than this are one blot; the table has all readings.
DOT_GAP = 5.0
#: The end is magnified where it takes less than this of the whole time.
MAGNIFIED = 1 / 6
#: How far a fall is drawn on beyond the readings, as a share of their time.
BEYOND = 0.35
SHORTEST_SECONDS = 1e-3
#: Room beside what is drawn, as a share of its time.
MARGIN = 0.02

Name = Literal["left", "victim"]


class Dot(msgspec.Struct, frozen=True):
    """One reading, and what it says."""

    x: float
    y: float
    words: str


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """One curve in its frame. `level`: the reserve or the line; `beyond`: how it would have gone on."""

    name: Name
    title: str
    frame: Frame
    curve: str
    area: str
    dots: tuple[Dot, ...]
    sizes: tuple[Tick, ...]
    level: Tick | None
    beyond: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, with its plots above each other."""

    caption: str
    plots: tuple[Plot, ...]
    times: tuple[Tick, ...]
    badges: tuple[Badge, ...]
    top: float

    @property
    def frame(self) -> Frame:
        """Of the lowest plot, which has the axis."""
        return self.plots[-1].frame


class Chart(msgspec.Struct, frozen=True):
    """The drawing of memory."""

    width: float
    height: float
    views: tuple[View, ...]


class _Measure(msgspec.Struct, frozen=True):
    """What is drawn, within which bytes."""

    name: Name
    title: str
    series: Curve
    level: tuple[int, str] | None
    fall_bytes_per_second: int

    @property
    def top(self) -> float:
        values = [float(value) for _, value in self.series]
        return max([*values, float(self.level[0]) if self.level else 0.0, 1.0]) * 1.08


Time = tuple[float, float]
#: x, top and width
Place = tuple[float, float, float]


def memory_chart(incident: Incident, width: float) -> Chart | None:
    """Memory against time; of a record without a timeline the moment of the decision, and how it would have gone on.

    None where that is not known either: one figure is no picture.
    """
    if not incident.timeline and incident.exhaustion_seconds is None:
        return None
    measures, stretches = _measures(incident), [whole(incident)]
    end = magnified(incident, stretches[0])
    if end is not None:
        stretches.append(end)
    places = _places(len(stretches), len(measures), width)
    views = tuple(
        _view(incident, measures, time, place, magnifies=time is end)
        for time, place in zip(stretches, places, strict=True)
    )
    height = max(view.frame.bottom for view in views) + AXIS
    return Chart(width, height, views)


def whole(incident: Incident) -> Time:
    """From the first reading to the last one, or the end; and some way on, where memory would have gone on to fall."""
    at = [0.0, *(point.seconds for point in incident.timeline), *(span.begin for span in spans(incident))]
    if incident.decision.status.seconds is not None:
        at.append(incident.decision.status.seconds)
    begin, end = min(at), max(at)
    left = incident.exhaustion_seconds
    if left is not None:
        end = max(end, min(left, BEYOND * -begin if len(incident.timeline) > 1 else left))
    margin = max(SHORTEST_SECONDS, MARGIN * (end - begin), 1e-9 * abs(begin))
    return begin if incident.timeline else begin - margin, end + margin


def magnified(incident: Incident, time: Time) -> Time | None:
    """The end, from just before the action; None where the whole shows it well enough, or there is nothing to see."""
    status = incident.decision.status
    after = status.timeline or ()
    end = max([status.seconds or 0.0, *(point.seconds for point in after)])
    if len(after) < 2 or not SHORTEST_SECONDS <= end < MAGNIFIED * (time[1] - time[0]):
        return None
    return -0.15 * end, 1.08 * end


def _measures(incident: Incident) -> tuple[_Measure, ...]:
    spec = incident.decision.spec
    left = _Measure(
        "left",
        f"Left within {place(spec.domain)}",
        available(incident),
        (spec.reserve_bytes, "line" if incident.own_limit else "reserve") if spec.reserve_bytes else None,
        spec.fall_bytes_per_second,
    )
    held = victims(incident)
    if not held:
        return (left,)
    return left, _Measure("victim", "Memory of the victim", held, None, 0)


def _places(views: int, plots: int, width: float) -> Iterator[Place]:
    """Where each view stands: beside each other where there is room."""
    room = width - LEFT - RIGHT
    if views == 2 and width >= WIDE:
        first = (room - GUTTER) * WHOLE_SHARE
        yield LEFT, 0.0, first
        yield LEFT + first + GUTTER, 0.0, room - GUTTER - first
        return
    for number in range(views):
        yield LEFT, number * (BADGES + plots * (TITLE + PLOT) + AXIS + GUTTER / 2), room


def _view(incident: Incident, measures: Iterable[_Measure], time: Time, place: Place, *, magnifies: bool) -> View:
    x, top, width = place
    plots = []
    for number, measure in enumerate(measures):
        y = top + BADGES + number * (TITLE + PLOT) + TITLE
        frame = Frame(x=x, y=y, width=width, height=PLOT, from_t=time[0], to_t=time[1], from_v=0.0, to_v=measure.top)
        plots.append(_plot(measure, frame, named=x == LEFT))
    frame = plots[-1].frame
    return View(
        caption=f"{'magnified: ' if magnifies else ''}{unit(frame)[1]} from the action",
        plots=tuple(plots),
        times=tuple(time_ticks(frame)),
        badges=badges(incident, frame),
        top=top + BADGES,
    )


def _plot(measure: _Measure, frame: Frame, *, named: bool) -> Plot:
    readings = within(measure.series, frame.from_t, frame.to_t)
    points = [(frame.px(t), frame.py(v)) for t, v in readings]
    curve = _path(points)
    area = _path([(points[0][0], frame.bottom), *points, (points[-1][0], frame.bottom)]) if len(points) > 1 else ""
    return Plot(
        name=measure.name,
        title=short(measure.title, int(frame.width / TITLE_LETTER)),
        frame=frame,
        curve=curve,
        area=area,
        dots=tuple(_dots([point for point in measure.series if frame.shows(point[0])], frame)),
        sizes=tuple(_sizes(frame)) if named else (),
        level=Tick(frame.py(measure.level[0]), f"{measure.level[1]} {size(measure.level[0])}")
        if measure.level
        else None,
        beyond=_beyond(measure, frame),
    )


def _dots(readings: Iterable[tuple[float, int]], frame: Frame) -> Iterator[Dot]:
    last = -DOT_GAP
    for t, v in readings:
        if frame.px(t) - last >= DOT_GAP:
            last = frame.px(t)
            yield Dot(last, frame.py(v), f"{around(t)}: {size(v)}")


def _beyond(measure: _Measure, frame: Frame) -> str:
    """From the last reading before the action to nothing left, at the pace of that moment."""
    before = [point for point in measure.series if point[0] <= 0]
    if measure.fall_bytes_per_second <= 0 or not before or before[-1][1] <= 0:
        return ""
    t, v = before[-1]
    end = min(frame.to_t, t + v / measure.fall_bytes_per_second)
    if end <= max(t, frame.from_t):
        return ""
    begin = max(t, frame.from_t)

    def left(at: float) -> float:
        return max(0.0, v - (at - t) * measure.fall_bytes_per_second)

    return _path([(frame.px(begin), frame.py(left(begin))), (frame.px(end), frame.py(left(end)))])


def _sizes(frame: Frame) -> Iterator[Tick]:
    for value in ticks(frame.from_v, frame.to_v, 4, (binary_step(frame.to_v, 4),)):
        yield Tick(frame.py(value), size(value))


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
