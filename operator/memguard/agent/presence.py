"""What is known of the guard beside us: is it there, do we understand each other, and what did it say last."""

from __future__ import annotations

import msgspec

from memguard.core.link import Hello, Status

#: A guard speaks every 30 s in quiet times: twice missed and it is silent.
FRESH_SECONDS = 75.0
#: A guard that begins anew is back before that.
MISSING_SECONDS = 4.0


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands now; times are monotonic seconds.

    `hello`: it is there and speaks our protocol. `problem`: why not. `status`: its last, of which connection whatever.
    """

    since: float
    hello: Hello | None = None
    problem: str = "nobody answered yet"
    mismatch: bool = False
    status: Status | None = None
    status_at: float = float("-inf")

    @property
    def connected(self) -> bool:
        """Is it there?"""
        return self.hello is not None

    @property
    def settled(self) -> bool:
        """Did it say how things stand since it is there? Its news, which come first, are then all told."""
        return self.connected and self.status_at >= self.since

    def missing(self, now: float) -> bool:
        """Is it gone for good?"""
        return not self.connected and now - self.since > MISSING_SECONDS

    def fresh(self, now: float) -> bool:
        """Did it say lately how things stand?"""
        return now - self.status_at < FRESH_SECONDS
