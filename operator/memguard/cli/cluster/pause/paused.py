"""How nodes stand after `pause` or `resume`: who is stopped by what, and who has said so."""

from __future__ import annotations

from memguard.cli.cluster.stops import Stop
from memguard.core.model import Record


class PausedNode(Record, frozen=True, kw_only=True):
    """A node and what stops it. `confirmed`: its guard says that it does as it was told; `words`: what it does."""

    node: str
    stops: tuple[Stop, ...]
    confirmed: bool
    words: str


class Paused(Record, frozen=True, kw_only=True):
    """What `pause` and `resume` print: how things stand now."""

    done: str
    nodes: tuple[PausedNode, ...]
    next: str
