"""What is taken from those who tell, before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.events import QUEUE_NOTICES, SERIES, Notice, Recorder
from memguard.kube.objects import ObjectReference
from memguard.kube.spam import BURST
from memguard.kube.wire import Wire


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


def notice(name: str = "cart", reason: str = "Braked", **more: str) -> Notice:
    about = ObjectReference(kind="Pod", namespace="shop", name=name, uid=name)
    return Notice(regarding=about, reason=reason, action="Brake", note="slow", **more)  # type: ignore[arg-type]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def recorder(time: Time, troubles: list[str]) -> Recorder:
    """Its server is nowhere: nothing is sent."""
    nowhere = Client(Wire(Connection("http://127.0.0.1:1")))
    who = {"controller": "memguard.io/agent", "instance": "memguard-node-x"}
    return Recorder(nowhere, **who, trouble=troubles.append, clock=time.clock, now=time.now)


def test_about_one_object_there_is_only_so_much_to_say(recorder: Recorder, time: Time) -> None:
    taken = [recorder.emit(notice(reason=f"R{number}")) for number in range(BURST + 5)]
    assert taken == [True] * BURST + [False] * 5
    assert recorder.dropped == 5
    assert recorder.emit(notice("other"))
    time.seconds = 300
    assert recorder.emit(notice(reason="Again"))


def test_what_is_repeated_needs_no_room(recorder: Recorder) -> None:
    assert all(recorder.emit(notice()) for _ in range(10 * QUEUE_NOTICES))
    assert recorder.dropped == 0


def test_nobody_waits_and_memory_is_bounded(recorder: Recorder) -> None:
    taken = [recorder.emit(notice(f"pod-{number}", id=f"d-{number}")) for number in range(QUEUE_NOTICES + 9)]
    assert taken == [True] * QUEUE_NOTICES + [False] * 9
    assert recorder.dropped == 9


def test_series_are_bounded(recorder: Recorder) -> None:
    for number in range(SERIES + 9):
        recorder.emit(notice(f"pod-{number}"))
    assert len(recorder._series) <= SERIES


def test_what_cannot_be_sent_when_it_ends_is_counted_and_said(recorder: Recorder, troubles: list[str]) -> None:
    for number in range(3):
        recorder.emit(notice(f"pod-{number}"))
    recorder.stop()
    recorder.run()
    assert recorder.dropped == 3
    assert [one for one in troubles if "Connection refused" in one] == troubles != []
