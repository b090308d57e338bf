"""From runs to figures: intervals per cell and guard, the claims that issue 3 makes of them, and a table."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.kernel.cells import Spot
from bench.kernel.guards import LABELS
from bench.kernel.runs import ROOT, Run
from tests.machine.guest.peers import PEERS

REPORT = ROOT / "build" / "bench-report.json"
#: Overshoot as milliseconds x fill rate; decision.
MEDIAN_OVERSHOOT_MS, WORST_OVERSHOOT_MS, DECISION_MS = 5.0, 20.0, 1.0
#: Against the best peer of the same cell, figure by figure.
LATE_RATIO, STALL_RATIO = 0.1, 1.1
STALLS = ("p99Ms", "worstMs")
#: Boundaries that containers share: the innocent is in trouble with the culprit.
SHARING = ("node-", "kubepods-")
#: Figures of a guard over all cells, and over those.
EVERYWHERE = ("guardCpuMs", "guardRssMib", "workLostMs", "overFreedMib")
IN_SHARED = ("overshootMs", "leastLeftMib", "reactionMs", "deadMs", *STALLS)


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

    def whole(self, name: str) -> Interval | None:
        """The same, where every run has the figure."""
        return self.interval(name) if all(name in run.figures for run in self.runs) else None

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
    """Everything for build/bench-report.json: cells with intervals, failures, ratios, claims, and what was not run."""
    found = groups(runs)
    ran = {group.spot for group in found if group.guard == "memguard"}
    return {
        "cells": [_cell(group, found) for group in found],
        "guards": overall(found),
        "claims": claims(found),
        "notRun": [spot.name for spot in wanted if spot.name not in ran],
    }


def alone(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a summary's cells those in which nobody but memguard ran: the matrix beside the race."""
    raced = {cell["cell"] for cell in cells if cell["guard"] != "memguard"}
    return [cell for cell in cells if cell["cell"] not in raced]


def overall(found: list[Group]) -> list[dict[str, Any]]:
    """Each guard over all the cells that every guard ran: shares of its runs, and medians [lowest-highest] of runs.

    `late`, `reaction` and stalls are those of the cells where containers share what runs dry.
    """
    raced: dict[str, dict[str, Group]] = {}
    for group in found:
        if group.clock == "virtual" and not group.variant:
            raced.setdefault(group.guard, {})[group.spot] = group
    return [
        _overall(
            label, [run for spot in mine if all(spot in each for each in raced.values()) for run in mine[spot].runs]
        )
        for label, mine in raced.items()
    ]


def _overall(label: str, runs: list[Run]) -> dict[str, Any]:
    shared = [run for run in runs if run.spot.startswith(SHARING)]
    figures = {name: interval(run.figures[name] for run in of if name in run.figures)
               for names, of in ((EVERYWHERE, runs), (IN_SHARED, shared)) for name in names}  # fmt: skip
    return {
        "guard": label,
        "runs": len(runs),
        "good": sum(not run.failures for run in runs),
        "kernelFirst": sum(run.figures.get("kernelOomKills", 0) > 0 for run in runs),
        "wrongVictims": sum(run.figures.get("innocentsTouched", 0) > 0 for run in runs),
        "figures": {name: found for name, found in figures.items() if found},
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
        **({"stallRatio": stalls} if (stalls := ratios(group, found, STALLS)) else {}),
        "timings": [timing for run in group.runs for timing in run.timings] if group.clock == "virtual" else [],
    }


def ratios(group: Group, found: list[Group], names: Iterable[str]) -> dict[str, float]:
    """memguard's figures over the best peer's in the same cell, medians of the runs; {} where not comparable.

    A peer counts that has the figure in every run: whose innocents died has no stalls of theirs to show.
    """
    if group.guard != "memguard" or group.clock != "virtual":
        return {}
    peers = [g for g in found if (g.spot, g.clock) == (group.spot, group.clock) and g.guard in PEERS]
    pairs = {name: (group.interval(name), [i.mid for g in peers if (i := g.whole(name))]) for name in names}
    return {name: _ratio(ours.mid, min(theirs)) for name, (ours, theirs) in pairs.items() if ours and theirs}


def _ratio(ours: float, best: float) -> float:
    return round(ours / best, 3) if best else math.inf if ours else 0.0


