"""What the operator does to the cluster, each deed once and by name: evict, order, resize, taint, advise, record.

Who calls a second time, because it died in between, finds what it did: an eviction is of one pod's UID, a record has
the name of its decision, an order its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from memguard.api.decision import MemoryGuardDecisionStatus, first_status, record
from memguard.api.wire import body
from memguard.controller.resources import DECISIONS, NODE_MEMORIES, ReportedNode
from memguard.core.advice import AdvisedOrder
from memguard.core.decision import Decision
from memguard.core.refusal import GONE, UNDISRUPTABLE, Refusal, refused
from memguard.core.taint import KEY, Effect
from memguard.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from memguard.kube.client import Client
from memguard.kube.objects import Node, Pod, Taint
from memguard.kube.resources import NODES, PODS, Selection

#: In the answer of KubeVirt's webhook.
EVACUATES = "triggered evacuation"


class Deeds:
    """Raises KubeError for what may succeed later; returns why not for what will not."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pods_on(self, node: str) -> tuple[Pod, ...]:
        """Those of a node."""
        return self._client.list_all(Selection(PODS, fields=f"spec.nodeName={node}")).objects

    def pod(self, namespace: str, name: str, uid: str) -> Pod | None:
        """This very pod, if it is still there."""
        with suppress(NotFoundError):
            found = self._client.get(PODS, name, namespace)
            return found if found.metadata.uid == uid else None
        return None

    def evict(self, pod: Pod, *, dry_run: bool = False) -> Refusal | None:
        """Evict it with its own grace, or ask whether it could be; why it may not be now."""
        meta = pod.metadata
        grace = 1 if pod.spec.termination_grace_period_seconds == 0 else None  # with 0 its name is free before it ends
        try:
            self._client.evict(meta.name, meta.namespace, uid=meta.uid, grace_seconds=grace, dry_run=dry_run)
        except TooManyRequestsError as error:
            if error.budget:
                return UNDISRUPTABLE
            if not _vetoed(error):
                raise
            # KubeVirt says so of a machine that it now migrates.
            return None if EVACUATES in error.problem else refused("the eviction", error.problem)
        except (NotFoundError, ConflictError):
            return GONE
        except UnauthorizedError:  # that is about us
            raise
        except KubeError as error:
            if error.passing and not _vetoed(error):
                raise
            return refused("the eviction", error.problem)
        return None

    def order(self, reported: ReportedNode, order: AdvisedOrder) -> None:
        """Ask the node's guard to end a container, now that all orders before were answered or ran out."""
        self.advise(reported, {"orders": [body(order)]})

    def advise(self, reported: ReportedNode, advice: Mapping[str, Any]) -> None:
        """Change what the node's agent is told; ConflictError where it was changed since."""
        metadata = {"resourceVersion": reported.metadata.resource_version}
        change = {"metadata": metadata, "spec": dict(advice)}
        self._client.merge_patch(NODE_MEMORIES, reported.metadata.name, change)

    def resize(self, pod: Pod, container: str, limit_bytes: int, *, dry_run: bool = False) -> Refusal | None:
        """Raise a container's limit in place, or ask whether that could be; why it cannot be."""
        limits = {"limits": {"memory": str(limit_bytes)}}
        change = {"spec": {"containers": [{"name": container, "resources": limits}]}}
        meta = pod.metadata
        try:
            self._client.strategic_patch(PODS, meta.name, change, meta.namespace, subresource="resize", dry_run=dry_run)
        except (NotFoundError, ConflictError):
            return GONE
        except (UnauthorizedError, UnreachableError):
            raise
        except KubeError as error:
            return refused("the resize", error.problem)
        return None

    def taint(self, node: Node, wanted: Effect | None) -> None:
        """Have our taint be this one, or none; nothing where somebody else changed the list meanwhile."""
        taints = node.spec.taints or ()
        others = tuple(one for one in taints if one.key != KEY)
        changed = others if wanted is None else (*others, Taint(key=KEY, effect=wanted))
        before: dict[str, object] = {"op": "test", "path": "/spec/taints", "value": taints}
        if not taints:  # `test` knows no missing field
            before = {"op": "test", "path": "/metadata/resourceVersion", "value": node.metadata.resource_version}
        step: dict[str, object] = {"op": "add", "path": "/spec/taints", "value": changed}
        with suppress(InvalidError, NotFoundError):  # the next look sees what stands there
            self._client.json_patch(NODES, node.metadata.name, [before, step])

    def record(self, decision: Decision, *, namespace: str, node: str, at: datetime, policy: str) -> Refusal | None:
        """Write it down, once; why that cannot be: a webhook, a quota, a namespace that ends."""
        content = record(decision, namespace=namespace, node=node, taken_at=at, policy=policy)
        try:
            self._client.create(DECISIONS, content, namespace)
        except AlreadyExistsError:  # it was tried before, and is under way again
            self.amend(namespace, decision.id, first_status(decision))
        except (ForbiddenError, InvalidError, NotFoundError) as error:
            return refused("its record", error.problem)
        except ServerError as error:
            if not _vetoed(error):
                raise
            return refused("its record", error.problem)
        return None

    def find_report(self, node: str) -> ReportedNode | None:
        """The node's NodeMemory as it is now: its agent writes it all the time."""
        with suppress(NotFoundError):
            return self._client.get(NODE_MEMORIES, node)
        return None

    def amend(self, namespace: str, name: str, status: MemoryGuardDecisionStatus) -> None:
        """What became of it."""
        with suppress(NotFoundError):  # its namespace is gone
            self._client.merge_patch(DECISIONS, name, {"status": body(status)}, namespace, subresource="status")

    def forget(self, namespace: str, name: str) -> None:
        """Delete a record whose time is over."""
        with suppress(NotFoundError):
            self._client.delete(DECISIONS, name, namespace)


def _vetoed(error: KubeError) -> bool:
    """A webhook that fails says 500 for itself; the server would say so of everything."""
    return "webhook" in error.problem
