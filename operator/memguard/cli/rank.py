"""`memguard rank`: who would be chosen now, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memguard.cli.files import name_of, read_trace
from memguard.cli.judging import judge_last, lines_under
from memguard.cli.options import Output, PlanFile, Source
from memguard.cli.output import Format, emit
from memguard.cli.reports import rank_report

if TYPE_CHECKING:
    from rich.console import RenderableType


def rank(source: Source, output: Output = Format.TABLE, plan: PlanFile = None) -> None:
    """Say who would be chosen now.

    Ranks the containers of a snapshot, or of a trace's last one with the history before it. The boundary that is worst
    off is judged; every container is listed, the excluded ones with the reason.

    \b
    Examples:
      memguard snapshot | memguard rank -
      memguard rank incident.jsonl.gz -o json
      memguard rank node.json --plan /etc/memguard.toml

    \b
    Exit codes: 0 ranked, whether or not somebody is chosen; 2 bad input.
    """
    judged = judge_last(lines_under(plan, read_trace(source)), name_of(source))
    report = rank_report(judged.ranking, judged.snapshot)

    def view() -> RenderableType:
        from memguard.cli.view.ranking import ranking_view

        return ranking_view(report, judged)

    emit(report, output, view)
