"""`memguard record`: a trace of this machine, for a bug report, a replay or a test."""

from __future__ import annotations

from typing import Annotated

import typer

from memguard import __version__
from memguard.cli.beats import beats
from memguard.cli.machine import Machine, configuration, now
from memguard.cli.options import CgroupRoot, Interval, OwnPlan, ProcRoot
from memguard.cli.tracefile import TraceFile
from memguard.core.trace import Header, Reading

File = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE", help="Append to this trace (.gz packs it); - prints it.")
]
Count = Annotated[int | None, typer.Option(metavar="N", min=1, help="End after so many snapshots.")]
Duration = Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="End after this time.")]


def record(
    *,
    output: File = "-",
    interval: Interval = 1.0,
    count: Count = None,
    duration: Duration = None,
    plan: OwnPlan = None,
    cgroup_root: CgroupRoot = None,
    proc_root: ProcRoot = None,
) -> None:
    """Record this machine into a trace.

    Each snapshot is written at once, until the count, the duration, Ctrl-C or SIGTERM ends it. An existing trace is
    continued.

    \b
    Examples:
      memguard record -o incident.jsonl.gz
      memguard record --interval 0.2 --duration 60 -o incident.jsonl
      memguard record --count 2 | memguard rank -

    \b
    Exit codes: 0 recorded, 1 no cgroup v2 tree here or the disk is full, 2 bad input.
    """
    config = configuration(plan, cgroup_root, proc_root)
    with Machine(config) as machine, TraceFile(output) as trace:
        for beat in beats(interval, count, duration):
            if beat == 0:
                trace.write(Header(at=now(), version=__version__, plan=config.plan))
            trace.write(Reading(snapshot=machine.snapshot()))
