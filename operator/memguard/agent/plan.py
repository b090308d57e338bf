"""The cluster's policies as this node's plan: made anew whenever one of them, the node or the advice changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from memguard.api.meta import Desired
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.compile import Compiled, compile_plan
from memguard.core.notes import Named, Note, S, title_of
from memguard.kube.codec import Broken, Key
from memguard.kube.objects import ObjectReference
from memguard.service.resources import CLUSTER_POLICIES, POLICIES, ClusterPolicy, TenantPolicy, reference

#: A stop that we cannot read is a stop.
UNREADABLE = Advice(emergency_stop=True)


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a plan is made of, as the API server has it."""

    cluster: Mapping[Key, ClusterPolicy]
    tenants: Mapping[Key, TenantPolicy]
    node_labels: Mapping[str, str]
    broken_cluster: Mapping[Key, Broken] = {}
    broken_tenants: Mapping[Key, Broken] = {}
    advice: Advice | None = NO_ADVICE


def compiled(sources: Sources) -> Compiled:
    """The plan, and what the policies' authors should know; without advice that can be read nothing is enforced."""
    cluster = _named(sources.cluster, sources.broken_cluster)
    tenants = _named(sources.tenants, sources.broken_tenants)
    advice = UNREADABLE if sources.advice is None else sources.advice
    return compile_plan(cluster, tenants, sources.node_labels, advice)


def _named(readable: Mapping[Key, Desired[S]], unreadable: Mapping[Key, Broken]) -> list[Named[S]]:
    found = [
        Named(namespace=one.metadata.namespace, name=one.metadata.name, spec=one.spec) for one in readable.values()
    ]
    return found + [
        Named(namespace=one.namespace, name=one.name, spec=None, problem=one.problem) for one in unreadable.values()
    ]


def references(sources: Sources) -> dict[str, ObjectReference]:
    """The objects behind the policies' titles: `namespace/name`, `cluster/name`."""
    found = [reference(CLUSTER_POLICIES, one.metadata) for one in sources.cluster.values()]
    found += [reference(POLICIES, one.metadata) for one in sources.tenants.values()]
    found += [reference(CLUSTER_POLICIES, one) for one in sources.broken_cluster.values()]
    found += [reference(POLICIES, one) for one in sources.broken_tenants.values()]
    return {title_of(one.namespace, one.name): one for one in found}


def broken(sources: Sources, notes: tuple[Note, ...]) -> Iterator[tuple[ObjectReference, str, str]]:
    """Each policy that cannot be read, its version, and the reason for people."""
    reasons = {note.policy: note.reason for note in notes if note.kind == "Broken"}
    for resource, those in ((CLUSTER_POLICIES, sources.broken_cluster), (POLICIES, sources.broken_tenants)):
        for one in those.values():
            reason = reasons.get(title_of(one.namespace, one.name), one.problem)
            yield reference(resource, one), one.resource_version, reason
