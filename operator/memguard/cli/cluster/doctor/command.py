"""`kubectl memguard doctor`: is the cluster fit, or one node of it, and if not, what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from memguard.api.node_memory import NodeMemory
from memguard.cli.checks.check import DoctorReport
from memguard.cli.cluster.cluster import Cluster, MissingError, RefusedError
from memguard.cli.cluster.doctor.cluster_checks import examine_cluster
from memguard.cli.cluster.doctor.diagnosis import ClusterDiagnosis, NodeDiagnosis
from memguard.cli.cluster.doctor.node_checks import examine
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Kubeconfig, NodeName
from memguard.cli.cluster.stops import Stop, StoppingPolicies, node_stops
from memguard.cli.options import Output
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


def doctor(
    *,
    node: NodeName = None,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Check whether the cluster is fit.

    What is installed, does it run on every node, does an operator lead, do the versions belong together; and of each
    node what its own guard found. Every finding comes with its remedy.

    \b
    Examples:
      kubectl memguard doctor
      kubectl memguard doctor --node worker-1
      kubectl memguard doctor -o json

    \b
    Exit codes: 0 fit (warnings make a weaker guard), 1 unfit, 2 bad input.
    """
    cluster, now = Cluster.reached(Access(kubeconfig, context, as_user, as_group)), datetime.now(UTC)
    if node is not None:
        _end(examine(cluster.report(node).status, now), output, "node")
    reports = _reports(cluster)
    nodes = tuple(_diagnosis(one, now) for one in reports)
    checks = tuple(examine_cluster(cluster, reports, _stops(cluster, reports), now))
    fit = all(one.fit for one in nodes) and all(check.status != "fail" for check in checks)
    _end(ClusterDiagnosis(fit=fit, checks=checks, nodes=nodes), output, "cluster")


def _reports(cluster: Cluster) -> tuple[NodeMemory, ...]:
    """Where the kind is not there, or may not be seen, the checks say so."""
    try:
        return cluster.reports()
    except (MissingError, RefusedError):
        return ()


def _stops(cluster: Cluster, reports: tuple[NodeMemory, ...]) -> tuple[Stop, ...]:
    try:
        policies = StoppingPolicies.read(cluster).stops
    except (MissingError, RefusedError):
        policies = ()
    return (*policies, *node_stops(reports))


def _diagnosis(report: NodeMemory, now: datetime) -> NodeDiagnosis:
    found = examine(report.status, now)
    return NodeDiagnosis(node=report.metadata.name, fit=found.fit, checks=found.checks)


def _end(found: DoctorReport | ClusterDiagnosis, output: Format, subject: str) -> None:
    def view() -> RenderableType:
        from memguard.cli.cluster.doctor.view import diagnosis_view
        from memguard.cli.view.checks import checks_view

        return checks_view(found, subject) if isinstance(found, DoctorReport) else diagnosis_view(found)

    emit(found, output, view)
    raise typer.Exit(0 if found.fit else 1)
