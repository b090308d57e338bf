"""What guard and agent say to each other over their socket: versioned, typed, length-limited.

A message is four bytes of length, most significant first, and that many bytes of JSON: an object whose `type` names
one of the kinds below. Both begin with Hello; whoever speaks another `protocol` is not listened to. The agent sends
its plan and who is who, the guard how things stand (as often as it likes, a lost one does not matter) and its news,
each with a number: those are kept until the agent has them on its disk and says so, so none is lost when either dies.

The guard trusts nothing here: an order for a container that its plan does not allow is refused and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

import msgspec

from memguard.core.decision import Alarm, Answer, Decision, KernelKill, Outcome, Victim
from memguard.core.model import UNREADABLE, Bytes, Count, Identity, Level, Moment, Number, Record, Seconds, Stall
from memguard.core.policy import Mode, Plan
from memguard.errors import LinkError

PROTOCOL = 1
#: 500 containers with 8 labels each are some 400 KiB; more than this is no message of ours.
LARGEST_MESSAGE_BYTES = 4 << 20
LENGTH_BYTES = 4


class Hello(Record, frozen=True, kw_only=True, tag="hello", tag_field="type"):
    """Who speaks: the first message in either direction. `session` is the guard's: its series of news' numbers."""

    protocol: int
    version: str
    session: str = ""


class NewPlan(Record, frozen=True, kw_only=True, tag="plan", tag_field="type"):
    """The plan from now on."""

    plan: Plan


class Mapping(Record, frozen=True, kw_only=True, tag="mapping", tag_field="type"):
    """Which container is which, by its id: `containers` are new or changed, `gone` are forgotten.

    `complete`: these are all, and everything else is forgotten. `pods`: the UIDs of all pods of the node as their
    cgroups are named (a static pod's is its configuration's hash); a cgroup of any other pod is not understood.
    """

    containers: tuple[Identity, ...] = ()
    gone: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    complete: bool = False


class Order(Record, frozen=True, kw_only=True, tag="order", tag_field="type"):
    """The operator wants this container ended, through the agent; both names must fit, and the plan allow it."""

    id: str
    action: Literal["terminate", "kill"]
    container_id: str
    pod_uid: str
    expires_at: Moment


class Receipt(Record, frozen=True, kw_only=True, tag="receipt", tag_field="type"):
    """All news up to this number are on the agent's disk."""

    number: Count


class Capability(Record, frozen=True, kw_only=True):
    """One thing that the guard can do here, or cannot, and why."""

    name: str
    ok: bool
    detail: str = ""


class Top(Record, frozen=True, kw_only=True):
    """One of the containers nearest to being chosen. `limit_seconds`: until its own limit, at this pace.

    `largest_limit_bytes`: how far its policy lets that be raised in place; None where it is not to be.
    """

    id: str
    score: int
    footprint_bytes: Bytes
    namespace: str | None = None
    pod: str | None = None
    name: str | None = None
    limit_bytes: Bytes | None = None
    limit_seconds: Seconds | None = None
    shmem_bytes: Bytes = 0
    largest_limit_bytes: Bytes | None = None
    excluded: str | None = None


class Status(Record, frozen=True, kw_only=True, tag="status", tag_field="type"):
    """How things stand on the node. Counters count since the guard's start (`started_at`).

    `plan`: the version in force, None before there is one. `unfit`: why it only observes, whatever the plan says.
    `level`: Calm, Tight (less than four reserves left), Critical (within the reserve). Total, available and reserve are
    the node's; the headroom is above the nearest reserve, `domain` says whose.
    """

    at: Moment
    started_at: Moment
    version: str
    level: Level
    total_bytes: Bytes
    available_bytes: Bytes
    reserve_bytes: Bytes
    headroom_bytes: Number
    containers: Count
    unmapped: Count
    plan: str | None = None
    unfit: str | None = None
    mode: Mode = "Observe"
    pressure: float = 0.0
    threshold_score: float = 0.0
    exhaustion_seconds: Seconds | None = None
    domain: str = "node"
    stall: Stall | None = None
    lines: dict[str, Count] = {}
    top: tuple[Top, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    kernel_oom_kills: Count = 0
    budget_refusals: Count = 0
    budget_overrides: Count = 0
    brake_seconds: Seconds = 0.0
    steps: dict[str, Count] = {}
    turns: Count = 0
    awake_seconds: Seconds = 0.0
    cpu_seconds: Seconds = 0.0
    resident_bytes: Bytes | None = None
    dropped_lines: Count = 0
    dropped_news: Count = 0


class News(Record, frozen=True, kw_only=True, tag="news", tag_field="type"):
    """Something happened: exactly one of the facts is there."""

    number: Count
    at: Moment
    decision: Decision | None = None
    outcome: Outcome | None = None
    kernel_kill: KernelKill | None = None
    alarm: Alarm | None = None
    answer: Answer | None = None

    @property
    def victim(self) -> Victim | None:
        """The container that they are about, if they are about one."""
        told = self.decision or self.outcome or self.kernel_kill
        return told.victim if told else None


ToGuard = Hello | NewPlan | Mapping | Order | Receipt
ToAgent = Hello | Status | News

M = TypeVar("M", ToGuard, ToAgent)

_encoder = msgspec.json.Encoder()


def guards_inbox() -> Inbox[ToGuard]:
    """What the agent says."""
    return Inbox(msgspec.json.Decoder(ToGuard))


def agents_inbox() -> Inbox[ToAgent]:
    """What the guard says."""
    return Inbox(msgspec.json.Decoder(ToAgent))


def encode(message: ToGuard | ToAgent) -> bytes:
    """The message as it goes over the wire. Raises LinkError when it is too large."""
    body = _encoder.encode(message)
    if len(body) > LARGEST_MESSAGE_BYTES:
        raise LinkError(f"a message of {len(body)} bytes is larger than the {LARGEST_MESSAGE_BYTES} that are read")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Inbox(Generic[M]):
    """Puts messages together from the pieces that a stream socket gives; each side with its own `decoder`."""

    def __init__(self, decoder: msgspec.json.Decoder[M]) -> None:
        self._decoder: msgspec.json.Decoder[M] = decoder
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[M]:
        """The messages that this piece completes. Raises LinkError for what is none: then the connection is to end."""
        self._buffer += piece
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if length > LARGEST_MESSAGE_BYTES:
                raise LinkError(f"a message of {length} bytes is larger than the {LARGEST_MESSAGE_BYTES} that are read")
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            try:
                message = self._decoder.decode(body)
            except UNREADABLE as error:
                raise LinkError(f"a message is not understood: {error}") from None
            yield message
