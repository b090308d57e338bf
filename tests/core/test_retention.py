"""Records whose time is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import at

from memguard.core.retention import Kept, outdated

AGE = timedelta(seconds=100)
NOW = at(1000)


def record(age: float, name: str = "", **facts: bool) -> Kept:
    return Kept(namespace="shop", name=name or f"{age:g}", at=at(1000 - age), **facts)


def gone(*records: Kept, count: int = 100) -> list[str]:
    return [one.name for one in outdated(records, NOW, age=AGE, count=count)]


def test_those_that_are_too_old() -> None:
    assert gone(record(0), record(100), record(101), record(500)) == ["101", "500"]


def test_and_the_oldest_where_there_are_too_many() -> None:
    assert gone(*(record(age) for age in (5, 1, 4, 2, 3)), count=3) == ["4", "5"]


def test_one_that_is_open_stays_twice_as_long_however_many_there_are() -> None:
    assert gone(record(150, open=True), record(201, open=True)) == ["201"]
    assert gone(record(1), record(2, open=True), record(3), count=1) == ["3"]


def test_of_the_same_moment_the_names_decide() -> None:
    same = [record(1, name) for name in ("a", "b", "c")]
    assert gone(*same, count=2) == gone(*reversed(same), count=2) == ["a"]


kept = st.builds(record, st.integers(0, 300), st.text("abcdef", min_size=6, max_size=6), open=st.booleans())


@given(st.lists(kept, max_size=30, unique_by=lambda one: one.name), st.integers(0, 20))
def test_what_stays_is_young_and_few(records: list[Kept], count: int) -> None:
    over = outdated(records, NOW, age=AGE, count=count)
    stays = [one for one in records if one not in over]
    assert len(over) + len(stays) == len(records)
    assert all(NOW - one.at <= (2 * AGE if one.open else AGE) for one in stays)
    assert sum(not one.open for one in stays) <= count
    again = outdated(stays, NOW, age=AGE, count=count)
    assert not again, "a second time there is nothing to do"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_nothing_of_nothing(count: int) -> None:
    assert gone(count=count) == []
