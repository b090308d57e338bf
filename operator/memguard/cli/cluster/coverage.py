"""Which nodes there are to guard, and on which a guard runs."""

from __future__ import annotations

from memguard.cli.cluster.cluster import Cluster

OURS = "app.kubernetes.io/name=memguard"
NODE_COMPONENT, OPERATOR_COMPONENT = "app.kubernetes.io/component=node", "app.kubernetes.io/component=operator"


def linux_nodes(cluster: Cluster) -> frozenset[str]:
    """The names of all nodes that could be guarded."""
    return frozenset(
        one.metadata.name for one in cluster.nodes() if one.metadata.labels.get("kubernetes.io/os") != "windows"
    )


def guarded_nodes(cluster: Cluster) -> frozenset[str]:
    """The names of those with a pod of the guard."""
    return frozenset(one.spec.node_name for one in cluster.pods(labels=f"{OURS},{NODE_COMPONENT}"))
