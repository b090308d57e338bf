"""`kubectl memguard pause` and `resume` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from memguard.cli.cluster.pause.paused import Paused
from memguard.cli.view.table import BAD, GOOD, QUIET, WARNING, cell, table


def paused_view(paused: Paused) -> Group:
    """How each node stands, what cannot be seen, and what is next."""
    return Group(*_parts(paused))


def _parts(paused: Paused) -> Iterator[RenderableType]:
    yield cell(paused.done, "" if paused.sure else WARNING)
    if paused.nodes:
        made = table("node", "now", "stopped by")
        for one in paused.nodes:
            stops = "; ".join(stop.words for stop in one.stops)
            made.add_row(cell(one.node), cell(one.words, GOOD if one.confirmed else WARNING), cell(stops, BAD))
        yield made
    if paused.unguarded:
        yield cell(f"No guard runs on {', '.join(paused.unguarded)}.", QUIET)
    yield from (cell(f"Not known: {what}", WARNING) for what in paused.unknown)
    yield cell(f"{paused.next}.")
