"""Runs a guard over a corpus and prints how well it chose: the command line's judge.

A guard is a command that reads a trace and prints formats.md's replay JSON, or the ranking of a peer, which gets the
same incident with no reading left out.
"""

import json
import math
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.victims.corpus import KINDS, Truth, read_corpus, tell
from bench.victims.play import at_shared_trigger
from bench.victims.trace import Trace
from bench.victims.verdict import Decision, Rate, Summary, Verdict, judge, summarise

# What issue 3 asks for, as bounds on the rates over a whole corpus.
GATE = {"right": (0.92, 1.0), "forbidden": (0.0, 0.08), "needless": (0.0, 0.10), "too_late": (0.0, 0.02)}
COMMAND_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Guard:
    """Who is judged: `kind` is command or peer; `name` the command line or the ranking."""

    kind: str
    name: str

    def decide(self, trace: Path, truth: Truth) -> list[Decision]:
        if self.kind == "peer":
            return at_shared_trigger(self.name, Trace(tell(truth.kind, truth.seed, complete=True).lines, truth))
        command = [*shlex.split(self.name), str(trace), "-o", "json"]
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_TIMEOUT_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}: exit {done.returncode}: {done.stderr.decode()[-500:]}")
        return decisions_of(json.loads(done.stdout))


def decisions_of(answer: Mapping[str, Any]) -> list[Decision]:
    """Decisions from a replay's answer, formats.md's JSON."""
    return [
        Decision(datetime.fromisoformat(decision["takenAt"]), decision["victim"], decision["action"])
        for decision in answer["decisions"]
        if decision["victim"] is not None
    ]


def _one(guard: Guard, case: tuple[Path, Truth]) -> Verdict:
    trace, truth = case
    return judge(truth, guard.decide(trace, truth))


def run(guard: Guard, corpus: Path, jobs: int, kinds: Iterable[str] = ()) -> list[tuple[Path, Truth, Verdict]]:
    """The verdict on every incident of the corpus, in its order."""
    wanted = set(kinds)
    cases = [case for case in read_corpus(corpus) if not wanted or case[1].kind in wanted]
    if not cases:
        raise FileNotFoundError(f"{corpus}: no incidents; run `python -m bench.victims generate` first")
    with ProcessPoolExecutor(jobs) as pool:
        verdicts = pool.map(partial(_one, guard), cases, chunksize=2)
        return [(trace, truth, verdict) for (trace, truth), verdict in zip(cases, verdicts, strict=True)]


# -- reports -----------------------------------------------------------------------------------------------------
def summaries(verdicts: list[Verdict]) -> list[Summary]:
    """A row per kind, then the whole."""
    kinds = [kind for kind in KINDS if any(v.kind == kind for v in verdicts)]
    rows = [summarise(kind, [v for v in verdicts if v.kind == kind]) for kind in kinds]
    return [*rows, summarise("all", verdicts)]


HEADER = ("incidents", "n", "right %", "forbidden %", "too late %", "needless %", "victims", "ahead s", "cost x")


def table(rows: list[Summary]) -> str:
    cells = [HEADER, *(_row(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    )


def _row(row: Summary) -> tuple[str, ...]:
    rates = (row.right, row.forbidden, row.too_late, row.needless)
    means = (row.victims and row.victims.mean, row.ahead_seconds, row.cost_ratio and row.cost_ratio.mean)
    return (
        row.label,
        str(row.incidents),
        *(_percent(rate) for rate in rates),
        *("-" if mean is None else f"{mean:.1f}" for mean in means),
    )


def _percent(rate: Rate) -> str:
    return "-" if math.isnan(rate.share) else f"{100 * rate.share:.0f} [{100 * rate.low:.0f}-{100 * rate.high:.0f}]"


def failures(judged: list[tuple[Path, Truth, Verdict]]) -> str:
    """One line for each incident that went wrong, with its trace, to look into."""
    lines = []
    for trace, truth, v in judged:
        faults = [name for name in ("forbidden", "too_late", "needless") if getattr(v, name)]
        if truth.needs_victim and not v.right and not v.too_late:
            faults.insert(0, f"wrong first victim ({v.first_role})")
        if faults:
            lines.append(f"{trace}  {truth.kind}: {', '.join(faults)}; {v.victims} victims; {truth.story}")
    return "\n".join(lines)


def report(guard: Guard, corpus: Path, judged: list[tuple[Path, Truth, Verdict]]) -> dict[str, Any]:
    verdicts = [verdict for _, _, verdict in judged]
    return {
        "guard": asdict(guard),
        "corpus": str(corpus),
        "kinds": [_plain(asdict(row)) for row in summaries(verdicts)],
        "gate": gate(verdicts),
        "incidents": [{"trace": str(trace), **asdict(verdict)} for trace, _, verdict in judged],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: a rate over nothing is null."""
    return {key: None if isinstance(value, dict) and value["of"] == 0 else value for key, value in row.items()}


def gate(verdicts: list[Verdict]) -> dict[str, bool]:
    """Which of the issue's bounds hold over these incidents."""
    whole = summarise("all", verdicts)
    measured: dict[str, Callable[[], float]] = {name: partial(_share, whole, name) for name in GATE}
    return {name: low <= measured[name]() <= high for name, (low, high) in GATE.items()}


def _share(row: Summary, name: str) -> float:
    rate: Rate = getattr(row, name)
    return rate.share
