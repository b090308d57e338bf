"""One connection to the guard: what was said on it, what is still to be said, and what is heard. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from memguard.agent.roster import Roster, difference
from memguard.core.link import PROTOCOL, Hello, Mapping, NewPlan, News, Order, Receipt, Status, agents_inbox, encode
from memguard.core.policy import Plan
from memguard.errors import LinkError


class Briefing(msgspec.Struct, frozen=True):
    """What the guard is to know; None: we do not know it ourselves."""

    plan: Plan | None = None
    roster: Roster | None = None
    orders: tuple[Order, ...] = ()


class Conversation:
    """Of one connection. `hello` is the guard's, once it was said; `session` its series of numbers."""

    def __init__(self, version: str) -> None:
        self._inbox = agents_inbox()
        self._unsent = bytearray(encode(Hello(protocol=PROTOCOL, version=version)))
        self._plan: Plan | None = None
        self._roster: Roster | None = None
        self._ordered: set[str] = set()
        self._received = 0
        self.hello: Hello | None = None

    @property
    def session(self) -> str:
        """The series of numbers that the news have."""
        return self.hello.session if self.hello else ""

    def unsent(self, briefing: Briefing) -> bytes:
        """What is to be sent, so that it knows all of this."""
        if self.hello is not None and not self._unsent:
            for message in self._missing(briefing):
                self._unsent += encode(message)
        return bytes(self._unsent)

    def sent(self, count: int) -> None:
        """So many bytes of it are on their way."""
        del self._unsent[:count]

    def receipt(self, number: int) -> None:
        """All news up to this number are kept."""
        if number > self._received:
            self._received = number
            self._unsent += encode(Receipt(number=number))

    def heard(self, piece: bytes) -> Iterator[Hello | Status | News]:
        """The messages that this piece completes. Raises LinkError."""
        for message in self._inbox.feed(piece):
            if isinstance(message, Hello):
                if self.hello is not None:
                    raise LinkError("it said hello twice")
                self.hello = message
            elif self.hello is None:
                raise LinkError("it did not say hello first")
            yield message

    def _missing(self, briefing: Briefing) -> Iterator[NewPlan | Mapping | Order]:
        if briefing.plan is not None and briefing.plan is not self._plan:
            self._plan = briefing.plan
            yield NewPlan(plan=briefing.plan)
        if briefing.roster is not None and briefing.roster is not self._roster:
            yield from difference(self._roster, briefing.roster)
            self._roster = briefing.roster
        for order in briefing.orders:
            if order.id not in self._ordered:
                self._ordered.add(order.id)
                yield order
