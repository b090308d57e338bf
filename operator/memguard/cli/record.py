"""`memguard record`: a trace of this machine, for a bug report, a replay or a test."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from memguard import __version__
from memguard.cli.machine import Machine, configuration, now
from memguard.cli.options import CgroupRoot, Interval, PlanFile, ProcRoot
from memguard.cli.tracefile import TraceFile
from memguard.core.trace import Header, Reading

#: What ends a recording; blocked meanwhile, so that a snapshot in the making is always written whole.
ENDS = frozenset({signal.SIGINT, signal.SIGTERM})

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
    plan: PlanFile = None,
    cgroup_root: CgroupRoot = None,
    proc_root: ProcRoot = None,
) -> None:
    """Record this machine until told to stop; Ctrl-C and SIGTERM end it with a whole trace.

    Each snapshot is written at once. An existing trace is continued.

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
        for at in _beats(interval, count, duration):
            if at == 0:
                trace.write(Header(at=now(), version=__version__, plan=config.plan))
            trace.write(Reading(snapshot=machine.snapshot()))


def _beats(interval: float, count: int | None, duration: float | None) -> Iterator[int]:
    """0, 1, 2 ... in time, until the count, the duration or a signal ends it; a late beat is not made up for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    start = due = time.monotonic()
    beat = 0
    try:
        while (count is None or beat < count) and (duration is None or due - start <= duration):
            if signal.sigtimedwait(ENDS, max(0.0, due - time.monotonic())) is not None:
                return
            yield beat
            beat += 1
            due = max(due + interval, time.monotonic())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
