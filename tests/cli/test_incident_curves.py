"""What was read over time: where a curve falls to a level, and what of it lies within a view."""

from __future__ import annotations

import pytest

from memguard.cli.incident.curves import Curve, crossing, within

FALL: Curve = ((-4.0, 800), (-2.0, 400), (0.0, 100), (1.0, 900))


@pytest.mark.parametrize(
    ("points", "level", "at"),
    [
        (((-2.0, 10), (-1.0, 4)), 7, -1.5),
        (((-2.0, 10), (-1.0, 8)), 7, None),
        (((-4.0, 9), (-3.0, 5), (-2.0, 9), (-1.0, 5)), 7, -1.5),
        (((-1.0, 9), (1.0, 5)), 7, None),
        (((-1.0, 5), (0.0, 3)), 7, None),
        ((), 7, None),
    ],
)
def test_a_crossing_is_the_last_one_before_the_action(
    points: tuple[tuple[float, int], ...], level: int, at: float | None
) -> None:
    assert crossing(points, level) == at


@pytest.mark.parametrize(
    ("begin", "end", "seen"),
    [
        (-4.0, 1.0, FALL),
        (-9.0, 9.0, FALL),
        (-3.0, -1.0, ((-3.0, 600), (-2.0, 400), (-1.0, 250))),
        (0.25, 0.5, ((0.25, 300), (0.5, 500))),
        (2.0, 3.0, ()),
    ],
)
def test_a_view_shows_its_readings_and_where_the_curve_enters_and_leaves(begin: float, end: float, seen: Curve) -> None:
    assert within(FALL, begin, end) == seen
