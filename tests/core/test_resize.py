"""How far a limit is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, KIB, MIB

from memguard.core.resize import STEP, TIGHT_RESERVES, raised_limit

#: limit, largest, room beyond five reserves of 100 MiB; what becomes of it
CASES = [
    ("a quarter more", 400 * MIB, 4 * GIB, GIB, 500 * MIB),
    ("in whole MiB", 401 * MIB, 4 * GIB, GIB, 502 * MIB),
    ("a limit that is none", 400 * MIB + KIB, 4 * GIB, GIB, 501 * MIB),
    ("the last step is shorter", 400 * MIB, 450 * MIB, GIB, 450 * MIB),
    ("the largest as it stands", 400 * MIB, 450 * MIB + 1, GIB, 450 * MIB + 1),
    ("it has all already", 450 * MIB, 450 * MIB, GIB, None),
    ("it has more", 500 * MIB, 450 * MIB, GIB, None),
    ("just enough room", 400 * MIB, 4 * GIB, 100 * MIB, 500 * MIB),
    ("not enough room", 400 * MIB, 4 * GIB, 100 * MIB - 1, None),
    ("less than none", 400 * MIB, 4 * GIB, -GIB // 4, None),
    ("it may not", 400 * MIB, 0, GIB, None),
]


@pytest.mark.row("K7")
@pytest.mark.parametrize(("words", "limit", "largest", "room", "expected"), CASES, ids=[row[0] for row in CASES])
def test_a_step_at_a_time(words: str, limit: int, largest: int, room: int, expected: int | None) -> None:
    assert raised_limit(limit, largest, (1 + TIGHT_RESERVES) * 100 * MIB + room, 100 * MIB) == expected


sizes = st.integers(0, 2**45)


@pytest.mark.row("K7")
@given(sizes, sizes, sizes, sizes)
def test_never_beyond_the_policy_nor_what_the_node_can_spare(limit: int, largest: int, left: int, reserve: int) -> None:
    found = raised_limit(limit, largest, left, reserve)
    if found is not None:
        assert limit < found <= largest
        assert found <= limit * STEP + MIB
        assert left - (found - limit) >= (1 + TIGHT_RESERVES) * reserve


def test_four_steps_double_it() -> None:
    limit, steps = 100 * MIB, 0
    while limit < 200 * MIB:
        limit = raised_limit(limit, GIB, 8 * GIB, 100 * MIB) or GIB
        steps += 1
    assert steps == 4
