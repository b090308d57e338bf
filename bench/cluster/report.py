"""From runs on the cluster to the report's section and its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from bench.cluster.guards import LABELS
from bench.cluster.incidents import NAMES
from bench.kernel.report import Interval, markdown, summary
from bench.kernel.runs import Run

COLUMNS = (
    ("least left MiB", "leastLeftMib"), ("dead ms", "deadMs"), ("fill MiB/s", "fillMibS"),
    ("pods replaced", "podsReplaced"), ("wrong victims", "innocentsTouched"), ("work lost ms", "workLostMs"),
    ("over-freed MiB", "overFreedMib"), ("p99 ms", "p99Ms"), ("worst ms", "worstMs"), ("guard CPU ms", "guardCpuMs"),
    ("RSS MiB", "guardRssMib"),
)  # fmt: skip


def ordered(runs: Iterable[Run]) -> list[Run]:
    """By incident, then by guard, however they were run."""
    return sorted(runs, key=lambda run: (NAMES.index(run.spot), LABELS.index(run.guard), run.repeat))


def section(runs: list[Run]) -> dict[str, Any]:
    """What build/bench-report.json has of them; "kernelOom": the runs in which the kernel's OOM killer struck."""
    ran = {(run.spot, run.guard) for run in runs}
    killed = Counter((run.spot, run.guard) for run in runs if run.figures["kernelOomKills"])
    cells = summary(ordered(runs))["cells"]
    return {
        "cells": [{**cell, "kernelOom": killed[cell["cell"], cell["guard"]]} for cell in cells],
        "notRun": [f"{name}/{label}" for name in NAMES for label in LABELS if (name, label) not in ran],
    }


def table(section: dict[str, Any]) -> Iterator[str]:
    """Markdown, which a terminal shows as well; the last column says what went wrong in any of the runs."""
    head = ("incident", "guard", "good", "kernel OOM", *(title for title, _ in COLUMNS), "what went wrong")
    yield from markdown(head, map(_row, section["cells"]))
    if section["notRun"]:
        yield f"\nNot run: {', '.join(section['notRun'])}."


def _told(figure: Iterable[float] | None) -> str:
    return str(Interval(*figure)) if figure else ""


def _row(cell: dict[str, Any]) -> tuple[str, ...]:
    figures = (_told(cell["figures"].get(name)) for _, name in COLUMNS)
    shares = (f"{cell[name]}/{cell['runs']}" for name in ("good", "kernelOom"))
    return cell["cell"], cell["guard"], *shares, *figures, "; ".join(cell["failures"])
