from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.model import Level
from memguard.guard.standing import CALM_RESERVES, level

RESERVE = 100


@pytest.mark.parametrize(
    ("headroom", "before", "expected"),
    [
        (401, None, "Calm"),
        (400, "Calm", "Tight"),
        (401, "Tight", "Tight"),
        (501, "Tight", "Calm"),
        (0, "Calm", "Critical"),
        (25, "Critical", "Critical"),
        (26, "Critical", "Tight"),
        (1, "Tight", "Tight"),
    ],
)
def test_the_way_back_is_a_little_longer(headroom: int, before: Level | None, expected: Level) -> None:
    assert level(headroom, RESERVE, before) == expected


@given(headroom=st.integers(-1000, 1000), before=st.sampled_from(["Calm", "Tight", "Critical", None]))
def test_it_settles_at_once(headroom: int, before: Level | None) -> None:
    """Whoever stays where it is has one level, not two in turn."""
    found = level(headroom, RESERVE, before)
    assert level(headroom, RESERVE, found) == found
    assert found != "Critical" or headroom <= RESERVE
    assert found == "Calm" or headroom <= CALM_RESERVES * RESERVE
