"""The guard's end of the socket, with a real socket and a scripted agent."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.guard.scarcity import no_descriptors

from memguard.core.decision import Alarm
from memguard.core.link import (
    LARGEST_MESSAGE_BYTES,
    PROTOCOL,
    Hello,
    Mapping,
    NewPlan,
    News,
    Receipt,
    Status,
    ToAgent,
    ToGuard,
    agents_inbox,
    encode,
)
from memguard.core.policy import Plan
from memguard.errors import UnfitError
from memguard.guard.ears import Ears
from memguard.guard.liaison import Liaison
from memguard.guard.outbox import Outbox

NOW = datetime(2026, 11, 28, tzinfo=UTC)
HELLO = Hello(protocol=PROTOCOL, version="1")
STATUS = Status(
    at=NOW, started_at=NOW, version="1", level="Calm", total_bytes=1, available_bytes=1, reserve_bytes=1,
    headroom_bytes=1, containers=0, unmapped=0,
)  # fmt: skip


class Desk:
    """A liaison that is looked after, and what it heard."""

    def __init__(self, directory: Path, peer_uid: int) -> None:
        self.path = str(directory / "guard.sock")
        self.ears, self.heard, self.told = Ears(), list[ToGuard](), list[str]()
        self.outbox = Outbox(str(directory), lambda: NOW)
        self.liaison = Liaison(
            self.path, peer_uid, self.outbox, version="1", ears=self.ears, heard=self.heard.append,
            trouble=self.told.append,
        )  # fmt: skip

    def turns(self, count: int = 5) -> None:
        for _ in range(count):
            for ring in self.ears.sleep(0.001):
                ring(0.0)
        self.liaison.flush()


class Caller:
    """An agent as the guard sees one."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(0.05)
        self.socket.connect(path)
        self._inbox = agents_inbox()

    def say(self, *messages: ToGuard | bytes) -> None:
        for message in messages:
            self.socket.sendall(message if isinstance(message, bytes) else encode(message))

    def hear(self) -> list[ToAgent] | None:
        """What came; None when the line is dead."""
        found: list[ToAgent] = []
        try:
            while piece := self.socket.recv(1 << 16):
                found += self._inbox.feed(piece)
        except TimeoutError:
            return found
        except ConnectionResetError:
            return None
        return None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path, os.getuid())
    yield found
    found.liaison.close()
    found.outbox.close()


@pytest.fixture
def call(desk: Desk) -> Iterator[Callable[[], Caller]]:
    callers = []

    def begin() -> Caller:
        callers.append(Caller(desk.path))
        desk.turns()
        return callers[-1]

    yield begin
    for caller in callers:
        caller.socket.close()


Call = Callable[[], Caller]


def greeted(desk: Desk, caller: Caller) -> Caller:
    caller.say(HELLO)
    desk.turns()
    return caller


def test_both_say_hello_and_are_heard(desk: Desk, call: Call) -> None:
    agent = greeted(desk, call())
    agent.say(NewPlan(plan=Plan(version="7")), Mapping(complete=True))
    desk.turns()
    assert [type(message) for message in desk.heard] == [NewPlan, Mapping]
    assert agent.hear() == [Hello(protocol=PROTOCOL, version="1", session=desk.outbox.session)]


@pytest.mark.row("A4")
def test_without_a_descriptor_for_it_an_agent_is_turned_away_and_rings_no_more(desk: Desk, call: Call) -> None:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with no_descriptors():
        caller.connect(desk.path)
        desk.turns()
        assert desk.ears.sleep(0) == [], "or the guard never sleeps again"
    assert caller.recv(1) == b""
    caller.close()
    assert "too many open files" in desk.told[0]
    assert greeted(desk, call()).hear() == [Hello(protocol=PROTOCOL, version="1", session=desk.outbox.session)]


def test_news_wait_for_the_agent_and_for_its_receipt(desk: Desk, call: Call) -> None:
    desk.outbox.add(alarm=Alarm(reason="a", kind="foreign"))
    first = greeted(desk, call())
    desk.outbox.add(alarm=Alarm(reason="b", kind="foreign"))
    desk.turns()
    numbers = [message.number for message in first.hear() or () if isinstance(message, News)]
    assert numbers == [1, 2], "each once on one connection"
    first.say(Receipt(number=1))
    desk.turns()
    second = greeted(desk, call())
    assert [message.number for message in second.hear() or () if isinstance(message, News)] == [2]
    assert first.hear() is None, "one agent at a time: the new one is the real one"


def test_how_things_stand_is_said_to_whoever_listens(desk: Desk, call: Call) -> None:
    desk.liaison.tell(STATUS)
    agent = greeted(desk, call())
    desk.liaison.tell(STATUS)
    assert [type(message) for message in agent.hear() or ()] == [Hello, Status]


