from __future__ import annotations

import pytest
from tests.core.make import MIB, container, snapshot
from tests.core.test_history import follow

from memguard.core.footprint import footprint
from memguard.core.history import History, after_victim
from memguard.core.timeline import FIRST_SECONDS, MOST_POINTS, TimelinePoint, before, point_due


@pytest.mark.row("T2", "G3")
def test_the_points_before_are_what_was_looked_at() -> None:
    looks = [
        snapshot([container(anon=(100 + 10 * index) * MIB)], seconds=index, available=(500 - 10 * index) * MIB)
        for index in range(4)
    ]
    points = before(follow(*looks), "node", "a", looks[-1].seconds)
    assert [point.seconds for point in points] == [-3.0, -2.0, -1.0, 0.0]
    assert [point.available_bytes for point in points] == [look.node.memory.available_bytes for look in looks]
    assert [point.victim_bytes for point in points] == [footprint(look.containers[0].memory) for look in looks]


def test_a_victim_that_was_not_looked_at_again_had_not_moved() -> None:
    first = snapshot([container(anon=100 * MIB)], seconds=1)
    history = follow(snapshot([], seconds=0), first, snapshot([], seconds=2))
    held = footprint(first.containers[0].memory)
    assert [point.victim_bytes for point in before(history, "node", "a", 2)] == [None, held, held]


def test_what_is_not_known_is_not_told() -> None:
    assert before(History(), "node", "a", 0.0) == ()
    history = after_victim(follow(snapshot([container()])), 0.0, foreign=False)
    assert before(history, "node", "a", 0.0) == ()


@pytest.mark.parametrize(("seconds", "least"), [(0.3, 8), (30.0, 18), (3600.0, 22)])
def test_the_points_after_reach_over_a_kill_and_over_a_grace(seconds: float, least: int) -> None:
    """Looked at every 3 ms, as the guard does: dense at the beginning, and never too many."""
    after: list[TimelinePoint] = []
    for look in range(int(seconds / FIRST_SECONDS)):
        if point_due(after, look * FIRST_SECONDS):
            after.append(TimelinePoint(seconds=look * FIRST_SECONDS, available_bytes=0))
    assert least <= len(after) < MOST_POINTS
    assert after[0].seconds == 0
    assert after[1].seconds <= 2 * FIRST_SECONDS
