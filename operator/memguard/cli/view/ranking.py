"""`memguard rank` for people."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from memguard.cli.judging import Judgement
from memguard.cli.reports import CandidateReport, RankReport
from memguard.cli.view.table import BAD, QUIET, cell, label, table
from memguard.cli.words import threshold
from memguard.core.explain import size, strongest
from memguard.core.select import Candidate

HEADINGS = ("rank", "container", "score", "badness", "frees", "strongest factors", "excluded because")


def ranking_view(report: RankReport, judged: Judgement) -> Group:
    """The sentence, the state of the domain, and every container of the snapshot."""
    pressure = judged.ranking.pressure
    state = (
        f"{report.domain}: pressure {report.pressure:.2f}, threshold {threshold(report.threshold_score)}, "
        f"need {size(report.need_bytes)}, available {size(judged.ranking.domain.available_bytes)}, "
        f"falling {size(pressure.fall_bytes_per_second)}/s"
    )
    return Group(cell(report.reason), cell(state, QUIET), _table(report, judged))


def _table(report: RankReport, judged: Judgement) -> Table:
    titles = {container.id: container.title for container in judged.snapshot.containers}
    factors = {candidate.container.id: _strongest(candidate) for candidate in judged.ranking.candidates}
    made = table(*HEADINGS, numbers=("rank", "score", "badness", "frees"))
    for number, row in enumerate(report.candidates, 1):
        style = _style(row, report)
        values = (
            number if row.excluded is None else "-",
            label(titles[row.id]),
            row.score,
            f"{row.badness:.2f}",
            size(row.freed_bytes),
            factors.get(row.id, ""),
            row.excluded or "",
        )
        made.add_row(*(cell(value, style) for value in values))
    return made


def _style(row: CandidateReport, report: RankReport) -> str:
    if row.id == report.victim:
        return BAD
    return QUIET if row.excluded else ""


def _strongest(candidate: Candidate) -> str:
    return ", ".join(f"{name} {points.points}" for name, points in strongest(candidate))
