"""The agent's end of the socket to the guard: comes again whenever the guard is gone, and says what it is to know.

Nothing is queued for the guard. What it is to know (plan, who is who, open orders) is state; each connection remembers
what it was told of that and is told the rest. So nothing is lost when a connection is, and a burst of changes is one
message. News are on our disk before their receipt goes out.
"""

from __future__ import annotations

import os
import random as _random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from memguard import __version__
from memguard.agent.conversation import Briefing, Conversation
from memguard.agent.presence import Presence
from memguard.agent.roster import Roster
from memguard.core.link import PROTOCOL, Hello, News, Order, Status
from memguard.core.policy import Plan
from memguard.errors import LinkError
from memguard.service.journal import Journal

#: A guard that starts anew is told within a second: nowhere does coming again cost less.
AGAIN_SECONDS = 0.5
#: Of another version: it is being replaced, or somebody must.
MISMATCH_SECONDS = 10.0
#: For its hello, and for whatever it is to take. It greets and reads in each of its turns.
PATIENCE_SECONDS = 30.0
_PIECE_BYTES = 1 << 16
#: pid, uid, gid (unix(7), SO_PEERCRED)
_CREDENTIALS = struct.Struct("3i")


class Listener(Protocol):
    """Who is told what the guard says, in the link's thread."""

    def news(self, session: str, news: News) -> None:
        """Something happened; kept from now on."""
        ...

    def kept(self, session: str) -> int:
        """Up to which number the news of this series are on the disk; 0 for none."""
        ...


class GuardLink:
    """Holds the connection to the guard at `path`, which is to run as `guard_uid`. `noticed`: `presence` is another.

    `run` it in a thread of its own, `stop` ends it from any. The setters may be called from any thread, too.
    """

    def __init__(
        self,
        path: str,
        guard_uid: int,
        journal: Journal,
        *,
        noticed: Callable[[], None],
        version: str = __version__,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._path, self._guard_uid = path, guard_uid
        self._journal, self._noticed, self._version = journal, noticed, version
        self._clock, self._random = clock, random
        self._stopped = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._briefing = Briefing()
        self._lock = threading.Lock()
        self._mismatch = False
        self.presence = Presence(since=clock())

    def tell(self, *, plan: Plan | None = None, roster: Roster | None = None) -> None:
        """What the guard is to know from now on; what is None stays as it was."""
        with self._lock:
            before = self._briefing
            self._briefing = replace(before, plan=plan or before.plan, roster=roster or before.roster)
        if (self._briefing.plan, self._briefing.roster) != (before.plan, before.roster):
            self._poke()

    def order(self, orders: tuple[Order, ...]) -> None:
        """These are open now: each is sent once over each connection, until it is answered."""
        with self._lock:
            self._briefing = replace(self._briefing, orders=orders)
        self._poke()

    def stop(self) -> None:
        """Hang up soon."""
        self._stopped.set()
        self._poke()

    def run(self, listener: Listener) -> None:
        """Come again and again until stopped."""
        while not self._stopped.is_set():
            self._mismatch = False
            try:
                with self._connected() as guard:
                    self._converse(guard, listener)
            except OSError as error:
                self._lost(f"{self._path}: {error.strerror or error}")
            except LinkError as error:
                self._lost(str(error))
            pause = MISMATCH_SECONDS if self._mismatch else AGAIN_SECONDS
            self._stopped.wait(pause * (0.5 + self._random()))

    def _connected(self) -> socket.socket:
        guard = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            guard.settimeout(PATIENCE_SECONDS)
            guard.connect(self._path)
            self._recognise(guard)
            guard.setblocking(False)  # noqa: FBT003
        except (OSError, LinkError):
            guard.close()
            raise
        return guard

    def _recognise(self, guard: socket.socket) -> None:
        """The kernel vouches for who listens."""
        uid = _CREDENTIALS.unpack(guard.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
        if uid != self._guard_uid:
            raise LinkError(f"{self._path} belongs to user {uid}, the guard would be user {self._guard_uid}")

    def _converse(self, guard: socket.socket, listener: Listener) -> None:
        """Until one of both hangs up."""
        conversation = Conversation(self._version)
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        until = self._clock() + PATIENCE_SECONDS
        while not self._stopped.is_set():
            unsent = conversation.unsent(self._briefing)
            waiting = bool(unsent) or conversation.hello is None
            poller.register(guard, select.POLLIN | (select.POLLOUT if unsent else 0))
            events = self._sleep(poller, guard, until - self._clock() if waiting else None)
            if events & select.POLLOUT:
                conversation.sent(guard.send(unsent))
            if events & ~select.POLLOUT:
                self._hear(guard, conversation, listener)
            if conversation.hello is not None and (events & select.POLLOUT or not waiting):
                until = self._clock() + PATIENCE_SECONDS
            elif waiting and self._clock() > until:
                raise LinkError("it does not listen" if conversation.hello else "it does not say hello")

    def _sleep(self, poller: select.poll, guard: socket.socket, seconds: float | None) -> int:
        """Until the guard says or takes something, or we have something to say; what the guard is ready for."""
        ready = dict(poller.poll(None if seconds is None else max(0.0, seconds) * 1000 + 1))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        return ready.get(guard.fileno(), 0)

    def _hear(self, guard: socket.socket, conversation: Conversation, listener: Listener) -> None:
        piece = guard.recv(_PIECE_BYTES)
        if not piece:
            raise LinkError("it hung up")
        for message in conversation.heard(piece):
            match message:
                case Hello():
                    self._greeted(message)
                case Status():
                    self._notice(replace(self.presence, status=message, status_at=self._clock()))
                case News():
                    listener.news(conversation.session, message)
        conversation.receipt(listener.kept(conversation.session))

    def _greeted(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            self._mismatch = True
            raise LinkError(f"guard {hello.version} speaks protocol {hello.protocol}, this agent {PROTOCOL}")
        self._journal.write("guard", connected=True, version=hello.version, session=hello.session)
        self._notice(replace(self.presence, since=self._clock(), hello=hello, problem="", mismatch=False))

    def _lost(self, problem: str) -> None:
        """Said once, however often it is tried again."""
        before = self.presence
        if before.connected or before.problem != problem:
            self._journal.write("guard", connected=False, reason=problem)
        since = self._clock() if before.connected else before.since
        self._notice(replace(before, since=since, hello=None, problem=problem, mismatch=self._mismatch))

    def _notice(self, presence: Presence) -> None:
        self.presence = presence
        self._noticed()

    def _poke(self) -> None:
        os.eventfd_write(self._wake, 1)
