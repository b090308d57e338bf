"""`memguard explain`: why this container, and why not the others."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.explanation import Explanation, explain_choice
from memguard.cli.files import name_of, numbered_lines, parse_trace
from memguard.cli.journal import explain_logged, is_journal
from memguard.cli.judging import judge_last, lines_under
from memguard.cli.options import Output, PlanFile, Source
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

Wanted = Annotated[
    str | None,
    typer.Option("--container", "-c", metavar="NAME", help="Explain this one: an id, a name, or namespace/pod/name."),
]


def explain(source: Source, container: Wanted = None, output: Output = Format.TABLE, plan: PlanFile = None) -> None:
    """Explain a choice, or why not.

    The sentence, every factor with its points, why not the others, and what would change it.

    FILE may also be the guard's log: its last decision is explained, or the one about --container (a decision's id
    will do, too).

    \b
    Examples:
      memguard explain incident.jsonl.gz
      memguard explain node.json --container shop/cart-7d9/app
      memguard explain node.json -c db -o json
      journalctl -u memguard -o cat | memguard explain -

    \b
    Exit codes: 0 explained, 2 bad input.
    """
    explanation = _explained(source, container, plan)

    def view() -> RenderableType:
        from memguard.cli.view.explanation import explanation_view

        return explanation_view(explanation)

    emit(explanation, output, view)


def _explained(source: str, container: str | None, plan: str | None) -> Explanation:
    name, numbered = name_of(source), numbered_lines(source)
    first = list(islice(numbered, 1))
    lines = chain(first, numbered)
    if first and is_journal(first[0][1]):
        return explain_logged(lines, container, name)
    return explain_choice(judge_last(lines_under(plan, parse_trace(lines, name)), name), container, name)
