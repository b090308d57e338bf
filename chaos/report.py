"""build/chaos-report.json: how many runs of each part, what was broken, and the seed that plays it again."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from chaos.runs import ROOT, Run

REPORT = ROOT / "build" / "chaos-report.json"


def summary(runs: list[Run]) -> dict[str, Any]:
    """By part, of runs that are sorted by it: counts, the faults played, figures as [lowest, median, highest]."""
    return {part: _part(list(members)) for part, members in groupby(runs, key=lambda run: run.part)}


def _part(runs: list[Run]) -> dict[str, Any]:
    names = sorted({name for run in runs for name in run.figures})
    values = {name: sorted(run.figures[name] for run in runs if name in run.figures) for name in names}
    return {
        "runs": len(runs),
        "commits": sorted({run.commit for run in runs}),
        "seeds": [min(run.seed for run in runs), max(run.seed for run in runs)],
        "faults": dict(sorted(Counter(fault for run in runs for fault in run.faults).items())),
        "broken": [{"seed": run.seed, "faults": run.faults, "what": run.broken} for run in runs if run.broken],
        "excused": dict(Counter(why for run in runs for why in run.excused)),
        "figures": {name: [found[0], median(found), found[-1]] for name, found in values.items()},
    }


def write(runs: list[Run], path: Path = REPORT) -> None:
    """Write it anew from all runs that are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary(runs), indent=1) + "\n", encoding="utf-8")


def told(found: dict[str, Any]) -> str:
    """A summary for the terminal."""
    lines = []
    for part, content in found.items():
        lines.append(f"{part:10} {content['runs']:5} runs, {len(content['broken'])} broken")
        lines += [f"{'':10} seed {one['seed']}: {'; '.join(one['what'])}" for one in content["broken"]]
    return "\n".join(lines)
