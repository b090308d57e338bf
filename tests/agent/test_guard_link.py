"""The link against the real guard's end of the socket, and against what is none."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.guards import DEADLINE_SECONDS, ScriptedGuard, decision

from memguard.agent.guard_link import GuardLink
from memguard.agent.roster import Roster
from memguard.core.link import (
    LARGEST_MESSAGE_BYTES,
    PROTOCOL,
    Hello,
    Mapping,
    NewPlan,
    News,
    Order,
    Receipt,
    Status,
    encode,
)
from memguard.core.model import Identity
from memguard.core.policy import Plan
from memguard.service.journal import Journal

ROSTER = Roster(containers={"a": Identity(id="a")}, pods=("u",), listed=True)


class Agent:
    """A link in its thread, and who listens to it."""

    def __init__(self, path: Path, guard_uid: int | None = None) -> None:
        self.changed = threading.Condition()
        self.taken: list[tuple[str, News]] = []
        self.keeps = True
        self.notices = 0
        self.log_read, log_write = os.pipe()
        self.link = GuardLink(
            str(path),
            os.getuid() if guard_uid is None else guard_uid,
            Journal(log_write),
            noticed=self._noticed,
            random=lambda: 0.0,
        )
        self.log_write = log_write
        self.thread = threading.Thread(target=self.link.run, args=(self,), name="link")

    def news(self, session: str, news: News) -> None:
        self.taken.append((session, news))
        self._tell()

    def kept(self, session: str) -> int:
        return max((one.number for of, one in self.taken if of == session), default=0) if self.keeps else 0

    def wait(self, true: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, DEADLINE_SECONDS), self.link.presence

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in os.read(self.log_read, 1 << 16).splitlines()]

    def _noticed(self) -> None:
        self.notices += 1
        self._tell()

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()


@contextmanager
def agent_of(path: Path, guard_uid: int | None = None) -> Iterator[Agent]:
    agent = Agent(path, guard_uid)
    agent.thread.start()
    try:
        yield agent
    finally:
        agent.link.stop()
        agent.thread.join()
        os.close(agent.log_read)
        os.close(agent.log_write)


def test_what_the_guard_is_to_know_it_knows_and_what_it_says_is_heard(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path) as guard, agent_of(guard.socket) as agent:
        agent.link.tell(plan=Plan(version="one"), roster=ROSTER)
        guard.wait(lambda: guard.plan and guard.roster.known)
        agent.wait(lambda: (status := agent.link.presence.status) and status.plan == "one")
        assert agent.link.presence.settled
        guard.news(decision=decision())
        guard.wait(lambda: agent.taken and not guard.waiting)
        assert [(of, one.number) for of, one in agent.taken] == [(guard.outbox.session, 1)]
        assert guard.troubles == []


def test_changes_follow(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path) as guard, agent_of(guard.socket) as agent:
        agent.link.tell(plan=Plan(version="one"), roster=ROSTER)
        guard.wait(lambda: guard.roster.known)
        agent.link.tell(roster=Roster(containers={"b": Identity(id="b")}, pods=("v",), listed=True))
        guard.wait(lambda: "b" in guard.roster.known)
        assert guard.roster.pods == {"v"}
        mappings = [one for one in guard.heard if isinstance(one, Mapping)]
        assert [(one.complete, one.gone) for one in mappings] == [(True, ()), (False, ("a",))]
        assert sum(isinstance(one, NewPlan) for one in guard.heard) == 1


def test_a_guard_that_begins_anew_is_told_all_within_a_second(tmp_path: Path) -> None:
    with agent_of(tmp_path / "guard.sock") as agent:
        agent.link.tell(plan=Plan(version="one"), roster=ROSTER)
        for _ in range(3):
            with ScriptedGuard(tmp_path) as guard:
                began = time.monotonic()
                guard.wait(lambda: guard.plan and guard.roster.known)
                assert time.monotonic() - began < 3  # half a second at the longest, and two shared cores
            agent.wait(lambda: not agent.link.presence.connected)


def test_news_that_are_not_kept_are_not_received_and_come_again(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path) as guard:
        with agent_of(guard.socket) as agent:
            agent.keeps = False
            guard.news(decision=decision())
            agent.wait(lambda: agent.taken)
        assert guard.waiting == 1
        with agent_of(guard.socket) as agent:
            guard.wait(lambda: not guard.waiting)
            assert [one.number for _, one in agent.taken] == [1]


def test_an_order_is_given_once_over_each_connection(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path) as guard:
        order = Order(id="o", action="kill", container_id="a", pod_uid="u", expires_at=guard.started_at)
        for count in (1, 2):
            with agent_of(guard.socket) as agent:
                agent.link.order((order,))
                guard.wait(lambda count=count: len(guard.orders) == count)
                agent.link.order((order,))
                agent.link.tell(plan=Plan(version=str(count)))
                guard.wait(lambda count=count: guard.plan == Plan(version=str(count)))
        assert guard.orders == [order, order]


def test_the_kernel_vouches_for_who_the_guard_is(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path) as guard, agent_of(guard.socket, guard_uid=4242) as agent:
        agent.wait(lambda: "belongs to user" in agent.link.presence.problem)
        assert not agent.link.presence.connected
        assert guard.plan is None


def test_another_user_is_sent_away_by_the_guard(tmp_path: Path) -> None:
    with ScriptedGuard(tmp_path, peer_uid=4242) as guard, agent_of(guard.socket) as agent:
        guard.wait(lambda: guard.troubles)
        agent.wait(lambda: "hung up" in agent.link.presence.problem or "reset" in agent.link.presence.problem)
        assert guard.connections == 0


def test_the_log_says_once_that_nobody_is_there(tmp_path: Path) -> None:
    with agent_of(tmp_path / "guard.sock") as agent:
        agent.wait(lambda: agent.notices >= 4)
        assert "No such file" in agent.link.presence.problem
        assert [line["connected"] for line in agent.log()] == [False]


# --- what is no guard


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(DEADLINE_SECONDS)
        yield listener
    path.unlink()


def test_another_protocol_is_said_and_tried_again_seldom(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    with listening(path) as listener, agent_of(path) as agent:
        with listener.accept()[0] as peer:
            peer.sendall(encode(Hello(protocol=PROTOCOL + 1, version="9.9")))
            agent.wait(lambda: agent.link.presence.mismatch)
        assert agent.link.presence.problem == f"guard 9.9 speaks protocol {PROTOCOL + 1}, this agent {PROTOCOL}"
        listener.settimeout(1.0)
        with pytest.raises(TimeoutError):
            listener.accept()


RUBBISH = [
    b"",
    b"\xff" * 64,
    (LARGEST_MESSAGE_BYTES + 1).to_bytes(4, "big"),
    b"\0\0\0\2{}",
    encode(Hello(protocol=PROTOCOL, version="1"))[:-1],
    encode(Receipt(number=1)),
    encode(Hello(protocol=PROTOCOL, version="1", session="s")) * 2,
    json.dumps([[[]]] * 3).encode(),
]


def test_no_rubbish_ends_the_link(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    with agent_of(path) as agent:
        agent.link.tell(plan=Plan(version="one"))
        with listening(path) as listener:
            for rubbish in RUBBISH:
                with listener.accept()[0] as peer:
                    peer.sendall(rubbish)
        with ScriptedGuard(tmp_path) as guard:
            guard.wait(lambda: guard.plan)
        assert agent.taken == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=300))
def test_no_bytes_end_the_link(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "fuzz.sock"
    with agent_of(path) as agent:
        for _ in range(2):
            with listening(path) as listener, listener.accept()[0] as peer, suppress(ConnectionError):
                peer.sendall(encode(Hello(protocol=PROTOCOL, version="1", session="s")) + rubbish)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(DEADLINE_SECONDS)
                while peer.recv(1 << 16):
                    pass
        assert agent.thread.is_alive()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rubbish=st.binary(min_size=1, max_size=300), greeted=st.booleans())
def test_no_bytes_end_the_guards_side(tmp_path: Path, rubbish: bytes, *, greeted: bool) -> None:
    """The next one is heard as if nothing had been."""
    with ScriptedGuard(tmp_path) as guard:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(guard.socket))
            with suppress(ConnectionError):
                peer.sendall((encode(Hello(protocol=PROTOCOL, version="1")) if greeted else b"") + rubbish)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(DEADLINE_SECONDS)
                while peer.recv(1 << 16):
                    pass
        with agent_of(guard.socket) as agent:
            agent.link.tell(plan=Plan(version="one"))
            guard.wait(lambda: guard.plan == Plan(version="one"))
            agent.wait(lambda: isinstance(agent.link.presence.status, Status))
