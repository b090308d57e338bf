"""The section "costs" of build/bench-report.json. A quick one stands inside of a whole one, and never in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.costs import claims, parts
from bench.costs.figures import Figures, figures
from bench.kernel.report import REPORT, update

SECTION = "costs"
Section = dict[str, Any]


def section(*, quick: bool) -> Section:
    """What was measured so far, and what must hold of it."""
    kept = parts.kept(quick=quick)
    return {"quick": quick, **kept, "claims": claims.claims(figures(kept["figures"]))}


def write(content: Section, path: Path = REPORT) -> None:
    """Into the report."""
    there = json.loads(path.read_text()).get(SECTION, {}) if path.exists() else {}
    update(SECTION, merged(there, content), path)


def merged(there: Section, content: Section) -> Section:
    """The section with a new whole one, or with a new quick one beside the whole one that it has."""
    if content["quick"]:
        return {**there, "quickly": content} if there and not there["quick"] else content
    quickly = there if there.get("quick") else there.get("quickly")
    return {**content, "quickly": quickly} if quickly else content


def figures_of(content: Section) -> Figures:
    """The figures of a section."""
    return figures(content["figures"])
