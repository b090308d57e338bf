"""The kinds that the agent reads and writes, each as the type that it is decoded to."""

from __future__ import annotations

import msgspec

from memguard.api.definitions import DECISION, NODE_MEMORY
from memguard.api.meta import Condition, ObjectMeta
from memguard.api.node_memory import NodeScorecard, OrderAnswer
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.model import UNREADABLE, Record
from memguard.service.resources import resource_of


class OwnNodeMemory(Record, frozen=True, kw_only=True):
    """Our own NodeMemory: the operator's advice, and what the agent before us wrote."""

    metadata: ObjectMeta
    spec: Advice = NO_ADVICE
    status: msgspec.Raw = msgspec.Raw(b"{}")


class Made(Record, frozen=True, kw_only=True):
    """An object that we wrote; what it holds we know."""

    metadata: ObjectMeta


class Written(Record, frozen=True, kw_only=True):
    """Of a status what whoever comes next goes on with."""

    conditions: tuple[Condition, ...] = ()
    orders: tuple[OrderAnswer, ...] = ()
    scorecard: NodeScorecard | None = None


NODE_MEMORIES = resource_of(NODE_MEMORY, OwnNodeMemory)
DECISIONS = resource_of(DECISION, Made)


def written(object_: OwnNodeMemory) -> Written:
    """What stands in the status; nothing where another version wrote what we do not understand."""
    try:
        return msgspec.json.decode(object_.status, type=Written)
    except UNREADABLE:
        return Written()
