"""`memguard replay` for people."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.view.table import cell, table
from memguard.core.explain import size
from memguard.core.replay import Report


def decisions_view(report: Report) -> Group:
    """Every decision with its sentence, and how much was replayed."""
    made = table("at", "domain", "action", "score", "badness", "frees", "why", numbers=("score", "badness", "frees"))
    for decision in report.decisions:
        values = (
            decision.taken_at.isoformat(timespec="milliseconds"),
            decision.domain,
            decision.action,
            decision.score,
            f"{decision.badness:.2f}",
            size(decision.freed_bytes),
            decision.reason,
        )
        made.add_row(*map(cell, values))
    summary = cell(f"snapshots: {report.summary.snapshots}, decisions: {report.summary.decisions}")
    return Group(made, summary) if report.decisions else Group(summary)
