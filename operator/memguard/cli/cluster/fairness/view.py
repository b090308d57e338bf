"""`kubectl memguard fairness` for people."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.cluster.fairness.balance import UNFAIR_RATIO, Fairness
from memguard.cli.view.table import QUIET, WARNING, cell, table
from memguard.cli.words import moment

NUMBERS = ("ended", "expected", "of the memory", "ratio")


def fairness_view(found: Fairness) -> Group:
    """The answer, and a line for each group."""
    since = f"{found.decisions} ends since {moment(found.since)}." if found.since else ""
    if not found.groups:
        return Group(cell(f"{found.words}.", "bold"))
    made = table("by", "group", *NUMBERS, numbers=NUMBERS)
    for one in found.groups:
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        values = (one.kind, one.name, one.ends, f"{one.expected:.1f}", f"{one.share_ratio:.0%}", ratio)
        style = WARNING if one.ratio is not None and one.ratio >= UNFAIR_RATIO else ""
        made.add_row(*(cell(value, style) for value in values))
    legend = (
        "expected: as often as its share of the memory would have it, in those very moments; ratio: ended / expected."
    )
    return Group(cell(f"{found.words}.", "bold"), cell(since, QUIET), made, cell(legend, QUIET))