def claims(found: list[Group]) -> list[dict[str, Any]]:
    """What must hold of memguard's runs, and whether it does.

    Overshoot and stalls are judged where all containers share what runs dry (the node, kubepods): under a limit the
    innocent is in another container, and most peers do not act at all.
    """
    ours = [group for group in found if group.guard == "memguard" and not group.variant]
    virtual = [group for group in ours if group.clock == "virtual"]
    node = [group for group in virtual if group.spot.startswith(SHARING)]
    late = interval(run.figures["overshootMs"] for g in node for run in g.runs if "overshootMs" in run.figures)
    decided = interval(run.figures["decisionMs"] for g in virtual for run in g.runs if "decisionMs" in run.figures)
    late_ratios, reactions, stalls = (
        [ratio for group in node for ratio in ratios(group, found, names).values()]
        for names in (("overshootMs",), ("reactionMs",), STALLS)
    )
    won = {(group.spot, group.clock) for group in found if group.guard in PEERS and group.good == len(group.runs)}
    lost = [group.spot for group in ours if group.good < len(group.runs) and (group.spot, group.clock) in won]
    bad = [f"{group.spot} ({group.clock})" for group in ours if group.good < len(group.runs)]
    return [
        _claim("every cell as it must be", not bad, ", ".join(bad) or "all"),
        _claim("good wherever a peer is", not lost, ", ".join(lost) or "all"),
        _claim(f"median overshoot <= {MEDIAN_OVERSHOOT_MS:.0f} ms", late and late.mid <= MEDIAN_OVERSHOOT_MS, late),
        _claim(f"worst overshoot <= {WORST_OVERSHOOT_MS:.0f} ms", late and late.high <= WORST_OVERSHOOT_MS, late),
        _claim(f"decision <= {DECISION_MS:.0f} ms", decided and decided.high <= DECISION_MS, decided),
        *(
            _claim(f"{what} <= {limit} x the best peer's", values and max(values) <= limit, interval(values))
            for what, limit, values in (
                ("overshoot", LATE_RATIO, late_ratios),
                ("reaction", LATE_RATIO, reactions),
                ("stalls", STALL_RATIO, stalls),
            )
        ),
    ]


def _claim(what: str, holds: object, measured: object) -> dict[str, Any]:
    """`holds` None: nothing was measured."""
    return {"claim": what, "holds": None if measured is None else bool(holds), "measured": str(measured)}


COLUMNS = (
    ("late ms", "overshootMs"), ("least left MiB", "leastLeftMib"), ("reaction ms", "reactionMs"),
    ("dead ms", "deadMs"), ("fill MiB/s", "fillMibS"), ("decided ms", "decisionMs"), ("p99 ms", "p99Ms"),
    ("worst ms", "worstMs"), ("wrong victims", "innocentsTouched"), ("work lost ms", "workLostMs"),
    ("over-freed MiB", "overFreedMib"), ("guard CPU ms", "guardCpuMs"), ("RSS MiB", "guardRssMib"),
    ("cgroup MiB", "guardCgroupMib"),
)  # fmt: skip


def table(runs: Iterable[Run]) -> Iterator[str]:
    """Markdown, which a terminal shows as well: medians with their range."""
    found = groups(runs)
    head = ("cell", "guard", "clock", "good", "kernel OOM", *(title for title, _ in COLUMNS))
    return markdown(head, _rows(found))


def _rows(found: list[Group]) -> Iterator[tuple[str, ...]]:
    spots = list(dict.fromkeys(group.spot for group in found))
    order = {label: index for index, label in enumerate(LABELS)}
    for group in sorted(found, key=lambda g: (spots.index(g.spot), g.clock != "virtual", order.get(g.guard, 9))):
        killed = sum(run.figures.get("kernelOomKills", 0) > 0 for run in group.runs)
        guard = f"{group.guard} {group.variant}".strip()
        intervals = (group.interval(name) for _, name in COLUMNS)
        good, kernel = f"{group.good}/{len(group.runs)}", f"{killed}/{len(group.runs)}"
        yield group.spot, guard, group.clock, good, kernel, *(str(i) if i else "" for i in intervals)


def markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def spoken(claim: dict[str, Any]) -> str:
    """A claim and whether it holds, as a line for the terminal."""
    verdict = {True: "holds", False: "FAILS", None: "not measured"}[claim["holds"]]
    return f"{verdict:12} {claim['claim']}: {claim['measured']}"


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
