"""`kubectl memguard simulate`: what a policy would have done, before it is applied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Form, Kubeconfig, Namespace, WideOutput, show
from memguard.cli.cluster.progress import counted
from memguard.cli.cluster.rules import Rules
from memguard.cli.cluster.simulate.hindsight import hindsight
from memguard.cli.cluster.simulate.policy_file import read_policies
from memguard.cli.cluster.simulate.prospect import prospect
from memguard.cli.cluster.simulate.rejudged import Known, Plans
from memguard.cli.cluster.simulate.simulation import Simulation, cluster_words, simulated_policies, trace_words
from memguard.cli.cluster.simulate.traces import TraceOutcome, decided
from memguard.cli.files import STDIN, name_of, read_trace
from memguard.cli.judging import no_snapshot
from memguard.core.compile import Compiled
from memguard.core.model import Identity
from memguard.core.policy import Plan
from memguard.errors import MemguardError
from memguard.kube.identities import identities

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What no simulation knows; said every time.
FROM_TRACES = (
    "what would have come of an end: whoever is ended here is gone for good, and what it held stays free; in truth it "
    "is restarted, and others may take the memory",
    "the brake: a line under a container's limit slows it down, and a recording was made without that line",
    "budgets and PodDisruptionBudgets: a trace has neither",
    "what happened between two readings: a guard looks every few milliseconds near the danger",
)
FROM_CLUSTER = (
    "growth: a report says how things stand, and not how they will go; a trace does (--trace)",
    "whoever is not in a report: it holds the ten containers nearest to being chosen of each node",
    "what the pods had asked for, and which labels they bore, when a decision was made: they are taken as they are now",
    "what would have come of it: an end that did not happen frees no memory for those that followed",
)


def _labels(text: str) -> str:
    for pair in filter(None, text.split(",")):
        if "=" not in pair:
            raise typer.BadParameter(f"{pair!r} is no label: give key=value")
    return text


PolicyFile = Annotated[
    str, typer.Option("--policy", metavar="FILE", help="The policies to try, as for `kubectl apply`; - reads them.")
]
Traces = Annotated[
    list[str] | None, typer.Option("--trace", metavar="FILE", help="Try them on this trace; may be repeated.")
]
Alone = Annotated[
    bool, typer.Option("--alone", help="With --trace: only FILE's policies and the defaults; no cluster is asked.")
]
NodeLabels = Annotated[
    str,
    typer.Option(
        "--node-labels", metavar="LABELS", help="With --alone: labels of the node, a=b,c=d.", callback=_labels
    ),
]


def simulate(
    *,
    policy: PolicyFile,
    trace: Traces = None,
    alone: Alone = False,
    node_labels: NodeLabels = "",
    namespace: Namespace = None,
    output: WideOutput = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Say what policies would do, without applying them.

    FILE's policies take the place of those of the same name in the cluster, and are compiled with all others as on a
    node: what is clipped, and what comes before them, is told with the reason.

    With recorded traces (`memguard record`) each is decided anew, and compared with what was decided under the policies
    of then. With a live cluster: which containers they would match, who would be nearest to being chosen on each node
    now, and what each recorded decision would have been. What cannot be known is said.

    \b
    Examples:
      kubectl memguard simulate --policy shop.yaml
      kubectl memguard simulate --policy shop.yaml --trace incident.jsonl.gz
      kubectl memguard simulate --policy shop.yaml --trace a.jsonl --trace b.jsonl --alone -o json

    \b
    Exit codes: 0 simulated, 1 the cluster cannot be asked, 2 bad input.
    """
    if alone and not trace:
        raise typer.BadParameter("--alone needs a --trace: without a cluster there is nothing else to try them on")
    cluster = None if alone else _reached(Access(kubeconfig, context, as_user, as_group), namespace, traces=bool(trace))
    wanted = read_policies(policy, cluster.namespace if cluster else namespace or "default")
    if trace:
        document = _with_traces(cluster, wanted, trace, node_labels)
    elif cluster is not None:
        document = _with_cluster(cluster, wanted)

    def view() -> RenderableType:
        from memguard.cli.cluster.simulate.view import simulation_view

        return simulation_view(document, wide=output is Form.WIDE)

    show(document, output, view)


def _reached(access: Access, namespace: str | None, *, traces: bool) -> Cluster:
    try:
        return Cluster.reached(access, namespace)
    except MemguardError as error:
        more = " With --alone only FILE's policies count, and no cluster is asked." if traces else ""
        raise MemguardError(f"{error}{more}") from None


def _with_traces(cluster: Cluster | None, wanted: Rules, traces: Iterable[str], node_labels: str) -> Simulation:
    rules = (Rules.read(cluster) if cluster else Rules()).changed(wanted)
    labels = {one.metadata.name: one.metadata.labels for one in cluster.nodes()} if cluster else {}
    given = dict(pair.split("=", 1) for pair in node_labels.split(",") if pair)
    plans: dict[str, Compiled] = {}

    def plan_for(node: str) -> Plan:
        plans[node] = rules.compiled(labels.get(node, given))
        return plans[node].plan

    outcomes = []
    for source in traces:
        name = name_of(source)
        # read twice rather than held: a trace may be larger than the memory; what comes by a pipe comes once
        piped = list(read_trace(source)) if source == STDIN else None
        node, snapshots, after = decided(counted(f"{name}: deciding", piped or read_trace(source)), plan_for)
        if not snapshots:
            raise no_snapshot(name)
        before = decided(counted(f"{name}: deciding as then", piped or read_trace(source)), None)[2]
        outcomes.append(TraceOutcome(trace=name, node=node, snapshots=snapshots, before=before, after=after))
    return Simulation(
        words=trace_words(outcomes),
        policies=simulated_policies(wanted, plans, None),
        traces=tuple(outcomes),
        unknown=FROM_TRACES,
    )


def _with_cluster(cluster: Cluster, wanted: Rules) -> Simulation:
    before = Rules.read(cluster)
    after = before.changed(wanted)
    nodes = {one.metadata.name: one.metadata.labels for one in cluster.nodes()}
    plans = _plans(before, after, nodes)
    runs: dict[str, list[Identity]] = {name: [] for name in nodes}
    for pod in cluster.pods():
        runs.setdefault(pod.spec.node_name, []).extend(identities(pod))
    known = Known(one for some in runs.values() for one in some)
    prospects = tuple(
        prospect(one.metadata.name, one.status, plans[one.metadata.name], known)
        for one in cluster.reports()
        if one.metadata.name in plans
    )
    looked_back = tuple(hindsight(one, plans.get(one.spec.node), known) for one in cluster.decisions())
    return Simulation(
        words=cluster_words(prospects, looked_back),
        policies=simulated_policies(
            wanted,
            {name: both.after for name, both in plans.items()},
            {name: tuple(some) for name, some in runs.items()},
        ),
        nodes=prospects,
        decisions=looked_back,
        unknown=FROM_CLUSTER,
    )


def _plans(before: Rules, after: Rules, nodes: dict[str, dict[str, str]]) -> dict[str, Plans]:
    """Of each node; those with the same labels have the same."""
    made: dict[frozenset[tuple[str, str]], Plans] = {}
    for labels in nodes.values():
        key = frozenset(labels.items())
        if key not in made:
            made[key] = Plans(before.compiled(labels), after.compiled(labels))
    return {name: made[frozenset(labels.items())] for name, labels in nodes.items()}
