"""`memguard top` for people."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.outlook import ContainerOutlook, NodeOutlook, Outlook
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, label, table
from memguard.cli.words import moment, near, span, until
from memguard.core.explain import size

STYLES = {"ok": "", "warning": WARNING, "danger": BAD}
NUMBERS = ("usage", "limit", "headroom", "time to limit", "score")


def outlook_view(outlook: Outlook) -> Group:
    """The node in one line, then the containers."""
    made = table("container", *NUMBERS, "level", numbers=NUMBERS)
    for container in outlook.containers:
        style = STYLES[container.level]
        made.add_row(*(cell(value, style) for value in _row(container)))
    return Group(cell(_node(outlook.node)), cell(moment(outlook.taken_at, seconds=True), QUIET), made)


def _node(node: NodeOutlook) -> str:
    left = f", exhausted in {span(node.exhaustion_seconds)}" if near(node.exhaustion_seconds) else ""
    return (
        f"{node.name}: {size(node.available_bytes)} of {size(node.total_bytes)} available{left}; "
        f"pressure {node.pressure:.2f}, threshold {node.threshold_score:.0f}; worst off: {node.domain}"
    )


def _row(container: ContainerOutlook) -> tuple[str, ...]:
    limit, headroom = container.limit_bytes, container.headroom_bytes
    return (
        label(container.title),
        size(container.usage_bytes),
        "-" if limit is None else size(limit),
        "-" if headroom is None else size(headroom),
        until(container.limit_seconds),
        str(container.score),
        container.level,
    )
