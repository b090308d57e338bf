"""One cell's run as it is kept: a JSON line in build/bench/, appended as soon as it is known, for a bench to resume."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from bench.kernel.cells import Spot
from bench.kernel.journal import read_journal
from bench.kernel.verdict import failures
from tests.machine.guest.result import CellResult, ContainerResult
from tests.machine.guest.spec import MIB

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"
#: "virtual": figures that don't depend on the host; "real": 4 CPUs, for correctness alone.
Clock = Literal["virtual", "real"]
#: What a figure depends on: the guard, and what it is measured with.
MEASURED = ("operator/memguard/core", "operator/memguard/kernel", "operator/memguard/guard", "tests/machine/guest")
MEASURED_FILES = ("tests/machine/loads.c", "bench/kernel/cells.py", "bench/kernel/guards.py")
#: What is kept of a decision.
TOLD = ("domain", "trigger", "availableBytes", "reserveBytes", "fallBytesPerSecond", "timing")
#: Roles of the loads that grow until they are stopped.
GROWING = ("hog", "shm")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one cell. `variant` names an ablation's change of the guard; `figures` are those of `measure`."""

    spot: str
    guard: str
    clock: Clock
    repeat: int
    code: str
    variant: str = ""
    failures: tuple[str, ...] = ()
    figures: dict[str, float] = {}
    timings: tuple[dict[str, Any], ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What it is a run of."""
        return self.spot, self.guard, self.variant, self.clock, self.repeat


class Store:
    """The file that one bench, or one shard of it, writes."""

    def __init__(self, path: Path, code: str) -> None:
        self.path, self.code = path, code

    def add(self, run: Run) -> None:
        """Keep one more, durably."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(run) + b"\n")


def read_runs(path: Path) -> Iterator[Run]:
    """The runs of a file; a last line that was cut off is none."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            yield msgspec.json.decode(line, type=Run)
        except msgspec.DecodeError:
            continue


def all_runs(name: str, code: str, folder: Path = FOLDER) -> list[Run]:
    """The runs of every shard of a bench, each once. Those of other code stay in their files and do not count."""
    runs = (run for path in sorted(folder.glob(f"{name}*.jsonl")) for run in read_runs(path) if run.code == code)
    return list({run.key: run for run in runs}.values())


def run_of(spot: Spot, result: CellResult, **identity: Any) -> Run:
    """What is kept of a result."""
    journal = read_journal(result.guard.log)
    timings = tuple({name: deed[name] for name in TOLD} for deed in journal.deeds)
    return Run(
        spot=spot.name,
        failures=tuple(failures(spot, result)),
        figures={name: round(value, 4) for name, value in measure(result).items() if value is not None},
        timings=timings,
        **identity,
    )


def measure(result: CellResult) -> dict[str, float | None]:
    """The figures of a run; what was not there to be measured is None."""
    guard, latency = result.guard, result.latency
    decisions = read_journal(result.guard.log).decision_ms
    return {
        "kernelOomKills": result.kernel_oom_kills,
        "innocentsTouched": len(result.innocents_touched) + result.idle_touched,
        "overshootMs": result.overshoot_ms,
        "overshootMib": result.overshoot_bytes / MIB,
        "leastLeftMib": result.headroom_min_bytes / MIB,
        "reactionMs": _after_the_line(result, result.grew_until),
        "deadMs": _after_the_line(result, _dead_at(result)),
        "workLostMs": sum(container.cpu_ms for container in _lost(result)),
        "overFreedMib": sum(container.held_start_bytes - container.held_bytes for container in _lost(result)) / MIB,
        "fillMibS": result.fill_bytes_s / MIB if result.fill_bytes_s else None,
        "decisionMs": max(decisions, default=None),
        "kills": len(decisions) if guard.kind == "memguard" else None,
        "p99Ms": latency.p99_ms if latency else None,
        "worstMs": latency.worst_ms if latency else None,
        "stallSomeMs": result.stall_some_ms,
        "guardCpuMs": guard.cpu_ms if guard.kind != "none" else None,
        "guardCpuPercent": guard.cpu_ms / 10 / guard.watched_seconds if guard.watched_seconds else None,
        "guardRssMib": guard.rss_kib / 1024 or None,
        "guardCgroupMib": guard.cgroup_bytes / MIB or None,
        "limitPeakMib": result.limit_peak_bytes / MIB if result.limit_peak_bytes else None,
        "endedS": result.ended_at,
    }


def _dead_at(result: CellResult) -> float | None:
    """When the first hog was gone, with the rest of its container or alone."""
    hogs = (p for c in result.containers if c.culprit for p in c.processes if p.role in GROWING)
    return min((hog.ended_at for hog in hogs if hog.ended_at is not None), default=None)


def _after_the_line(result: CellResult, moment: float | None) -> float | None:
    """From the line to that moment, in ms; 0 when the line was not even crossed, None when no hog died."""
    if moment is None or _dead_at(result) is None:
        return None
    return 0.0 if result.line_crossed_at is None else max(moment - result.line_crossed_at, 0.0) * 1000


def _lost(result: CellResult) -> list[ContainerResult]:
    """The wrong victims, whoever killed them: their CPU time is work lost, and their memory need not have gone."""
    return [container for container in result.containers if container.touched and not container.culprit]


def fingerprint(root: Path = ROOT, folders: Iterable[str] = MEASURED, files: Iterable[str] = MEASURED_FILES) -> str:
    """A digest of all that figures depend on: runs of the same code go on where they stopped."""
    digest = hashlib.sha256()
    for path in _measured(root, folders, files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def minute() -> str:
    """Now, as reports say when they were measured."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"


def commit(root: Path = ROOT, measured: Iterable[str] = (*MEASURED, *MEASURED_FILES)) -> str:
    """The commit that is checked out, "+" when what is measured differs from it."""
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", *measured)
    return f"{head}{'+' if changed else ''}" if head else "unknown"


def _measured(root: Path, folders: Iterable[str], files: Iterable[str]) -> Iterable[Path]:
    inside = (path for name in folders for path in sorted((root / name).rglob("*.py")))
    return (*inside, *(root / name for name in files))


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip()
