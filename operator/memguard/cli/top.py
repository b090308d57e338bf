"""`memguard top`: who is near its limit, who is near being chosen, live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from memguard.cli.beats import beats
from memguard.cli.machine import Machine, configuration
from memguard.cli.options import CgroupRoot, Interval, Output, OwnPlan, ProcRoot
from memguard.cli.outlook import Outlook, look
from memguard.cli.output import Format, console, encode, write
from memguard.core.history import History
from memguard.guard.config import Config

Once = Annotated[bool, typer.Option("--once", help="Print one table, after one interval, so that growth is known.")]


def top(
    *,
    once: Once = False,
    interval: Interval = 1.0,
    output: Output = Format.TABLE,
    plan: OwnPlan = None,
    cgroup_root: CgroupRoot = None,
    proc_root: ProcRoot = None,
) -> None:
    """Watch headroom and scores live.

    Every container's usage, limit, headroom, time to its limit, score and level, until Ctrl-C.

    danger: it would be chosen now, or is within the margin of its limit. warning: its score reaches the threshold, or
    it reaches its limit within a minute.

    \b
    Examples:
      memguard top
      memguard top --once -o json
      memguard top --plan /etc/memguard.toml --interval 0.5

    \b
    Exit codes: 0 ended, 1 no cgroup v2 tree here, 2 bad input.
    """
    outlooks = _outlooks(configuration(plan, cgroup_root, proc_root), interval, once=once)
    if output is Format.TABLE:
        _show(outlooks, live=not once)
    else:
        for outlook in outlooks:
            write(encode(outlook, output, stream=not once))


def _outlooks(config: Config, interval: float, *, once: bool) -> Iterator[Outlook]:
    """One after the other; with `once` only the second, the first that knows growth."""
    history = History()
    with Machine(config) as machine:
        for beat in beats(interval, count=2 if once else None):
            history, outlook = look(history, machine.snapshot(), config.plan)
            if beat or not once:
                yield outlook


def _show(outlooks: Iterator[Outlook], *, live: bool) -> None:
    from rich.live import Live

    from memguard.cli.view.outlook import outlook_view

    screen = console()
    if not (live and screen.is_terminal):
        for outlook in outlooks:
            screen.print(outlook_view(outlook))
        return
    with Live(console=screen, screen=True, auto_refresh=False) as display:
        for outlook in outlooks:
            display.update(outlook_view(outlook), refresh=True)
