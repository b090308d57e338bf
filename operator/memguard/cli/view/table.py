"""The one look of all our tables."""

from __future__ import annotations

import re

from rich import box
from rich.table import Table
from rich.text import Text

from memguard.cli.output import plain

SHORT_ID = 12
_ID = re.compile("[0-9a-f]{64}")
GOOD, WARNING, BAD, QUIET = "green", "yellow", "bold red", "dim"


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """A table with these headings; the `numbers` among them are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        right = column in numbers
        made.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return made


def label(title: str) -> str:
    """A title that fits a table: of an unmapped container's cgroup only the last part, with the short id."""
    leaf = title.rpartition("/")[2]
    return _ID.sub(lambda found: found[0][:SHORT_ID], leaf) if _ID.search(leaf) else title


def cell(value: object, style: str = "") -> Text:
    """A cell whose text is shown as it is, whoever wrote it."""
    return Text(plain(str(value)), style)
