"""`kubectl memguard scorecard` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.cli.cluster.scorecard.evidence import Evidence, Score
from memguard.cli.view.table import QUIET, cell, table
from memguard.cli.words import many, moment

NUMBERS = ("hits", "false alarms", "misses", "right", "foreseen")


def evidence_view(found: Evidence, *, wide: bool) -> Group:
    """What the figures mean; each policy; with `wide` each node, too."""
    return Group(*_parts(found, wide=wide))


def _parts(found: Evidence, *, wide: bool) -> Iterator[RenderableType]:
    begun, nodes = found.cluster.since, many(len(found.nodes), "node")
    since = f"Since {moment(begun)}, on {nodes}: " if begun else ""
    words = found.cluster.words
    yield cell(f"{since}{words if since else words[:1].upper() + words[1:]}.", "bold")
    if found.policies:
        yield _scores("policy", found.policies)
    if wide and found.nodes:
        yield _scores("node", found.nodes)
    yield cell(
        "hits: an alarm, and the kernel's OOM killer came; false alarms: it did not; misses: it came without an alarm.",
        QUIET,
    )


def _scores(what: str, scores: tuple[Score, ...]) -> Table:
    modes = what == "policy"
    made = table(what, *(("mode",) if modes else ()), *NUMBERS, *(("what it means",) if modes else ()), numbers=NUMBERS)
    for one in scores:
        values = (one.of, *((one.mode or "gone",) if modes else ()), one.hits, one.false_alarms, one.misses)
        ratios = _percent(one.right_ratio), _percent(one.foreseen_ratio)
        made.add_row(*map(cell, (*values, *ratios, *((one.words,) if modes else ()))))
    return made


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.0%}"
