"""The kinds that the agent reads and writes, each as the type that it is decoded to."""

from __future__ import annotations

import msgspec

from memguard.api.meta import GROUP, VERSION, Condition, Desired, ObjectMeta
from memguard.api.node_memory import OrderAnswer
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.model import Record
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.kube.resources import Resource


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


POLICIES = Resource(
    group=GROUP,
    version=VERSION,
    plural="memoryguardpolicies",
    kind="MemoryGuardPolicy",
    type=Desired[MemoryGuardPolicySpec],
)
CLUSTER_POLICIES = Resource(
    group=GROUP,
    version=VERSION,
    plural="clustermemoryguardpolicies",
    kind="ClusterMemoryGuardPolicy",
    type=Desired[ClusterMemoryGuardPolicySpec],
    namespaced=False,
)
NODE_MEMORIES = Resource(
    group=GROUP, version=VERSION, plural="nodememories", kind="NodeMemory", type=OwnNodeMemory, namespaced=False
)
DECISIONS = Resource(
    group=GROUP,
    version=VERSION,
    plural="memoryguarddecisions",
    kind="MemoryGuardDecision",
    type=Made,
)


def written(object_: OwnNodeMemory) -> Written:
    """What stands in the status; nothing where another version wrote what we do not understand."""
    try:
        return msgspec.json.decode(object_.status, type=Written)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Written()
