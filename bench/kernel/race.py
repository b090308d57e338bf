"""Runs cells in boots of a dozen, and keeps each result as soon as it is there: a bench that is interrupted resumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil

import msgspec
from bench.kernel.cells import Spot
from bench.kernel.runs import Clock, Run, Store, run_of
from tests.machine.guest.result import CellResult
from tests.machine.guest.spec import Cell, Guard, Job
from tests.machine.machine import Machine, RunError
from tests.machine.qemu import Record

MEMORY_MB = 1024
#: Real time with few CPUs hides races; the host may have fewer, QEMU runs them in turns then.
CPUS = 4
BATCH = 12
BOOT_SECONDS, CELL_SECONDS, CHURN_SECONDS = 60, 90, 240

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One cell to run once."""

    spot: Spot
    guard: Guard
    label: str
    clock: Clock
    repeat: int = 0
    variant: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """As in Run."""
        return self.spot.name, self.label, self.variant, self.clock, self.repeat

    @property
    def cell(self) -> Cell:
        """What the machine gets; its name is unique in a boot."""
        return self.spot.cell(self.guard, f"{self.label}{self.variant and '~' + self.variant}", self.repeat)

    @property
    def seconds(self) -> int:
        """Real seconds that it takes at most; 30 s of churn are a minute and more of work."""
        return CELL_SECONDS + (CHURN_SECONDS if self.spot.shape == "churn_then_hog" else 0)


def race(tasks: Sequence[Task], store: Store, *, jobs: int = 1, say: Say = print) -> None:
    """Run them, `jobs` machines at a time."""
    size = max(1, min(BATCH, ceil(len(tasks) / jobs)))
    clocks = ([task for task in tasks if task.clock == clock] for clock in ("virtual", "real"))
    batches = [of_clock[n : n + size] for of_clock in clocks for n in range(0, len(of_clock), size)]
    say(f"{len(tasks)} cells to run in {len(batches)} boots")
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda batch: _run_batch(batch, store, say), batches):
            pass


def _run_batch(batch: list[Task], store: Store, say: Say) -> None:
    """One boot; a machine that dies loses the cell that it died of, and another runs the rest."""
    while batch:
        by_name = {task.cell.name: task for task in batch}

        def keep(record: Record, by_name: dict[str, Task] = by_name) -> None:
            if record["kind"] in {"cell", "error"}:
                task = by_name.pop(record["name"])
                run = _run(task, record, store.code)
                store.add(run)
                say(line(run))

        job = Job(cells=tuple(task.cell for task in batch))
        seconds = BOOT_SECONDS + sum(task.seconds for task in batch)
        try:
            Machine().run(job, clock=batch[0].clock, memory_mb=MEMORY_MB, cpus=CPUS, timeout_s=seconds, on_record=keep)
        except RunError as error:
            lost = next(iter(by_name.values()))
            by_name.pop(lost.cell.name)
            store.add(_lost(lost, f"the machine died: {error}"[:2000], store.code))
            say(f"{lost.cell.name}: {error}")
        batch = list(by_name.values())


def _run(task: Task, record: Record, code: str) -> Run:
    if record["kind"] == "error":
        return _lost(task, f"could not be run: {record['error']}"[-2000:], code)
    result = msgspec.convert(record["result"], CellResult)
    return run_of(task.spot, result, **_identity(task, code))


def _lost(task: Task, why: str, code: str) -> Run:
    return Run(spot=task.spot.name, failures=(why,), **_identity(task, code))


def _identity(task: Task, code: str) -> dict[str, object]:
    return {
        "guard": task.label, "variant": task.variant, "clock": task.clock, "repeat": task.repeat, "code": code,
    }  # fmt: skip


def line(run: Run) -> str:
    """One run for the terminal."""
    figures = run.figures
    shown = (
        ("overshootMs", "{:6.1f} ms over"),
        ("fillMibS", "at {:4.0f} MiB/s"),
        ("decisionMs", "decided in {:.2f} ms"),
        ("p99Ms", "p99 {:.1f}"),
        ("worstMs", "worst {:.1f}"),
        ("guardCpuMs", "cpu {:.0f} ms"),
    )
    words = [text.format(figures[name]) for name, text in shown if name in figures]
    name = "/".join(filter(None, (run.spot, run.guard, run.variant, run.clock, str(run.repeat))))
    return f"{name:58} {', '.join(words)}{'  FAILED: ' + '; '.join(run.failures) if run.failures else ''}"
