"""From runs to figures: intervals per cell and guard, the claims that issue 3 makes of them, and a table."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.kernel.cells import Spot
from bench.kernel.guards import LABELS
from bench.kernel.runs import ROOT, Run

REPORT = ROOT / "build" / "kernel-report.json"
#: Issue 3: overshoot as milliseconds x fill rate; decision; innocents' stalls against earlyoom's.
MEDIAN_OVERSHOOT_MS, WORST_OVERSHOOT_MS, DECISION_MS, STALL_RATIO = 5.0, 20.0, 1.0, 1.1


class Interval(NamedTuple):
    """Lowest, median and highest of some runs."""

    low: float
    mid: float
    high: float

    def __str__(self) -> str:
        digits = 1 if self.high < 100 else 0
        if self.low == self.high:
            return f"{self.mid:.{digits}f}"
        return f"{self.mid:.{digits}f} [{self.low:.{digits}f}-{self.high:.{digits}f}]"


def interval(values: Iterable[float]) -> Interval | None:
    """None without values."""
    found = sorted(values)
    return Interval(found[0], median(found), found[-1]) if found else None


class Group(NamedTuple):
    """All runs of one cell under one guard."""

    spot: str
    guard: str
    variant: str
    clock: str
    runs: tuple[Run, ...]

    def interval(self, name: str) -> Interval | None:
        """Of one figure."""
        return interval(run.figures[name] for run in self.runs if name in run.figures)

    @property
    def good(self) -> int:
        """Runs without a failure."""
        return sum(not run.failures for run in self.runs)


def groups(runs: Iterable[Run]) -> list[Group]:
    """By cell, guard, variant and clock, in the order in which they came first."""
    found: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.spot, run.guard, run.variant, run.clock), []).append(run)
    return [Group(*key, tuple(members)) for key, members in found.items()]


def summary(runs: list[Run], wanted: Iterable[Spot] = ()) -> dict[str, Any]:
    """Everything for build/kernel-report.json: cells with intervals, failures, ratios, claims, and what was not run."""
    found = groups(runs)
    ran = {group.spot for group in found if group.guard == "memguard"}
    return {
        "cells": [_cell(group, found) for group in found],
        "claims": claims(found),
        "notRun": [spot.name for spot in wanted if spot.name not in ran],
    }


def _cell(group: Group, found: list[Group]) -> dict[str, Any]:
    names = dict.fromkeys(name for run in group.runs for name in run.figures)
    return {
        "cell": group.spot,
        "guard": group.guard,
        **({"variant": group.variant} if group.variant else {}),
        "clock": group.clock,
        "runs": len(group.runs),
        "good": group.good,
        "failures": sorted({failure for run in group.runs for failure in run.failures}),
        "figures": {name: group.interval(name) for name in names},
        **({"stallRatio": ratios} if (ratios := stall_ratios(group, found)) else {}),
        "timings": [timing for run in group.runs for timing in run.timings] if group.clock == "virtual" else [],
    }


def stall_ratios(group: Group, found: list[Group]) -> dict[str, float]:
    """memguard's p99 and worst stall of the innocent over earlyoom's, medians of the runs; {} where not comparable."""
    if group.guard != "memguard" or group.clock != "virtual":
        return {}
    peer = next((g for g in found if g[:2] == (group.spot, "earlyoom") and g.clock == "virtual"), None)
    pairs = {name: (group.interval(name), peer and peer.interval(name)) for name in ("p99Ms", "worstMs")}
    return {name: round(ours.mid / theirs.mid, 3) for name, (ours, theirs) in pairs.items() if ours and theirs}


def claims(found: list[Group]) -> list[dict[str, Any]]:
    """What must hold of memguard's runs, and whether it does.

    Overshoot and stalls are judged where all containers share what runs dry (the node, kubepods): under a limit the
    innocent is in another container, and earlyoom does not act at all.
    """
    ours = [group for group in found if group.guard == "memguard" and not group.variant]
    virtual = [group for group in ours if group.clock == "virtual"]
    node = [group for group in virtual if group.spot.startswith(("node-", "kubepods-"))]
    late = interval(run.figures["overshootMs"] for g in node for run in g.runs if "overshootMs" in run.figures)
    decided = interval(run.figures["decisionMs"] for g in virtual for run in g.runs if "decisionMs" in run.figures)
    ratios = [ratio for group in node for ratio in stall_ratios(group, found).values()]
    bad = [f"{group.spot} ({group.clock})" for group in ours if group.good < len(group.runs)]
    return [
        _claim("every cell as it must be", not bad, ", ".join(bad) or "all"),
        _claim(f"median overshoot <= {MEDIAN_OVERSHOOT_MS:.0f} ms", late and late.mid <= MEDIAN_OVERSHOOT_MS, late),
        _claim(f"worst overshoot <= {WORST_OVERSHOOT_MS:.0f} ms", late and late.high <= WORST_OVERSHOOT_MS, late),
        _claim(f"decision <= {DECISION_MS:.0f} ms", decided and decided.high <= DECISION_MS, decided),
        _claim(f"stalls <= {STALL_RATIO} x earlyoom's", ratios and max(ratios) <= STALL_RATIO, interval(ratios)),
    ]


def _claim(what: str, holds: object, measured: object) -> dict[str, Any]:
    """`holds` None: nothing was measured."""
    return {"claim": what, "holds": None if measured is None else bool(holds), "measured": str(measured)}


COLUMNS = (
    ("late ms", "overshootMs"), ("fill MiB/s", "fillMibS"), ("decided ms", "decisionMs"), ("p99 ms", "p99Ms"),
    ("worst ms", "worstMs"), ("guard CPU ms", "guardCpuMs"), ("cgroup MiB", "guardCgroupMib"),
)  # fmt: skip


def table(runs: Iterable[Run]) -> Iterator[str]:
    """Markdown, which a terminal shows as well: medians with their range."""
    found = groups(runs)
    head = ("cell", "guard", "clock", "good", "kernel OOM", *(title for title, _ in COLUMNS))
    yield from _row(head)
    yield "|---" * len(head) + "|"
    spots = list(dict.fromkeys(group.spot for group in found))
    order = {label: index for index, label in enumerate(LABELS)}
    for group in sorted(found, key=lambda g: (spots.index(g.spot), g.clock != "virtual", order.get(g.guard, 9))):
        killed = sum(run.figures.get("kernelOomKills", 0) > 0 for run in group.runs)
        guard = f"{group.guard} {group.variant}".strip()
        intervals = (group.interval(name) for _, name in COLUMNS)
        good, kernel = f"{group.good}/{len(group.runs)}", f"{killed}/{len(group.runs)}"
        yield from _row((group.spot, guard, group.clock, good, kernel, *(str(i) if i else "" for i in intervals)))


def _row(values: Iterable[str]) -> Iterator[str]:
    yield f"| {' | '.join(values)} |"


def update(section: str, content: Any, path: Path = REPORT) -> None:
    """Replace one section of the report; others may be writing theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        report = json.loads(path.read_text()) if path.exists() else {}
        report[section] = content
        path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
