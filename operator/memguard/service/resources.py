"""The policy kinds as everybody reads them, the operator's lease, and the way from a kind of ours to a resource."""

from __future__ import annotations

from typing import Any, TypeVar

from memguard.api.definitions import CLUSTER_POLICY, POLICY, Definition
from memguard.api.meta import GROUP, VERSION, Desired, KeptMeta, ObjectMeta
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.kube.codec import Item
from memguard.kube.objects import ObjectReference
from memguard.kube.resources import Resource

T = TypeVar("T")
Named = KeptMeta | Item

#: A tenant's policy, as its author wrote it.
TenantPolicy = Desired[MemoryGuardPolicySpec]


class ClusterPolicy(Desired[ClusterMemoryGuardPolicySpec], frozen=True, kw_only=True):
    """An administrators' policy, with the notes that stand on it."""

    metadata: ObjectMeta


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


def reference(resource: Resource[Any], one: Named) -> ObjectReference:
    """An object of this kind, as an Event names it; `one` is its metadata, or what is known of one that is broken."""
    return ObjectReference(
        api_version=resource.api_version, kind=resource.kind, namespace=one.namespace, name=one.name, uid=one.uid
    )


#: Which replica of the operator acts.
LEASE = "memguard-operator"
POLICIES = resource_of(POLICY, TenantPolicy)
CLUSTER_POLICIES = resource_of(CLUSTER_POLICY, ClusterPolicy)
