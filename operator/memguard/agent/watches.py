"""What the API server says of this node: its pods, the policies, and the operator's advice."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any

from memguard.agent.plan import Sources
from memguard.agent.resources import NODE_MEMORIES, OwnNodeMemory
from memguard.core.advice import NO_ADVICE, Advice
from memguard.kube.client import Client
from memguard.kube.objects import Pod
from memguard.kube.ration import Ration
from memguard.kube.resources import PODS, Selection
from memguard.kube.store import Change
from memguard.kube.watch import Watcher
from memguard.service.policies import MOST_READ_BYTES
from memguard.service.resources import CLUSTER_POLICIES, POLICIES

#: A quiet watch is told once a minute that nothing happened; this long without a word, and it is stale.
FRESH_SECONDS = 150.0


class Watches:
    """Four watchers, each to be run in a thread of its own.

    `pods_changed` hears of each change of the node's pods and whether it is the first, `own_changed` of our NodeMemory,
    `advised` that policies are others.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        *,
        pods_changed: Callable[[Change[Pod], bool], None],
        own_changed: Callable[[], None],
        advised: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def told(_: Change[Any]) -> None:
            advised()

        def own_told(_: Change[OwnNodeMemory]) -> None:
            own_changed()

        def pods_told(change: Change[Pod]) -> None:
            pods_changed(change, self.pods.lists == 1 and change.listed)

        self._node = node
        self.pods = Watcher(client, Selection(PODS, fields=f"spec.nodeName={node}"), pods_told, clock=clock)
        ration = partial(Ration, MOST_READ_BYTES)
        self.policies = Watcher(client, Selection(POLICIES), told, ration=ration, clock=clock)
        self.cluster_policies = Watcher(client, Selection(CLUSTER_POLICIES), told, clock=clock)
        self.own = Watcher(client, Selection(NODE_MEMORIES, fields=f"metadata.name={node}"), own_told, clock=clock)

    @property
    def all(self) -> Mapping[str, Watcher[Any]]:
        """By the resource that they watch."""
        return {
            "pods": self.pods,
            "memoryguardpolicies": self.policies,
            "clustermemoryguardpolicies": self.cluster_policies,
            "nodememories": self.own,
        }

    @property
    def stale(self) -> tuple[str, ...]:
        """Those of which it is not known how they stand now."""
        return tuple(name for name, watcher in self.all.items() if watcher.fresh_seconds() > FRESH_SECONDS)

    @property
    def problem(self) -> str:
        """Why something is not known (any more)."""
        unknown = {name: self.all[name] for name in self.stale}
        return "; ".join(
            f"{name}: {watcher.last_error or ('no word for too long' if watcher.lists else 'not listed yet')}"
            for name, watcher in unknown.items()
        )

    def own_object(self) -> OwnNodeMemory | None:
        """This node's NodeMemory, where there is one that can be read."""
        return self.own.objects().get(("", self._node))

    def sources(self, node_labels: Mapping[str, str], namespaces: Container[str]) -> Sources | None:
        """What the plan is made of; None before all of it was listed.

        A tenant's policy is of no use where its namespace has no pod, and the guard locks all of its plan: in a cluster
        of 5,000 namespaces that is 2 MB, and the tenth part of a second to make.
        """
        if not all(watcher.lists for watcher in self.all.values()):
            return None
        tenants = self.policies.objects()
        return Sources(
            cluster=self.cluster_policies.objects(),
            tenants={key: one for key, one in tenants.items() if one.metadata.namespace in namespaces},
            broken_cluster=self.cluster_policies.broken(),
            broken_tenants=self.policies.broken(),
            node_labels=node_labels,
            advice=self._advice(),
        )

    def stop(self) -> None:
        """End them soon."""
        for watcher in self.all.values():
            watcher.stop()

    def _advice(self) -> Advice | None:
        if self.own.broken():
            return None
        own = self.own_object()
        return own.spec if own else NO_ADVICE
