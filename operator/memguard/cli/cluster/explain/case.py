"""`kubectl memguard explain`: why a pod was chosen, why it was not, and what would change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from memguard.api.decision import MemoryGuardDecision
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import NODE_MEMORIES, Cluster, RefusedError, nearest
from memguard.cli.cluster.explain.reasons import Reasons, reasons
from memguard.cli.cluster.rules import Rules
from memguard.cli.cluster.stops import Stop, read_stops
from memguard.cli.cluster.top.standing import NodeStanding, node_standing
from memguard.cli.explanation import Explanation
from memguard.cli.incident.incident import Incident, explained, others_explained
from memguard.cli.incident.words import deed, verdict
from memguard.core.model import Record
from memguard.errors import MemguardError
from memguard.kube.identities import identities
from memguard.kube.objects import Pod
from memguard.kube.resources import NODES, PODS

T = TypeVar("T")


class PodExplanation(Record, frozen=True, kw_only=True):
    """`kubectl memguard explain`.

    `decision`: the last of the `decisions` about the pod, or else the last one that it was a candidate in (`victim`
    tells which), and its `explanation`. `node` is None for a pod that is gone, or on no node, or whose node says
    nothing.
    """

    namespace: str
    pod: str
    exists: bool
    sentence: str
    decision: MemoryGuardDecision | None
    victim: bool
    explanation: Explanation | None
    decisions: int
    node: NodeStanding | None
    containers: tuple[Reasons, ...]
    unknown: tuple[str, ...] = ()


class Told(NamedTuple):
    """A decision that explains it, and how: `victim` where it was the one that was chosen."""

    incident: Incident
    explanation: Explanation
    victim: bool


class Case:
    """All that the cluster has about one pod."""

    def __init__(self, cluster: Cluster, name: str, container: str | None) -> None:
        self._cluster, self._name, self._container = cluster, name, container
        self._unknown: list[str] = []
        self.pod = cluster.find(PODS, name, cluster.namespace)
        self.decisions = self._about()
        if self.pod is None and not self.decisions:
            raise MemguardError(self._nobody())
        if self.pod is not None and container is not None:
            _require(self.pod, container)

    def explanation(self, now: datetime) -> PodExplanation:
        """The whole document."""
        report = self._report()
        told = self._told(now)
        node = self._node(report, now) if report else None
        containers = self._reasons(report, node) if report and node else ()
        return PodExplanation(
            namespace=self._cluster.namespace,
            pod=self._name,
            exists=self.pod is not None,
            sentence=_words(told) if told else _no_decision(self._title, self.pod, node, containers),
            decision=told.incident.decision if told else None,
            victim=told.victim if told else False,
            explanation=told.explanation if told else None,
            decisions=len(self.decisions),
            node=node,
            containers=containers,
            unknown=tuple(self._unknown),
        )

    @property
    def _title(self) -> str:
        return f"{self._cluster.namespace}/{self._name}"

    def _about(self) -> list[MemoryGuardDecision]:
        """The decisions whose victim it was, the last at the end."""
        found = self._cluster.decisions(self._cluster.namespace, pod=self._name)
        return [one for one in found if self._container in (None, one.spec.victim.name)]

    def _told(self, now: datetime) -> Told | None:
        """The last decision about it, else the last one on its node that it was a candidate in."""
        if self.decisions:
            incident = Incident(decision=self.decisions[-1], made_at=now)
            return Told(incident, explained(incident), victim=True)
        if self.pod is None or not self.pod.spec.node_name:
            return None
        node, what = self.pod.spec.node_name, "whether it was a candidate when another was chosen"
        nothing: tuple[MemoryGuardDecision, ...] = ()
        there = self._if_allowed(what, lambda: self._cluster.decisions(node=node), nothing)
        found = next((one for one in reversed(there) if any(self._is_it(it.title) for it in one.spec.candidates)), None)
        if found is None:
            return None
        incident = Incident(decision=found, made_at=now)
        own = next(one for one in others_explained(incident) if self._is_it(one.title or ""))
        return Told(incident, own, victim=False)

    def _is_it(self, title: str) -> bool:
        """Is this the pod, or the container of it that is asked for?"""
        return title.startswith(f"{self._title}/") and self._container in (None, title.rpartition("/")[2])

    def _report(self) -> NodeMemory | None:
        node = self.pod.spec.node_name if self.pod else ""
        if not node:
            return None
        return self._if_allowed("how its node stands", lambda: self._cluster.find(NODE_MEMORIES, node), None)

    def _node(self, report: NodeMemory, now: datetime) -> NodeStanding:
        none: tuple[Stop, ...] = ()
        stops = self._if_allowed("whether it is paused", lambda: read_stops(self._cluster)(report), none)
        return node_standing(report, stops, now)

    def _reasons(self, report: NodeMemory, standing: NodeStanding) -> tuple[Reasons, ...]:
        return self._if_allowed("how its policies treat it", lambda: self._treated(report, standing), ())

    def _treated(self, report: NodeMemory, standing: NodeStanding) -> tuple[Reasons, ...]:
        if self.pod is None:
            return ()
        node = self._cluster.find(NODES, report.metadata.name)
        rules = Rules.read(self._cluster, self._cluster.namespace)
        compiled = rules.compiled(node.metadata.labels if node else {}, report.spec)
        found = (one for one in identities(self.pod) if self._container in (None, one.name))
        return tuple(reasons(one, report.status, compiled, standing.stops, heeded=standing.paused) for one in found)

    def _if_allowed(self, what: str, ask: Callable[[], T], otherwise: T) -> T:
        """A tenant sees its own namespace, and not the nodes: what it may not see is named."""
        try:
            return ask()
        except RefusedError as error:
            self._unknown.append(f"{what}: {error}")
            return otherwise

    def _nobody(self) -> str:
        space = self._cluster.namespace
        pods: Iterable[str] = (one.metadata.name for one in self._cluster.pods(space))
        recorded = (one.spec.victim.pod or "" for one in self._cluster.decisions(space))
        near = nearest(self._name, [*pods, *filter(None, recorded)])
        remedy = near or "Give its namespace with -n."
        return f"{space}/{self._name}: there is no such pod, and no decision about one. {remedy}"


def _require(pod: Pod, container: str) -> None:
    names = [one.name for one in (*pod.spec.containers, *pod.spec.init_containers)]
    if container not in names:
        raise MemguardError(f"{pod.metadata.name} has no container {container}. It has {', '.join(names)}.")


def _words(told: Told) -> str:
    """The answer, where there was a decision: why, and what became of it where it was about the pod itself."""
    if not told.victim:
        return told.explanation.sentence
    return f"{told.explanation.sentence} It {deed(told.incident)}. {verdict(told.incident).words}"


def _no_decision(title: str, pod: Pod | None, node: NodeStanding | None, containers: tuple[Reasons, ...]) -> str:
    """The answer, where there was none: how things are."""
    if pod is None or not pod.spec.node_name:
        return f"{title} is on no node yet: nothing is known of its memory."
    if node is None:
        return f"{title} was never chosen, and its node {pod.spec.node_name} does not report."
    if not containers:
        return f"{title} was never chosen, and none of its containers runs."
    return f"{title} was never chosen: {containers[0].name}: {containers[0].why}."
