"""Options and arguments that several commands share, each written once."""

from __future__ import annotations

from math import isnan
from typing import Annotated

import typer

from memguard.cli.output import Format
from memguard.kernel.cgroup import CGROUP_ROOT

PROC_ROOT = "/proc"

Output = Annotated[Format, typer.Option("-o", "--output", help="How to print; json and yaml are stable.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="A snapshot or a trace, also .gz; - reads standard input.")]
PlanFile = Annotated[
    str | None,
    typer.Option("--plan", metavar="TOML", help="Decide under the plan of this guard configuration, not the trace's."),
]
OwnPlan = Annotated[
    str | None,
    typer.Option("--plan", metavar="TOML", help="This guard configuration's plan, roots and names of containers."),
]
CgroupRoot = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where the cgroup v2 tree is mounted.", show_default=CGROUP_ROOT)
]
ProcRoot = Annotated[str | None, typer.Option(metavar="DIR", help="Where proc is mounted.", show_default=PROC_ROOT)]


def _seconds(value: float) -> float:
    """NaN is neither below the least nor above the most."""
    if isnan(value):
        raise typer.BadParameter("nan is no time")
    return value


Interval = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0.01, max=86400, callback=_seconds, help="Time between two readings."),
]
