"""`memguard doctor`: is this machine fit to be guarded, and if not, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from memguard.cli.checks.check import Place
from memguard.cli.checks.diagnosis import diagnose
from memguard.cli.options import PROC_ROOT, CgroupRoot, Output, ProcRoot
from memguard.cli.output import Format, emit
from memguard.kernel.cgroup import CGROUP_ROOT

if TYPE_CHECKING:
    from rich.console import RenderableType


def doctor(
    output: Output = Format.TABLE,
    cgroup_root: CgroupRoot = None,
    proc_root: ProcRoot = None,
) -> None:
    """Check whether this machine is fit.

    Every finding comes with its remedy. `kubectl memguard doctor` asks a cluster.

    \b
    Examples:
      memguard doctor
      sudo memguard doctor -o json
      memguard doctor --cgroup-root /host/sys/fs/cgroup

    \b
    Exit codes: 0 fit (warnings make a weaker guard), 1 unfit, 2 bad input.
    """
    report = diagnose(Place(cgroup_root=cgroup_root or CGROUP_ROOT, proc_root=proc_root or PROC_ROOT))

    def view() -> RenderableType:
        from memguard.cli.view.checks import checks_view

        return checks_view(report)

    emit(report, output, view)
    raise typer.Exit(0 if report.fit else 1)
