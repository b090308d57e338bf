"""`memguard explain`: why this container, and why not the others."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.explanation import Explanation, explain_choice
from memguard.cli.files import begins_object, name_of, numbered_lines, parse_trace
from memguard.cli.journal import explain_logged, is_journal
from memguard.cli.judging import judge_last, lines_under
from memguard.cli.options import Output, PlanFile, Source
from memguard.cli.output import Format, emit
from memguard.errors import InputError

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
    will do, too), or why it was not --container. Lines that are no JSON objects are skipped there.

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
    begun = first = next(numbered, None)
    if first is not None and not begins_object(first[1]):
        begun = next((line for line in numbered if begins_object(line[1])), None)
    # Only a log has something before its first object: systemd's words.
    if begun is None or (begun is first and not is_journal(begun[1])):
        lines = chain([first] if first else [], numbered)
        return explain_choice(judge_last(lines_under(plan, parse_trace(lines, name)), name), container, name)
    if plan is not None:
        problem = "it is the guard's log, whose decisions were made under the plan of their time"
        raise InputError(name, problem, remedy="Leave --plan out, or give a trace.")
    return explain_logged(chain([begun], numbered), container, name)
