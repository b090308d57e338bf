"""How nodes stand after `pause` or `resume`: who is stopped by what, and who has said so. Pure."""

from __future__ import annotations

from datetime import datetime

from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.stops import Stop, enforces, heeds
from memguard.core.model import Record


class PausedNode(Record, frozen=True, kw_only=True):
    """A node and what stops it. `confirmed`: its guard says that it does as it was told; `words`: what it does."""

    node: str
    stops: tuple[Stop, ...]
    confirmed: bool
    words: str


class Paused(Record, frozen=True, kw_only=True):
    """What `pause` and `resume` print: how things stand now.

    `unguarded`: nodes on which no guard runs; `unknown`: what cannot be seen.
    """

    done: str
    nodes: tuple[PausedNode, ...]
    next: str = ""
    unguarded: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Does every guard confirm it, as far as there is one?"""
        return bool(self.nodes) and not self.unknown and all(one.confirmed for one in self.nodes)


def stopped_node(report: NodeMemory, stops: tuple[Stop, ...], now: datetime) -> PausedNode:
    """After `pause`: confirmed where there is a stop and its guard heeds it."""
    if not stops:
        confirmed, words = False, f"no stop holds there: it {_does(report)}"
    elif report.status.silent(now):
        confirmed, words = False, _mute(report)
    elif heeds(report):
        confirmed, words = True, "enforces nothing"
    else:
        confirmed, words = False, f"has not heeded it yet, and {_does(report)}"
    return PausedNode(node=report.metadata.name, stops=stops, confirmed=confirmed, words=words)


def resumed_node(report: NodeMemory, stops: tuple[Stop, ...], now: datetime) -> PausedNode:
    """After `resume`: confirmed where there is no stop and its guard heeds none."""
    if report.status.silent(now):
        confirmed, words = False, _mute(report)
    elif stops:
        confirmed, words = False, "is still stopped"
    elif heeds(report):
        confirmed, words = False, "has not said so yet"
    else:
        confirmed, words = True, _does(report)
    return PausedNode(node=report.metadata.name, stops=stops, confirmed=confirmed, words=words)


def _mute(report: NodeMemory) -> str:
    what = "its agent is silent" if report.status.observed_at else "there is no report of it"
    return f"{what}: its guard goes on with the plan that it has"


def _does(report: NodeMemory) -> str:
    return "enforces" if enforces(report) else "observes"
