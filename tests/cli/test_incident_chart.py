"""The geometry of a report's pictures: where things stand, for any record that there could be."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli import records

from memguard.api.decision import TimelinePoint
from memguard.cli.incident.chart import NARROW, WIDE, Chart, magnified, memory_chart, whole
from memguard.cli.incident.incident import Incident
from memguard.cli.incident.strip import strip
from memguard.cli.view.plot import Frame, binary_step, decimal_step, ticks
from memguard.core.model import LARGEST

KINDS = records.kinds()
MIB = records.MIB

sizes = st.integers(0, LARGEST)
#: A kernel's clock counts nanoseconds; ten years each way.
times = st.floats(-3e8, 3e8).map(lambda seconds: round(seconds, 9))
points = st.lists(
    st.builds(
        TimelinePoint, seconds=times, available_bytes=st.integers(-LARGEST, LARGEST), victim_bytes=st.none() | sizes
    ),
    max_size=24,
).map(tuple)


def recorded(
    before: tuple[TimelinePoint, ...],
    after: tuple[TimelinePoint, ...],
    seconds: float | None,
    timing: dict[str, float],
    **spec: Any,
) -> Incident:
    status = {"phase": "Done", "seconds": seconds, "freed_bytes": 1, "timeline": after}
    return records.told(records.decision(status, timeline=before, timing=timing, **spec))


any_record = st.builds(
    recorded,
    before=points,
    after=points,
    seconds=st.none() | st.floats(0, 3e8),
    timing=st.dictionaries(st.sampled_from(["held", "read", "ranked", "acted", "later"]), st.floats(0, 1e4)),
    available_bytes=st.integers(-LARGEST, LARGEST),
    reserve_bytes=sizes,
    fall_bytes_per_second=st.integers(-LARGEST, LARGEST),
)


def drawn(one: Incident, width: float) -> Chart:
    found = memory_chart(one, width)
    assert found is not None
    return found


def coordinates(chart: Chart) -> list[tuple[float, float, Frame]]:
    """Everything that is drawn within a frame."""
    found = []
    for view in chart.views:
        for plot in view.plots:
            lines = [pair.split(",") for text in (plot.curve, plot.area, plot.beyond) for pair in text.split()]
            found += [(float(x), float(y), plot.frame) for x, y in lines]
            found += [(dot.x, dot.y, plot.frame) for dot in plot.dots]
            found += [(plot.frame.x, tick.at, plot.frame) for tick in (*plot.sizes, *filter(None, [plot.level]))]
        found += [(tick.at, view.frame.y, view.frame) for tick in view.times]
        found += [(badge.pin, view.frame.y, view.frame) for badge in view.badges]
    return found


def boxes(chart: Chart) -> list[tuple[float, float, float, float]]:
    """Each view's plots, with their names and the axis."""
    return [(view.frame.x, view.top, view.frame.right, view.frame.bottom + 40) for view in chart.views if view.plots]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_drawn_stands_within_its_frame_and_the_picture(kind: str, width: float) -> None:
    chart = memory_chart(KINDS[kind], width)
    if chart is None:
        assert kind == "resized", "one figure is no picture"
        return
    assert chart.width == width
    for x, y, frame in coordinates(chart):
        assert frame.x - 0.1 <= x <= frame.right + 0.1
        assert frame.y - 0.1 <= y <= frame.bottom + 0.1
        assert 0 <= frame.x < frame.right <= width
        assert 0 <= frame.y < frame.bottom <= chart.height


@given(any_record)
@settings(deadline=None)
def test_any_record_can_be_drawn(one: Incident) -> None:
    for width in (WIDE, NARROW):
        chart = memory_chart(one, width)
        assert chart is not None or not one.timeline
        for x, y, frame in coordinates(chart) if chart else ():
            assert isfinite(x)
            assert isfinite(y)
            assert frame.x - 0.1 <= x <= frame.right + 0.1
        assert all(len(view.times) <= 40 for view in (chart.views if chart else ()))
        below = strip(one, width)
        for step in below.steps if below else ():
            assert isfinite(step.x)
            assert step.width >= 1


@pytest.mark.parametrize(("width", "views"), [(WIDE, "beside"), (NARROW, "below")])
def test_the_end_is_magnified_beside_the_whole_or_below_it(width: float, views: str) -> None:
    first, second = boxes(drawn(KINDS["killed"], width))
    if views == "beside":
        assert first[2] < second[0]
        assert first[1] == second[1]
    else:
        assert first[3] < second[1]
        assert first[0] == second[0]


def test_both_views_have_the_same_scale_of_bytes() -> None:
    first, second = drawn(KINDS["killed"], WIDE).views
    for left, right in zip(first.plots, second.plots, strict=True):
        assert (left.frame.from_v, left.frame.to_v) == (right.frame.from_v, right.frame.to_v)
        assert left.level == right.level or (left.level and right.level and left.level.at == right.level.at)


