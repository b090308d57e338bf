"""The costs in docs/benchmarks.md, from the report that is committed: `python -m bench docs` fills them in."""

from __future__ import annotations

import json
from functools import partial

from bench.costs import tables
from bench.costs.report import SECTION, Section, figures_of
from bench.kernel.docs import COMMITTED, PAGE
from tools.markdown import filled

#: Which part of the measuring a table is of, where the names differ.
PARTS = {"start": "kill"}


def document() -> None:
    """Fill the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as it should be."""
    return filled(PAGE.read_text(encoding="utf-8"), "costs", partial(_table, committed()))


def committed() -> Section:
    """The section of the report that is committed; without one, one of nothing."""
    empty = {"quick": False, "measured": {}, "figures": {}, "claims": []}
    section: Section = json.loads(COMMITTED.read_text(encoding="utf-8")).get(SECTION, empty)
    return section


def _table(section: Section, name: str) -> str:
    if name == "claims":
        return tables.claims(section["claims"])
    part = section["measured"].get(PARTS.get(name, name))
    if part is None:
        return "Not measured.\n"
    wall = f", in {part['wallSeconds'] / 60:.0f} minutes" if name == "day" else ""
    begin = f"Measured at commit {part['commit']}, {part['at']}{wall}.\n\n"
    return begin + tables.TABLES[name](figures_of(section))
