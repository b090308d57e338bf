"""The kinds that the agent reads and writes, each as the type that it is decoded to."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from memguard.api.definitions import CLUSTER_POLICY, DECISION, NODE_MEMORY, POLICY, Definition
from memguard.api.meta import GROUP, VERSION, Condition, Desired, ObjectMeta
from memguard.api.node_memory import OrderAnswer
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.model import Record
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.kube.resources import Resource

T = TypeVar("T")


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


#: A policy of each kind, as its author wrote it.
ClusterPolicy = Desired[ClusterMemoryGuardPolicySpec]
TenantPolicy = Desired[MemoryGuardPolicySpec]


def resource_of(definition: Definition, type_: type[T]) -> Resource[T]:
    """A kind of ours, decoded to this type."""
    return Resource(
        group=GROUP,
        version=VERSION,
        plural=definition.plural,
        kind=definition.kind.__name__,
        type=type_,
        namespaced=definition.namespaced,
    )


POLICIES = resource_of(POLICY, TenantPolicy)
CLUSTER_POLICIES = resource_of(CLUSTER_POLICY, ClusterPolicy)
NODE_MEMORIES = resource_of(NODE_MEMORY, OwnNodeMemory)
DECISIONS = resource_of(DECISION, Made)


def written(object_: OwnNodeMemory) -> Written:
    """What stands in the status; nothing where another version wrote what we do not understand."""
    try:
        return msgspec.json.decode(object_.status, type=Written)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Written()
