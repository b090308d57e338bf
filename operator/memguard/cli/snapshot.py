"""`memguard snapshot`: what this machine's kernel says now, as one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.machine import Machine, configuration
from memguard.cli.options import CgroupRoot, OwnPlan, ProcRoot
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

Output = Annotated[Format, typer.Option("-o", "--output", help="How to print; json is the format of every other tool.")]


def snapshot(
    *, output: Output = Format.JSON, plan: OwnPlan = None, cgroup_root: CgroupRoot = None, proc_root: ProcRoot = None
) -> None:
    """Read this machine once.

    Node, containers and boundaries in the format of docs/formats.md, which all other commands read.

    \b
    Examples:
      memguard snapshot > node.json
      memguard snapshot | memguard rank -
      memguard snapshot -o table

    \b
    Exit codes: 0 read, 1 no cgroup v2 tree here, 2 bad input.
    """
    with Machine(configuration(plan, cgroup_root, proc_root)) as machine:
        taken = machine.snapshot()

    def view() -> RenderableType:
        from memguard.cli.view.snapshot import snapshot_view

        return snapshot_view(taken)

    emit(taken, output, view)
