"""`memguard snapshot -o table`."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.view.table import cell, label, table
from memguard.core.explain import size
from memguard.core.footprint import footprint
from memguard.core.model import Container, Snapshot


def snapshot_view(snapshot: Snapshot) -> Group:
    """The node in one line, its containers by footprint."""
    memory = snapshot.node.memory
    node = f"{snapshot.node.name}: {size(memory.available_bytes)} of {size(memory.total_bytes)} available"
    made = table("container", "usage", "footprint", "limit", numbers=("usage", "footprint", "limit"))
    for container in sorted(snapshot.containers, key=lambda container: (-footprint(container.memory), container.id)):
        made.add_row(*map(cell, _row(container)))
    return Group(cell(node), made)


def _row(container: Container) -> tuple[str, str, str, str]:
    memory, limit = container.memory, container.limit_bytes
    return label(container.title), size(memory.current_bytes), size(footprint(memory)), size(limit) if limit else "-"
