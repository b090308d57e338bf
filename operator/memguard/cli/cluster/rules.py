"""The policies of a cluster, and the plans that they come to: made by the function that agents and operator use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from memguard.cli.cluster.cluster import Cluster
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.compile import Compiled, compile_plan
from memguard.core.notes import Named
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.kube.resources import Selection
from memguard.service.policies import named
from memguard.service.resources import CLUSTER_POLICIES, POLICIES

ClusterRule = Named[ClusterMemoryGuardPolicySpec]
TenantRule = Named[MemoryGuardPolicySpec]


class Rules(msgspec.Struct, frozen=True):
    """All policies at one moment."""

    cluster: tuple[ClusterRule, ...] = ()
    tenants: tuple[TenantRule, ...] = ()

    @classmethod
    def read(cls, cluster: Cluster, namespace: str | None = None) -> Rules:
        """As they are there; of tenants' only those of one namespace, where it is given."""
        return cls(
            named(cluster.listing(Selection(CLUSTER_POLICIES)).items),
            named(cluster.listing(Selection(POLICIES, namespace)).items),
        )

    def compiled(self, labels: Mapping[str, str], advice: Advice = NO_ADVICE) -> Compiled:
        """The plan of a node with these labels."""
        return compile_plan(self.cluster, self.tenants, labels, advice)

    def changed(self, others: Rules) -> Rules:
        """With these in the place of those of the same name."""
        return Rules(_merged(self.cluster, others.cluster), _merged(self.tenants, others.tenants))


def _merged(before: Sequence[Named[Any]], after: Sequence[Named[Any]]) -> tuple[Named[Any], ...]:
    titles = {one.title for one in after}
    return (*(one for one in before if one.title not in titles), *after)
