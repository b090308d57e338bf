"""`kubectl memguard history` for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.cluster.history.decision_list import DecisionList
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, table
from memguard.cli.words import span

COLUMNS = ("namespace", "pod", "container", "action", "mode", "phase", "freed", "score", "ago")
WIDE = ("node", "took", "trigger", "policy", "verdict")
NUMBERS = ("freed", "score", "took", "ago")


def history_view(found: DecisionList, now: datetime, *, wide: bool) -> Group:
    """A line for each decision; its whole reason is `explain`'s and `report`'s to tell."""
    if not found.items:
        return Group(cell("No decision. (-A looks in all namespaces, --since farther back.)"))
    made = table(*COLUMNS, *(WIDE if wide else ()), "name", "why", numbers=NUMBERS)
    for one in found.items:
        made.add_row(*(cell(value, _style(one)) for value in _row(one, now, wide=wide)))
    return Group(made)


def _row(one: MemoryGuardDecision, now: datetime, *, wide: bool) -> Iterator[str]:
    spec, status = one.spec, one.status
    yield from (one.metadata.namespace, spec.victim.pod or "-", spec.victim.name or spec.victim.id[:12])
    yield from (spec.action, spec.mode, status.phase or "-", status.freed or "-", str(spec.score))
    yield span(max(0.0, (now - spec.taken_at).total_seconds()))
    if wide:
        yield spec.node
        yield "-" if status.seconds is None else f"{status.seconds:.3g} s"
        yield from (spec.trigger, spec.policy or "-", status.verdict or "-")
    yield one.metadata.name
    yield spec.summary


def _style(one: MemoryGuardDecision) -> str:
    if one.status.kernel_oom_kills or one.status.phase == "Incomplete":
        return BAD
    return QUIET if one.spec.mode == "Observe" else WARNING
