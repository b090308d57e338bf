"""`memguard explain`: why this container, and why not the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.explanation import explain_choice
from memguard.cli.files import name_of
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
    """Explain a choice: the sentence, every factor with its points, why not the others, what would change it.

    \b
    Examples:
      memguard explain incident.jsonl.gz
      memguard explain node.json --container shop/cart-7d9/app
      memguard explain node.json -c db -o json

    \b
    Exit codes: 0 explained, 2 bad input.
    """
    judged = judge_last(lines_under(source, plan), source)
    explanation = explain_choice(judged, container, name_of(source))

    def view() -> RenderableType:
        from memguard.cli.view.explanation import explanation_view

        return explanation_view(explanation)

    emit(explanation, output, view)
