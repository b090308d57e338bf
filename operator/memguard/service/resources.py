"""The policy kinds as agent and operator read them, and the way from a kind of ours to a resource."""

from __future__ import annotations

from typing import TypeVar

from memguard.api.definitions import CLUSTER_POLICY, POLICY, Definition
from memguard.api.meta import GROUP, VERSION, Desired
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.kube.resources import Resource

T = TypeVar("T")

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
