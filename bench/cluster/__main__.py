"""`python -m bench cluster`: memory runs short on real nodes (emulated CPUs, real clock), with kubelet's own means
against it, with memguard, or with neither. The cluster is that of `python -m e2e up`, left running where it ran before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from bench.cluster import report
from bench.cluster.guards import GUARDS, LABELS, Guard
from bench.cluster.incidents import INCIDENTS, NAMES, Incident
from bench.cluster.samples import failures, figures
from bench.cluster.stage import Stage
from bench.kernel.report import REPORT, update
from bench.kernel.runs import FOLDER, Run, Store, all_runs, commit, fingerprint, minute
from e2e import cluster
from e2e.images import build_images
from e2e.lab.errors import LabError
from e2e.lab.lab import Lab

NAME = "cluster"
RUNS = 3
#: What the figures depend on.
FOLDERS = ("operator/memguard",)
FILES = (
    "bench/cluster/guards.py", "bench/cluster/incidents.py", "bench/cluster/conductor.py", "tests/machine/loads.c",
)  # fmt: skip


class Task(NamedTuple):
    """One incident to have once."""

    guard: Guard
    incident: Incident
    repeat: int

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """As in Run."""
        return self.incident.name, self.guard.label, "", "real", self.repeat


def main(argv: list[str]) -> int:
    """Exit code 1 where memguard failed in a run, 2 where there is no lab."""
    options = _parser().parse_args(argv)
    code = fingerprint(folders=FOLDERS, files=FILES)
    if not options.report_only:
        lab = cluster.ours()
        if not isinstance(lab, Lab):
            print("python -m bench cluster: kind's nodes share one memory; unset MEMGUARD_CLUSTER", file=sys.stderr)
            return 2
        store = Store(FOLDER / f"{NAME}.jsonl", code)
        if not options.resume:
            store.path.unlink(missing_ok=True)
        done = {run.key for run in all_runs(NAME, code)}
        _run(lab, [task for task in _tasks(options) if task.key not in done], store)
    return _tell(all_runs(NAME, code))


def _run(lab: Lab, tasks: list[Task], store: Store) -> None:
    stays = lab.is_up()
    lab.up(tuple(build_images().values()))
    stage = Stage(lab)
    try:
        _on(stage, tasks, store)
    finally:
        stage.leave() if stays else lab.down()


def _on(stage: Stage, tasks: Iterable[Task], store: Store) -> None:
    """The tasks stand in the order of their guards and nodes: to change either takes a minute."""
    for guard, guarded in groupby(tasks, key=lambda task: task.guard):
        waiting = list(guarded)
        stage.enter(guard, {task.incident.node.name for task in waiting})
        for node, there in groupby(waiting, key=lambda task: task.incident.node):
            stage.furnish(node)
            for task in there:
                _have(stage, task, store)


def _have(stage: Stage, task: Task, store: Store) -> None:
    """Run it and keep it; one that could not be measured is told, and others go on."""
    try:
        seen = stage.run(task.incident, task.repeat)
    except (LabError, AssertionError) as error:
        _say(f"{'/'.join(filter(None, map(str, task.key)))}: lost: {error}")
        return
    run = Run(
        spot=task.incident.name,
        guard=task.guard.label,
        clock="real",
        repeat=task.repeat,
        code=store.code,
        failures=tuple(failures(seen)),
        figures=figures(seen),
    )
    store.add(run)
    _say(_line(run))


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    guards = [guard for guard in GUARDS if guard.label in (options.guard or LABELS)]
    incidents = [incident for incident in INCIDENTS if incident.name in (options.incident or NAMES)]
    for guard in guards:
        for incident in sorted(incidents, key=lambda incident: incident.node.name):
            yield from (Task(guard, incident, repeat) for repeat in range(options.runs))


def _tell(runs: list[Run]) -> int:
    found = report.section(runs)
    measured = {
        "commit": commit(measured=(*FOLDERS, *FILES)),
        "code": fingerprint(folders=FOLDERS, files=FILES),
        "at": minute(),
    }
    update(NAME, {**measured, **found})
    for line in report.table(found):
        _say(line)
    _say(f"in {REPORT.name}: {len(runs)} runs")
    return int(any(run.failures for run in runs if run.guard == "memguard"))


def _line(run: Run) -> str:
    told = ", ".join(f"{name} {value:g}" for name, value in run.figures.items())
    wrong = f"  FAILED: {'; '.join(run.failures)}" if run.failures else ""
    return f"{run.spot}/{run.guard}/{run.repeat}: {told}{wrong}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench cluster", description=__doc__)
    parser.add_argument("--guard", action="append", choices=LABELS, help="only under this one; may be repeated")
    parser.add_argument("--incident", action="append", choices=NAMES, help="only this one; may be repeated")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each incident under each guard (default: {RUNS})")
    parser.add_argument("--resume", action="store_true", help="go on where the same code was interrupted")
    parser.add_argument("--report-only", action="store_true", help="run nothing, tell what is there")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(str(error))
