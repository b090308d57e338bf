"""`memguard doctor`: is this machine, or a node of a cluster, fit to be guarded, and if not, what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.checks.check import DoctorReport, Place
from memguard.cli.checks.diagnosis import diagnose
from memguard.cli.options import PROC_ROOT, CgroupRoot, Context, Kubeconfig, Output, ProcRoot
from memguard.cli.output import Format, emit
from memguard.kernel.cgroup import CGROUP_ROOT

if TYPE_CHECKING:
    from rich.console import RenderableType


Node = Annotated[str | None, typer.Option(metavar="NAME", help="A node of the cluster, as its guard reports it.")]


def doctor(
    output: Output = Format.TABLE,
    cgroup_root: CgroupRoot = None,
    proc_root: ProcRoot = None,
    node: Node = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Check whether this machine, or a node of a cluster, is fit.

    Every finding comes with its remedy.

    \b
    Examples:
      memguard doctor
      sudo memguard doctor -o json
      memguard doctor --cgroup-root /host/sys/fs/cgroup
      kubectl memguard doctor --node worker-1

    \b
    Exit codes: 0 fit (warnings make a weaker guard), 1 unfit, 2 bad input.
    """
    if node is None:
        report = diagnose(Place(cgroup_root=cgroup_root or CGROUP_ROOT, proc_root=proc_root or PROC_ROOT))
    else:
        report = _of_a_node(node, kubeconfig, context)

    def view() -> RenderableType:
        from memguard.cli.view.checks import checks_view

        return checks_view(report)

    emit(report, output, view)
    raise typer.Exit(0 if report.fit else 1)


def _of_a_node(node: str, kubeconfig: str | None, context: str | None) -> DoctorReport:
    from memguard.cli.checks.report import examine
    from memguard.cli.cluster import node_memory

    return examine(node_memory(node, kubeconfig, context).status, datetime.now(UTC))
