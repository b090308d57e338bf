"""`kubectl memguard pause` and `resume` for people."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.cluster.pause.paused import Paused
from memguard.cli.view.table import BAD, GOOD, WARNING, cell, table


def paused_view(paused: Paused) -> Group:
    """How each node stands, and what is next."""
    made = table("node", "now", "stopped by")
    for one in paused.nodes:
        stops = "; ".join(stop.words for stop in one.stops)
        made.add_row(cell(one.node), cell(one.words, GOOD if one.confirmed else WARNING), cell(stops, BAD))
    sure = all(one.confirmed for one in paused.nodes)
    return Group(cell(paused.done, "" if sure else WARNING), *([made] if paused.nodes else []), cell(f"{paused.next}."))
