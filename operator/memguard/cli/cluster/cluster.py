"""The cluster as our types: what the commands read and the little that they write.

Every call raises MemguardError in one line with a remedy: what is not installed, who may not look, what nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from typing import Any, TypeVar

from memguard.api.decision import MemoryGuardDecision
from memguard.api.definitions import DECISION, NODE_MEMORY
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.login import Access, Login, log_in
from memguard.cli.cluster.progress import working
from memguard.core.policy import Mode
from memguard.errors import ForbiddenError, InputError, KubeError, MemguardError, NotFoundError, UnauthorizedError
from memguard.kube.codec import Listing
from memguard.kube.objects import Node, Pod
from memguard.kube.resources import NODES, PODS, Resource, Selection
from memguard.service.resources import CLUSTER_POLICIES, POLICIES, resource_of

T = TypeVar("T")

#: Nodes' reports and decisions are some KiB each.
PAGE = 500

NODE_MEMORIES = resource_of(NODE_MEMORY, NodeMemory)
DECISIONS = resource_of(DECISION, MemoryGuardDecision)
OURS = frozenset(one.plural for one in (NODE_MEMORIES, DECISIONS, POLICIES, CLUSTER_POLICIES))

#: In whatever namespace they were installed.
OUR_PODS = "kubectl get pods -A -l app.kubernetes.io/name=memguard -o wide"
INSTALL = "Install memguard first (docs/cluster.md), or is it another --context?"
RIGHTS = "docs/cli.md says what each command needs; whoever administers the cluster grants it."


class Cluster:
    """One cluster, and the namespace that is meant where none is named."""

    def __init__(self, login: Login, namespace: str | None = None) -> None:
        self.client = login.client
        self.namespace = namespace or login.namespace

    @classmethod
    def reached(cls, access: Access, namespace: str | None = None) -> Cluster:
        """The cluster that a command line names."""
        return cls(log_in(access), namespace)

    def listing(self, selection: Selection[T]) -> Listing[T]:
        """All of a selection, also what does not decode."""
        with working(f"reading {selection.resource.plural}"), plainly(selection.resource):
            return self.client.list_all(selection, page=PAGE if selection.resource.plural in OURS else 100)

    def all(self, selection: Selection[T]) -> tuple[T, ...]:
        """All of a selection that can be read."""
        return self.listing(selection).objects

    def reports(self) -> tuple[NodeMemory, ...]:
        """What all nodes say of themselves, by name."""
        return tuple(sorted(self.all(Selection(NODE_MEMORIES)), key=lambda one: one.metadata.name))

    def report(self, node: str) -> NodeMemory:
        """What one node says of itself."""
        found = self.find(NODE_MEMORIES, node)
        if found is not None:
            return found
        near = nearest(node, (one.metadata.name for one in self.reports()))
        raise MemguardError(
            f"node {node}: there is no report of it. {near or INSTALL} Does a memguard-node pod run on it ({OUR_PODS})?"
        )

    def decisions(
        self, namespace: str | None = None, *, pod: str | None = None, node: str | None = None, mode: Mode | None = None
    ) -> tuple[MemoryGuardDecision, ...]:
        """Those of a namespace (None: all), about this pod, of this node, in this mode; by their time."""
        wanted = {"spec.victim.pod": pod, "spec.node": node, "spec.mode": mode}
        fields = ",".join(f"{field}={value}" for field, value in wanted.items() if value)
        try:
            found = self.all(Selection(DECISIONS, namespace, fields=fields))
        except InputError:  # Kubernetes before 1.31 does not select by fields of ours
            found = self.all(Selection(DECISIONS, namespace))
        chosen = (one for one in found if pod in (None, one.spec.victim.pod) and node in (None, one.spec.node))
        return tuple(sorted((one for one in chosen if mode in (None, one.spec.mode)), key=_at))

    def nodes(self, labels: str = "") -> tuple[Node, ...]:
        """The Node objects."""
        return self.all(Selection(NODES, labels=labels))

    def pods(self, namespace: str | None = None, labels: str = "", fields: str = "") -> tuple[Pod, ...]:
        """Pods of a namespace, or of all."""
        return self.all(Selection(PODS, namespace, labels=labels, fields=fields))

    def find(self, resource: Resource[T], name: str, namespace: str | None = None) -> T | None:
        """One object, if it is there. That its kind is not there is an error."""
        try:
            with plainly(resource):
                return self.client.get(resource, name, namespace)
        except MissingError:
            self.all(Selection(resource, namespace, fields=f"metadata.name={name}"))
            return None

    def apply(self, resource: Resource[T], name: str, content: Mapping[str, Any]) -> T:
        """The object, made or changed so that it has these fields; whoever wrote them before is not asked."""
        with plainly(resource):
            return self.client.apply(resource, name, content, manager="kubectl-memguard", force=True)

    def delete(self, resource: Resource[T], name: str) -> bool:
        """Delete it; was it there?"""
        with plainly(resource):
            try:
                self.client.delete(resource, name)
            except NotFoundError:
                return False
        return True

    def patch(self, resource: Resource[T], name: str, change: Mapping[str, Any]) -> T:
        """The object with these fields changed (RFC 7386)."""
        with plainly(resource):
            return self.client.merge_patch(resource, name, change)


def _at(one: MemoryGuardDecision) -> tuple[datetime, str]:
    return one.spec.taken_at, one.metadata.name


class MissingError(MemguardError):
    """There is no such object, or no such kind."""


class RefusedError(MemguardError):
    """Whoever asks lacks the right, which the message names."""


@contextmanager
def plainly(resource: Resource[Any]) -> Iterator[None]:
    """The API server's refusals, as people are to hear of them."""
    try:
        yield
    except NotFoundError as error:
        kind = f"{resource.plural}.{resource.group}".rstrip(".")
        raise MissingError(
            f"{kind}: the cluster does not know this kind or object ({error.problem}). {INSTALL}"
        ) from None
    except ForbiddenError as error:
        raise RefusedError(f"{error.problem.removeprefix('403 ')}. {RIGHTS}") from None
    except UnauthorizedError as error:
        raise MemguardError(
            f"{error.problem}: the cluster does not know you. Log in again; try `kubectl get nodes`."
        ) from None
    except KubeError as error:
        if error.status == 400:  # nothing else of what is asked is a person's to write
            remedy = "Write it as for kubectl: a=b,c!=d,e in (f,g)."
            raise InputError("--selector", error.problem.removeprefix("400 "), remedy=remedy) from None
        raise MemguardError(str(error)) from None


def nearest(name: str, names: Iterable[str]) -> str:
    """Those of the names that may have been meant, as a sentence; empty where there is none."""
    there = sorted(set(names))
    near = get_close_matches(name, there, n=3, cutoff=0.4) or there[:3]
    return f"There are for example {', '.join(near)}." if near else ""