def test_an_agent_that_does_not_read_costs_no_memory(desk: Desk, call: Call) -> None:
    """The socket takes some, then the guard says nothing more until it is taken; news wait in the outbox."""
    agent = greeted(desk, call())
    for _ in range(10_000):
        desk.liaison.tell(STATUS)
        if not desk.liaison.clear:
            break
    assert not desk.liaison.clear
    desk.outbox.add(alarm=Alarm(reason="a", kind="foreign"))
    for _ in range(50):
        desk.liaison.tell(STATUS)
    heard: list[ToAgent] = []
    while not any(isinstance(message, News) for message in heard):
        heard += agent.hear() or ()
        desk.turns()
    assert desk.liaison.clear


def test_news_that_are_not_taken_wait_where_there_is_a_bound(desk: Desk, call: Call) -> None:
    agent = greeted(desk, call())
    for _ in range(2000):
        desk.outbox.add(alarm=Alarm(reason="x" * 1000, kind="foreign"))
        desk.liaison.flush()
    heard: list[int] = []
    while 2000 not in heard:
        heard += [message.number for message in agent.hear() or () if isinstance(message, News)]
        desk.liaison.flush()
    assert 2000 - desk.outbox.dropped_news <= len(heard) < 1600, "what the outbox dropped meanwhile waited nowhere else"


def test_a_process_of_another_user_is_sent_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path, os.getuid() + 1)
    stranger = Caller(desk.path)
    desk.turns()
    assert stranger.hear() is None
    assert desk.told == [f"a process of user {os.getuid()} came to the agent's socket and was sent away"]
    stranger.socket.close()
    desk.liaison.close()
    desk.outbox.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([Hello(protocol=PROTOCOL + 1, version="9")], "protocol 2, this guard 1"),
        ([Mapping()], "did not say hello"),
        ([HELLO, b"\xff\xff\xff\xff"], "is larger than"),
        ([HELLO, (LARGEST_MESSAGE_BYTES + 1).to_bytes(4, "big")], "is larger than"),
        ([HELLO, b"\0\0\0\2{}"], "not understood"),
        ([HELLO, b"\0\0\0\1\xff"], "not understood"),
        ([HELLO, encode(STATUS)], "not understood"),
    ],
)
def test_who_speaks_another_tongue_is_sent_away_and_the_next_is_heard(
    desk: Desk, call: Call, words: list[ToGuard | bytes], told: str
) -> None:
    agent = call()
    agent.say(*words)
    desk.turns()
    assert told in desk.told[0]
    agent.hear()
    assert agent.hear() is None
    greeted(desk, call())
    assert desk.liaison.connected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([encode(HELLO), encode(Mapping())])), max_size=6)
)
def test_whatever_is_said_the_guard_lives(desk: Desk, pieces: list[bytes]) -> None:
    caller = Caller(desk.path)
    desk.turns()
    for piece in pieces:
        try:
            caller.say(piece)
        except OSError:
            break
        desk.turns(2)
    caller.socket.close()
    desk.turns()
    assert not desk.liaison.connected
    sane = greeted(desk, Caller(desk.path))
    desk.turns()
    assert desk.liaison.connected
    sane.socket.close()
    desk.turns()


def test_a_socket_left_behind_is_no_obstacle_and_a_file_is(tmp_path: Path) -> None:
    first = Desk(tmp_path, 0)
    second = Desk(tmp_path, 0)
    for desk in (first, second):
        desk.liaison.close()
        desk.outbox.close()
    os.unlink(first.path)
    Path(first.path).write_text("mine")
    with pytest.raises(UnfitError, match="share"):
        Desk(tmp_path, 0)
    assert Path(first.path).read_text() == "mine"


def test_nobody_else_may_put_something_in_the_sockets_place(tmp_path: Path) -> None:
    """Kubelet's volumes are everybody's; a link that is there already is no obstacle, and is not followed."""
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "guard.sock").symlink_to(victim)
    desk = Desk(shared, os.getuid())
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE((shared / "guard.sock").stat().st_mode) == 0o666
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("mine", 0o600)
    desk.liaison.close()
    desk.outbox.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_who_calls_and_never_ends_its_words_costs_one_descriptor(desk: Desk, call: Call) -> None:
    """A flood of callers, each with half a message: the latest is the agent, what the others said is forgotten."""
    half = encode(HELLO) + LARGEST_MESSAGE_BYTES.to_bytes(4, "big") + b"x" * 10_000
    callers = [call()]
    before = descriptors()
    for _ in range(30):
        callers.append(call())
        callers[-1].say(half)
        desk.turns()
    assert descriptors() == before + 30, "theirs, and one of ours"
    assert [caller.hear() is None for caller in callers[:-1]] == [True] * 30
    assert greeted(desk, call()).hear() is not None
    assert desk.told == []


def test_a_descriptor_that_is_handed_over_is_not_taken(desk: Desk, call: Call) -> None:
    """By the kernel, since the guard asks for none; and under its filter it could not ask (kernel/seclusion.py)."""
    agent = call()
    reader, writer = os.pipe()
    before = descriptors()
    socket.send_fds(agent.socket, [encode(HELLO)], [writer, writer])
    os.close(writer)
    desk.turns()
    assert desk.liaison.connected
    assert descriptors() == before - 1
    assert os.read(reader, 1) == b"", "nobody else has it"
    os.close(reader)
