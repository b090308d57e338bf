"""`kubectl memguard explain`: why a pod was chosen, why it was not, and what would change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from memguard.api.decision import MemoryGuardDecision, Phase
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import NODE_MEMORIES, Cluster, RefusedError, nearest
from memguard.cli.cluster.history import pod_name
from memguard.cli.cluster.options import Context, Form, Kubeconfig, Namespace, Output, show
from memguard.cli.cluster.reasons import Reasons, reasons
from memguard.cli.cluster.rules import Rules
from memguard.cli.cluster.standing import silent
from memguard.cli.cluster.stops import Stop
from memguard.cli.cluster.suggest import pods
from memguard.cli.cluster.top import read_stops
from memguard.cli.explanation import Explanation
from memguard.cli.journal import LoggedDecision, explanation_of, explanation_of_other
from memguard.core.explain import size
from memguard.core.model import Level, Moment, Record
from memguard.core.policy import Mode
from memguard.errors import MemguardError
from memguard.kube.identities import identities
from memguard.kube.objects import Pod
from memguard.kube.resources import NODES, PODS

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")

Target = Annotated[
    str, typer.Argument(metavar="pod/NAME", help="The pod; its name alone will do.", autocompletion=pods)
]
Container = Annotated[
    str | None, typer.Option("-c", "--container", metavar="NAME", help="Only this container of the pod.")
]


class NodeNow(Record, frozen=True, kw_only=True):
    """The pod's node by its last report; `silent`: that is too old to be true."""

    name: str
    level: Level | None
    pressure: float | None
    threshold_score: float | None
    headroom_bytes: int | None
    age_seconds: float | None
    silent: bool
    stops: tuple[Stop, ...]


class Recorded(Record, frozen=True, kw_only=True):
    """The last decision that was about the pod, or that it was a candidate in: `victim` tells which."""

    name: str
    namespace: str
    at: Moment
    victim: bool
    mode: Mode
    action: str
    phase: Phase | None
    freed_bytes: int | None
    policy: str
    explanation: Explanation


class PodExplanation(Record, frozen=True, kw_only=True):
    """`kubectl memguard explain`. `node` is None for a pod that is gone, or on no node, or whose node says nothing."""

    namespace: str
    pod: str
    exists: bool
    sentence: str
    decision: Recorded | None
    decisions: int
    node: NodeNow | None
    containers: tuple[Reasons, ...]
    unknown: tuple[str, ...] = ()


