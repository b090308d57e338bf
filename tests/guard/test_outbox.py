from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.decision import Alarm
from memguard.core.link import News, agents_inbox
from memguard.errors import UnfitError
from memguard.guard.outbox import FILE_BYTES, Outbox

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def opened(directory: Path) -> Outbox:
    return Outbox(str(directory), lambda: NOW)


def alarm(text: str) -> Alarm:
    return Alarm(reason=text, kind="foreign")


def said(box: Outbox) -> dict[int, str]:
    """What waits, as the agent would read it."""
    inbox = agents_inbox()
    messages = [message for wire in box.waiting.values() for message in inbox.feed(wire)]
    return {news.number: news.alarm.reason for news in messages if isinstance(news, News) and news.alarm}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    found = opened(tmp_path)
    yield found
    found.close()


def test_what_was_not_received_outlives_the_guard(tmp_path: Path, box: Outbox) -> None:
    for text in "abc":
        box.add(alarm=alarm(text))
    box.received(1)
    again = opened(tmp_path)
    assert again.session == box.session
    assert said(again) == {1: "a", 2: "b", 3: "c"}, "an agent knows what it has by session and number"
    again.add(alarm=alarm("d"))
    assert said(again) == {1: "a", 2: "b", 3: "c", 4: "d"}
    again.close()


def test_numbers_go_on_when_all_was_received(tmp_path: Path, box: Outbox) -> None:
    for text in "abc":
        box.add(alarm=alarm(text))
    box.received(3)
    assert said(box) == {}
    again = opened(tmp_path)
    again.add(alarm=alarm("d"))
    assert said(again) == {4: "d"}
    again.close()


def test_a_receipt_for_what_was_never_sent_takes_nothing_that_comes(box: Outbox) -> None:
    box.received(10)
    box.add(alarm=alarm("a"))
    assert said(box) == {1: "a"}


@given(steps=st.lists(st.one_of(st.integers(1, 40_000), st.none()), max_size=80))
def test_it_holds_the_latest_whatever_its_size(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | None]
) -> None:
    """Numbers: something of that size is added. None: the guard dies and another opens the file."""
    directory = tmp_path_factory.mktemp("run")
    box = opened(directory)
    expected: dict[int, str] = {}
    for step in steps:
        if step is None:
            box.close()
            before, box = said(box), opened(directory)
            assert said(box) == before
        else:
            expected[len(expected) + 1] = str(step).ljust(step)
            box.add(alarm=alarm(expected[len(expected)]))
            assert os.stat(directory / "outbox").st_size == FILE_BYTES
        found = said(box)
        assert found == {number: expected[number] for number in found}
        assert list(found) == list(range(len(expected) - len(found) + 1, len(expected) + 1)), "the latest, in order"
    box.close()


def test_what_is_dropped_is_counted(box: Outbox) -> None:
    for _ in range(40):
        box.add(alarm=alarm("x" * 20_000))
    assert box.dropped_news == 40 - len(box.waiting) > 0


def test_a_message_too_large_for_anybody_is_counted(box: Outbox) -> None:
    box.add(alarm=alarm("x" * (5 << 20)))
    assert (box.dropped_news, box.waiting) == (1, {})


@given(garbage=st.binary(max_size=300))
def test_any_file_is_survived(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    directory = tmp_path_factory.mktemp("run")
    (directory / "outbox").write_bytes(garbage)
    box = opened(directory)
    box.add(alarm=alarm("a"))
    assert list(said(box).values())[-1] == "a"
    box.close()


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outbox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnfitError, match="outbox"):
        opened(tmp_path)
