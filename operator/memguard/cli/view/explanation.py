"""`memguard explain` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.cli.explanation import Explanation
from memguard.cli.view.table import QUIET, cell, label, table


def explanation_view(explanation: Explanation) -> Group:
    """The sentence, the factors, what would change it, and the others."""
    return Group(cell(explanation.sentence), case_view(explanation))


def case_view(explanation: Explanation) -> Group:
    """The same without the sentence."""
    return Group(*_parts(explanation))


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    if explanation.factors:
        yield cell("")
        figures = f"score {explanation.score} of 1000, badness {explanation.badness:.2f}"
        yield cell(f"{explanation.title}: {figures}", "bold")
        yield _factors(explanation)
    for change in explanation.changes:
        yield cell(f"What would change it: {change.words}.")
    if explanation.others:
        yield cell("")
        yield cell("The others", "bold")
        yield _others(explanation)


def _factors(explanation: Explanation) -> Table:
    made = table("factor", "value", "weight", "points", "what it stands for", numbers=("value", "weight", "points"))
    for name, factor in sorted(explanation.factors.items(), key=lambda row: -row[1].points):
        values = (name, f"{factor.value:.2f}", f"{factor.weight:g}", factor.points, factor.reason)
        made.add_row(*(cell(value, "" if factor.value else QUIET) for value in values))
    made.add_row(cell("score", "bold"), "", "", cell(explanation.score, "bold"), "")
    return made


def _others(explanation: Explanation) -> Table:
    made = table("container", "score", "badness", "why not", numbers=("score", "badness"))
    for other in explanation.others:
        made.add_row(*map(cell, (label(other.title), other.score, f"{other.badness:.2f}", other.why_not)))
    return made
