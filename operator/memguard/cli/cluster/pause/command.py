"""`kubectl memguard pause` and `resume`: the emergency stop, which needs no operator.

A node's stop stands in its NodeMemory's spec, of which the operator changes other fields only; the stop of all nodes is
a policy of its own. Agents and operator read both for themselves, so nobody has to be there to carry it out, and nobody
undoes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import NODE_MEMORIES, Cluster
from memguard.cli.cluster.options import Context, Kubeconfig, NodeNames
from memguard.cli.cluster.pause.paused import Paused, PausedNode
from memguard.cli.cluster.progress import working
from memguard.cli.cluster.stops import ALL_NODES, REASON, SINCE, Stop, enforces, heeds, read_stops
from memguard.cli.options import Output
from memguard.cli.output import Format, emit
from memguard.cli.words import many
from memguard.service.resources import CLUSTER_POLICIES

if TYPE_CHECKING:
    from rich.console import RenderableType

AllNodes = Annotated[bool, typer.Option("--all", help="All nodes, also those that are still to come.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: kept beside the stop, and shown.")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, max=600, help="How long to wait until all nodes say so.")
]
#: An agent hears of a policy within a second, and says so within another.
WAIT_SECONDS, LOOK_SECONDS = 15.0, 0.5


def pause(
    *,
    node: NodeNames = None,
    everywhere: AllNodes = False,
    reason: Reason = "",
    wait: Wait = WAIT_SECONDS,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Stop all enforcement, at once.

    Nothing is braked, ended, evicted, resized or tainted from then on, whatever the policies say; it is only observed.
    It needs no operator, holds until `resume`, and is undone neither by an operator nor by what keeps your policies in
    Git. An eviction that was asked for already goes on.

    A guard whose agent does not answer goes on with its last plan: such nodes are named.

    \b
    Examples:
      kubectl memguard pause --all --reason "incident 4711"
      kubectl memguard pause --node worker-1 --node worker-2

    \b
    Exit codes: 0 paused, and all nodes confirm it; 1 it is asked for, but not all confirm, or it failed; 2 bad input.
    """
    cluster = _reached(node, kubeconfig, context, everywhere=everywhere)
    notes = {SINCE: datetime.now(UTC).isoformat(timespec="seconds"), REASON: reason or None}
    if everywhere:
        _stop_all(cluster, notes)
    for one in dict.fromkeys(node or ()):
        _tell(cluster, one, notes, stop=True)
    names = _those(cluster, node, everywhere=everywhere)
    found = _settle(cluster, names, wait)
    resume_ = "kubectl memguard resume " + ("--all" if everywhere else " ".join(f"--node {one}" for one in node or ()))
    _end(found, "Paused", f"It holds until: {resume_}", output)


def resume(
    *,
    node: NodeNames = None,
    everywhere: AllNodes = False,
    wait: Wait = WAIT_SECONDS,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """End the emergency stop.

    From then on the policies count again. `--all` ends the stop of all nodes and that of each single node.

    \b
    Examples:
      kubectl memguard resume --all
      kubectl memguard resume --node worker-1

    \b
    Exit codes: 0 resumed, and all nodes confirm it; 1 something still stops them, or it failed; 2 bad input.
    """
    cluster = _reached(node, kubeconfig, context, everywhere=everywhere)
    notes = {SINCE: None, REASON: None}
    if everywhere:
        cluster.delete(CLUSTER_POLICIES, ALL_NODES)
    stopped = [one.metadata.name for one in cluster.reports() if one.spec.emergency_stop] if everywhere else []
    for one in dict.fromkeys(node or stopped):
        _tell(cluster, one, notes, stop=False)
    names = _those(cluster, node, everywhere=everywhere)
    found = _settle(cluster, names, wait)
    still = sorted({stop.of for one in found for stop in one.stops})
    words = f"Still stopped by {', '.join(still)}" if still else "The policies count again: kubectl memguard top"
    _end(found, "Resumed", words, output)


def _reached(node: list[str] | None, kubeconfig: str | None, context: str | None, *, everywhere: bool) -> Cluster:
    if everywhere == bool(node):
        raise typer.BadParameter("say which nodes: --node NAME, or --all")
    return Cluster.reached(kubeconfig, context)


def _stop_all(cluster: Cluster, notes: dict[str, str | None]) -> None:
    content = {
        "apiVersion": CLUSTER_POLICIES.api_version,
        "kind": CLUSTER_POLICIES.kind,
        "metadata": {"name": ALL_NODES, "annotations": {key: value for key, value in notes.items() if value}},
        "spec": {"emergencyStop": True},
    }
    cluster.apply(CLUSTER_POLICIES, ALL_NODES, content)


def _tell(cluster: Cluster, node: str, notes: dict[str, Any], *, stop: bool) -> None:
    cluster.report(node)  # says which names there are
    change = {"metadata": {"annotations": notes}, "spec": {"emergencyStop": stop}}
    cluster.patch(NODE_MEMORIES, node, change)


def _those(cluster: Cluster, node: Iterable[str] | None, *, everywhere: bool) -> frozenset[str]:
    return frozenset(one.metadata.name for one in cluster.reports()) if everywhere else frozenset(node or ())


def _settle(cluster: Cluster, names: frozenset[str], seconds: float) -> tuple[PausedNode, ...]:
    """How they stand once all have heard of it, or when the time is over."""
    deadline = time.monotonic() + seconds
    stops = read_stops(cluster)
    with working("waiting until the nodes say so"):
        while True:
            reports = [one for one in cluster.reports() if one.metadata.name in names]
            found = tuple(_standing(one, stops(one)) for one in reports)
            if all(one.confirmed for one in found) or time.monotonic() >= deadline:
                return found
            time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))


def _standing(report: NodeMemory, stops: tuple[Stop, ...]) -> PausedNode:
    if report.status.silent(datetime.now(UTC)):
        confirmed, words = False, "its agent is silent: its guard goes on with the plan that it has"
    elif stops:
        confirmed = heeds(report)
        words = "enforces nothing" if confirmed else "has not said so yet"
    else:
        confirmed = not heeds(report)
        words = "has not said so yet" if not confirmed else "enforces" if enforces(report) else "observes"
    return PausedNode(node=report.metadata.name, stops=stops, confirmed=confirmed, words=words)


def _end(nodes: tuple[PausedNode, ...], done: str, next_: str, output: Format) -> None:
    sure = sum(one.confirmed for one in nodes)
    document = Paused(done=f"{done}: {sure} of {many(len(nodes), 'node')} confirm it.", nodes=nodes, next=next_)

    def view() -> RenderableType:
        from memguard.cli.cluster.pause.view import paused_view

        return paused_view(document)

    emit(document, output, view)
    stuck = done == "Resumed" and any(one.stops for one in nodes)
    raise typer.Exit(0 if sure == len(nodes) and not stuck else 1)
