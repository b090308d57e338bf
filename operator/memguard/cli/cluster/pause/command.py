"""`kubectl memguard pause` and `resume`: the emergency stop, which needs no operator.

A stop is a ClusterMemoryGuardPolicy of its own, for all nodes or, by its hostname, for one: a node that is deleted and
registers anew is still stopped. Agents and operator read it for themselves, so nobody has to be there to carry it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from memguard.cli.cluster.cluster import NODE_MEMORIES, Cluster, nearest
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Kubeconfig, NodeNames
from memguard.cli.cluster.pause.lookout import settled
from memguard.cli.cluster.pause.paused import Paused, resumed_node, stopped_node
from memguard.cli.cluster.stops import ALL_NODES, REASON, SINCE, StoppingPolicies, is_ours, of_node
from memguard.cli.options import Output
from memguard.cli.output import Format, emit
from memguard.errors import MemguardError
from memguard.service.resources import CLUSTER_POLICIES

if TYPE_CHECKING:
    from rich.console import RenderableType

AllNodes = Annotated[bool, typer.Option("--all", help="All nodes, also those that are still to come.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: kept beside the stop, and shown.")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, max=600, help="How long to wait until all nodes say so.")
]
#: An agent hears of a policy within a second, and says so within another.
WAIT_SECONDS = 15.0
#: The label by which one node is meant. kubelet gives it anew to a node that registers again.
HOSTNAME = "kubernetes.io/hostname"


def pause(
    *,
    node: NodeNames = None,
    everywhere: AllNodes = False,
    reason: Reason = "",
    wait: Wait = WAIT_SECONDS,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
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
    Exit codes: 0 paused, and all guarded nodes confirm it; 1 not all confirm, or that cannot be seen, or it failed; 2
    bad input.
    """
    cluster = _reached(node, Access(kubeconfig, context, as_user, as_group), everywhere=everywhere)
    notes = {SINCE: datetime.now(UTC).isoformat(timespec="seconds")} | ({REASON: reason} if reason else {})
    names = tuple(dict.fromkeys(node or ()))
    if everywhere:
        _stop(cluster, ALL_NODES, {}, notes)
    for name, hostname in _hostnames(cluster, names).items():
        _stop(cluster, of_node(name), {"matchLabels": {HOSTNAME: hostname}}, notes)
    resume_ = "kubectl memguard resume " + ("--all" if everywhere else " ".join(f"--node {one}" for one in names))
    found = settled(cluster, names, wait, stopped_node, "Paused")
    _end(found, f"It holds until: {resume_}", output)


def resume(
    *,
    node: NodeNames = None,
    everywhere: AllNodes = False,
    wait: Wait = WAIT_SECONDS,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """End the emergency stop.

    From then on the policies count again. `--all` ends the stop of all nodes and that of each single node.

    \b
    Examples:
      kubectl memguard resume --all
      kubectl memguard resume --node worker-1

    \b
    Exit codes: 0 resumed, and all guarded nodes confirm it; 1 something still stops them, not all confirm, or that
    cannot be seen, or it failed; 2 bad input.
    """
    cluster = _reached(node, Access(kubeconfig, context, as_user, as_group), everywhere=everywhere)
    names = tuple(dict.fromkeys(node or ()))
    if everywhere:
        for policy in filter(is_ours, StoppingPolicies.read(cluster).names):
            cluster.delete(CLUSTER_POLICIES, policy)
    for name in names:
        if not cluster.delete(CLUSTER_POLICIES, of_node(name)):
            _require(name, (one.metadata.name for one in cluster.nodes()))
    for report in cluster.reports():
        if report.spec.emergency_stop and (everywhere or report.metadata.name in names):
            _release(cluster, report.metadata.name)
    found = settled(cluster, names, wait, resumed_node, "Resumed")
    still = sorted({stop.of for one in found.nodes for stop in one.stops})
    words = f"Still stopped by {', '.join(still)}" if still else "The policies count again: kubectl memguard top"
    _end(found, words, output)


def _reached(node: list[str] | None, access: Access, *, everywhere: bool) -> Cluster:
    if everywhere == bool(node):
        raise typer.BadParameter("say which nodes: --node NAME, or --all")
    return Cluster.reached(access)


def _hostnames(cluster: Cluster, names: Iterable[str]) -> dict[str, str]:
    """What these nodes are selected by; all are known before the first is stopped."""
    there = {one.metadata.name: one.metadata.labels for one in cluster.nodes()} if names else {}
    found = {}
    for name in names:
        _require(name, there)
        if not there[name].get(HOSTNAME):
            raise MemguardError(
                f"node {name} has no label {HOSTNAME}, by which it would be stopped alone. Give it one "
                f"(kubectl label node {name} {HOSTNAME}={name}), or pause --all."
            )
        found[name] = there[name][HOSTNAME]
    return found


def _require(name: str, there: Iterable[str]) -> None:
    there = tuple(there)
    if name not in there:
        raise MemguardError(f"there is no node {name}. {nearest(name, there)}")


def _stop(cluster: Cluster, name: str, selector: dict[str, object], notes: dict[str, str]) -> None:
    """Made or set again; whoever made it before, or narrowed it to some nodes, is not asked."""
    content = {
        "apiVersion": CLUSTER_POLICIES.api_version,
        "kind": CLUSTER_POLICIES.kind,
        "metadata": {"name": name, "annotations": notes},
        "spec": {"emergencyStop": True, "nodeSelector": selector},
    }
    cluster.apply(CLUSTER_POLICIES, name, content)


def _release(cluster: Cluster, node: str) -> None:
    """From the stop that its own NodeMemory holds."""
    change = {"metadata": {"annotations": {SINCE: None, REASON: None}}, "spec": {"emergencyStop": False}}
    cluster.patch(NODE_MEMORIES, node, change)


def _end(found: Paused, next_: str, output: Format) -> None:
    def view() -> RenderableType:
        from memguard.cli.cluster.pause.view import paused_view

        return paused_view(document)

    document = msgspec.structs.replace(found, next=next_)
    emit(document, output, view)
    raise typer.Exit(0 if document.sure else 1)