def explain(
    target: Target,
    *,
    container: Container = None,
    namespace: Namespace = None,
    output: Output = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Explain why a pod was chosen, or why not.

    The last decision about it, with every factor of its score, the runner-up, and what would have changed it; of a pod
    that was never chosen the last decision that it was a candidate in. Then how it stands now: its score and the
    threshold by its node's report, the policy that treats it, and what would have to be different.

    \b
    Examples:
      kubectl memguard explain pod/cart-7d9
      kubectl memguard explain cart-7d9 -n shop -c app
      kubectl memguard explain pod/cart-7d9 -o json

    \b
    Exit codes: 0 explained, 1 there is no such pod and no decision about one, 2 bad input.
    """
    cluster = Cluster.reached(kubeconfig, context, namespace)
    case = Case(cluster, pod_name(target), container)
    document = case.explanation(datetime.now(UTC))

    def view() -> RenderableType:
        from memguard.cli.cluster.view.explanation import pod_view

        return pod_view(document)

    show(document, output, view)


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
        decision = self._recorded(self.decisions[-1]) if self.decisions else self._beside()
        node = self._node(report, now) if report else None
        containers = self._reasons(report, node.stops if node else ()) if report else ()
        return PodExplanation(
            namespace=self._cluster.namespace,
            pod=self._name,
            exists=self.pod is not None,
            sentence=_sentence(self._title, decision, self.pod, node, containers),
            decision=decision,
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

    def _beside(self) -> Recorded | None:
        """The last decision on its node that it was a candidate in."""
        if self.pod is None or not self.pod.spec.node_name:
            return None
        title = f"{self._title}/{self._container or ''}"
        node = self.pod.spec.node_name
        there: tuple[MemoryGuardDecision, ...] = self._if_allowed(
            "whether it was a candidate when another was chosen",
            lambda: self._cluster.decisions(node=node),
            (),
        )
        found = [one for one in there if any(_is_about(beside.title, title) for beside in one.spec.candidates)]
        return self._recorded(found[-1], title) if found else None

    def _recorded(self, one: MemoryGuardDecision, candidate: str = "") -> Recorded:
        logged = msgspec.convert(msgspec.to_builtins(one.spec), LoggedDecision)
        beside = next((it for it in logged.candidates if candidate and _is_about(it.title, candidate)), None)
        return Recorded(
            name=one.metadata.name,
            namespace=one.metadata.namespace,
            at=one.spec.taken_at,
            victim=beside is None,
            mode=one.spec.mode,
            action=one.spec.action,
            phase=one.status.phase,
            freed_bytes=one.status.freed_bytes,
            policy=one.spec.policy,
            explanation=explanation_of(logged) if beside is None else explanation_of_other(beside, logged),
        )

    def _report(self) -> NodeMemory | None:
        node = self.pod.spec.node_name if self.pod else ""
        if not node:
            return None
        return self._if_allowed("how its node stands", lambda: self._cluster.find(NODE_MEMORIES, node), None)

    def _node(self, report: NodeMemory, now: datetime) -> NodeNow:
        status = report.status
        return NodeNow(
            name=report.metadata.name,
            level=status.level,
            pressure=status.pressure,
            threshold_score=status.threshold_score,
            headroom_bytes=status.headroom_bytes,
            age_seconds=(now - status.observed_at).total_seconds() if status.observed_at else None,
            silent=silent(report, now),
            stops=self._if_allowed("whether it is paused", lambda: read_stops(self._cluster)(report), ()),
        )

    def _reasons(self, report: NodeMemory, stops: tuple[Stop, ...]) -> tuple[Reasons, ...]:
        return self._if_allowed("how its policies treat it", lambda: self._treated(report, stops), ())

    def _treated(self, report: NodeMemory, stops: tuple[Stop, ...]) -> tuple[Reasons, ...]:
        if self.pod is None:
            return ()
        node = self._cluster.find(NODES, report.metadata.name)
        rules = Rules.read(self._cluster, self._cluster.namespace)
        compiled = rules.compiled(node.metadata.labels if node else {}, report.spec)
        found = (one for one in identities(self.pod) if self._container in (None, one.name))
        return tuple(reasons(one, report.status, compiled, stops) for one in found)

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


def _is_about(title: str, wanted: str) -> bool:
    """`namespace/pod/` means any container of the pod."""
    return title == wanted or (wanted.endswith("/") and title.startswith(wanted))


def _require(pod: Pod, container: str) -> None:
    names = [one.name for one in (*pod.spec.containers, *pod.spec.init_containers)]
    if container not in names:
        raise MemguardError(f"{pod.metadata.name} has no container {container}. It has {', '.join(names)}.")


def _sentence(
    title: str, decision: Recorded | None, pod: Pod | None, node: NodeNow | None, containers: tuple[Reasons, ...]
) -> str:
    """The answer in words: what happened, or else how things are."""
    if decision is not None and decision.victim:
        return f"{decision.explanation.sentence}{_outcome(decision)}"
    if decision is not None:
        return decision.explanation.sentence
    if pod is None or not pod.spec.node_name:
        return f"{title} is on no node yet: nothing is known of its memory."
    if node is None:
        return f"{title} was never chosen, and its node {pod.spec.node_name} does not report."
    if not containers:
        return f"{title} was never chosen, and none of its containers runs."
    return f"{title} was never chosen: {containers[0].name}: {containers[0].why}."


def _outcome(decision: Recorded) -> str:
    if decision.mode == "Observe":
        return ""  # which the sentence says already, with the reason
    freed = f", and {size(decision.freed_bytes)} came back" if decision.freed_bytes is not None else ""
    return f" It was done ({decision.action}, {decision.phase or 'outcome unknown'}){freed}."