def test_an_end_that_takes_as_long_as_all_before_it_is_not_magnified() -> None:
    slow = records.told(records.decision(timeline=records.before()[-1:]))
    assert magnified(slow, whole(slow)) is None
    assert len(drawn(slow, WIDE).views) == 1


def test_every_moment_has_its_number_in_one_of_the_pictures() -> None:
    chart, steps = drawn(KINDS["killed"], WIDE), strip(KINDS["killed"], WIDE)
    assert [badge.label for badge in chart.views[0].badges] == ["1", "2\N{EN DASH}7"]
    assert [badge.label for badge in chart.views[1].badges] == ["2\N{EN DASH}6", "7"]
    assert steps is not None
    assert [badge.label for badge in steps.badges] == ["2", "3", "4", "5", "6"]


@given(any_record)
@settings(deadline=None)
def test_badges_keep_their_distance(one: Incident) -> None:
    chart = memory_chart(one, WIDE)
    for view in chart.views if chart else ():
        for left, right in pairwise(view.badges):
            assert right.x - left.x >= 33.9
            assert right.pin - left.pin >= 8.9


def test_the_steps_fill_the_strip_from_the_wake_up_to_the_action() -> None:
    found = strip(KINDS["killed"], WIDE)
    assert found is not None
    assert found.steps[0].x == found.frame.x
    for left, right in pairwise(found.steps):
        assert left.x + left.width == pytest.approx(right.x)
    assert found.steps[-1].x + found.steps[-1].width == pytest.approx(found.frame.right)
    assert [step.label for step in found.steps] == ["hold 0.2 ms", "read 0.7 ms", "rank 0.3 ms", "act 0.2 ms"]


def test_what_was_not_timed_has_no_strip() -> None:
    assert strip(KINDS["observed"], WIDE) is None
    assert strip(records.told(records.decision(timing={"acted": 5e-324})), WIDE) is None


def test_an_old_record_shows_the_one_figure_and_how_it_would_have_gone_on() -> None:
    (view,) = drawn(KINDS["old"], WIDE).views
    (plot,) = view.plots
    assert plot.dots[0].words == "at 0: 60 MiB"
    assert plot.level
    assert plot.dots[0].x > plot.frame.x
    begin, end = (tuple(map(float, pair.split(","))) for pair in plot.beyond.split())
    assert begin == pytest.approx((plot.dots[0].x, plot.dots[0].y), abs=0.1)
    assert end[1] == pytest.approx(plot.frame.bottom, abs=0.1), "nothing is left"


def test_the_fall_goes_on_at_the_pace_of_the_decision() -> None:
    plot = drawn(KINDS["killed"], WIDE).views[0].plots[0]
    begin, end = (tuple(map(float, pair.split(","))) for pair in plot.beyond.split())
    seconds = (end[0] - begin[0]) / plot.frame.width * (plot.frame.to_t - plot.frame.from_t)
    assert seconds == pytest.approx(60 / 40, abs=0.05)


def test_a_curve_enters_and_leaves_the_magnified_view_between_two_readings() -> None:
    view = drawn(KINDS["killed"], WIDE).views[1]
    first = view.plots[0].curve.split()[0]
    assert float(first.split(",")[0]) == pytest.approx(view.frame.x, abs=0.1)
    assert len(view.plots[0].dots) < len(KINDS["killed"].timeline)


def test_at_an_own_limit_the_reserve_is_called_by_its_name_the_line() -> None:
    levels = {kind: drawn(KINDS[kind], WIDE).views[0].plots[0].level for kind in ("killed", "own limit")}
    assert [level.label for level in levels.values() if level] == ["reserve 123 MiB", "line 123 MiB"]


def test_without_readings_of_the_victim_only_the_boundary_is_drawn() -> None:
    bare = tuple(msgspec.structs.replace(point, victim_bytes=None) for point in records.before())
    made = records.decision({"phase": "Done"}, timeline=bare)
    assert [plot.name for plot in drawn(records.told(made), WIDE).views[0].plots] == ["left"]


@given(st.floats(1e-9, 1e19), st.integers(2, 20))
def test_steps_are_round_and_few(span: float, most: int) -> None:
    for step in (decimal_step(span, most), binary_step(span, most)):
        assert span / step <= most * (1 + 1e-9)
        assert span / step > most / 3
        assert len(ticks(0, span, most, (step,))) <= most + 1


def test_sizes_are_powers_of_two_and_times_ones_twos_and_fives() -> None:
    assert binary_step(1017 * MIB, 4) == 256 * MIB
    assert [decimal_step(span, 5) for span in (23, 9, 4, 0.033)] == [5, 2, 1, pytest.approx(0.01)]
