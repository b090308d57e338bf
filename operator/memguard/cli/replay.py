"""`memguard replay`: the decisions of a trace, made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.cli.files import name_of, read_trace
from memguard.cli.judging import lines_under, no_snapshot
from memguard.cli.options import Output, PlanFile, Source
from memguard.cli.output import Format, emit
from memguard.core.replay import replay as replayed

if TYPE_CHECKING:
    from rich.console import RenderableType


def replay(source: Source, output: Output = Format.TABLE, plan: PlanFile = None) -> None:
    """Make a trace's decisions again.

    The same input gives the same decisions, bit for bit. A victim chosen here is gone from the snapshots that
    follow, and is never chosen twice.

    \b
    Examples:
      memguard record --duration 60 -o incident.jsonl.gz
      memguard replay incident.jsonl.gz
      memguard replay incident.jsonl.gz -o json --plan stricter.toml

    \b
    Exit codes: 0 replayed, 2 bad input.
    """
    report = replayed(lines_under(plan, read_trace(source)))
    if not report.summary.snapshots:
        raise no_snapshot(name_of(source))

    def view() -> RenderableType:
        from memguard.cli.view.decisions import decisions_view

        return decisions_view(report)

    emit(report, output, view)
