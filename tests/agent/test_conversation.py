"""One connection to the guard, without a socket: what is said when, and what ends it."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.guards import decision, status

from memguard.agent.conversation import Briefing, Conversation
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
    ToGuard,
    encode,
    guards_inbox,
)
from memguard.core.model import Identity
from memguard.core.policy import Plan
from memguard.errors import LinkError

GREETING = Hello(protocol=PROTOCOL, version="1", session="s")
PLAN = Plan(version="one")
ROSTER = Roster(containers={"a": Identity(id="a")}, pods=("u",), listed=True)
ORDER = Order(id="o", action="kill", container_id="a", pod_uid="u", expires_at=status().at)


class Guard:
    """Takes what the conversation says."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.inbox = guards_inbox()

    def hear(self, briefing: Briefing) -> list[ToGuard]:
        said = self.conversation.unsent(briefing)
        self.conversation.sent(len(said))
        return list(self.inbox.feed(said))


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("1")


@pytest.fixture
def greeted(conversation: Conversation) -> Guard:
    guard = Guard(conversation)
    assert guard.hear(Briefing()) == [Hello(protocol=PROTOCOL, version="1")]
    assert list(conversation.heard(encode(GREETING))) == [GREETING]
    return guard


def test_hello_comes_first_and_nothing_before_it_is_answered(conversation: Conversation) -> None:
    guard = Guard(conversation)
    assert guard.hear(Briefing(PLAN, ROSTER)) == [Hello(protocol=PROTOCOL, version="1")]
    assert guard.hear(Briefing(PLAN, ROSTER)) == []
    list(conversation.heard(encode(GREETING)))
    assert [type(one) for one in guard.hear(Briefing(PLAN, ROSTER))] == [NewPlan, Mapping]


def test_what_was_told_is_not_told_again(greeted: Guard) -> None:
    assert greeted.hear(Briefing(PLAN, ROSTER, (ORDER,))) == [
        NewPlan(plan=PLAN),
        Mapping(containers=(Identity(id="a"),), pods=("u",), complete=True),
        ORDER,
    ]
    assert greeted.hear(Briefing(PLAN, ROSTER, (ORDER,))) == []
    assert greeted.hear(Briefing(Plan(version="two"), ROSTER)) == [NewPlan(plan=Plan(version="two"))]


def test_a_burst_of_changes_is_one_message(greeted: Guard) -> None:
    greeted.hear(Briefing(PLAN, ROSTER))
    unheard = greeted.conversation.unsent(Briefing(Plan(version="two"), ROSTER))
    greeted.conversation.unsent(Briefing(Plan(version="three"), ROSTER))
    greeted.conversation.sent(len(unheard))
    assert list(greeted.inbox.feed(unheard)) == [NewPlan(plan=Plan(version="two"))]
    assert greeted.hear(Briefing(Plan(version="four"), ROSTER)) == [NewPlan(plan=Plan(version="four"))]


def test_a_part_that_was_sent_is_not_sent_again(greeted: Guard) -> None:
    said = greeted.conversation.unsent(Briefing(PLAN))
    greeted.conversation.sent(5)
    rest = greeted.conversation.unsent(Briefing(PLAN))
    assert said[:5] + rest == said


def test_a_receipt_is_sent_once_and_never_goes_back(greeted: Guard) -> None:
    for number in (0, 3, 3, 2):
        greeted.conversation.receipt(number)
    assert greeted.hear(Briefing()) == [Receipt(number=3)]


@pytest.mark.parametrize(
    "said",
    [
        encode(status()),
        encode(News(number=1, at=status().at, decision=decision())),
        encode(GREETING) + encode(GREETING),
        encode(GREETING) + (LARGEST_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        encode(GREETING) + b"\0\0\0\2{}",
        encode(GREETING) + b"\0\0\0\4\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n" + bytes(1 << 23),
        encode(ORDER),
    ],
)
def test_what_is_not_the_guards_ends_it(conversation: Conversation, said: bytes) -> None:
    with pytest.raises(LinkError):
        list(conversation.heard(said))


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=8))
def test_any_bytes_in_any_pieces_are_messages_or_an_error(tail: bytes, cuts: list[int]) -> None:
    conversation = Conversation("1")
    stream = encode(GREETING) + encode(status()) + tail
    heard = []
    with suppress(LinkError):
        for cut in [*cuts, len(stream)]:
            piece, stream = stream[:cut], stream[cut:]
            for message in conversation.heard(piece):
                heard.append(message)  # noqa: PERF402 - what came before an error counts
    assert heard[:1] == [GREETING]
    assert msgspec.json.encode(heard)
