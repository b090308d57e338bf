"""`python -m bench kernel` and `python -m bench ablation`: see --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from bench.kernel import ablation, report
from bench.kernel.cells import NAMED, Spot, by_name, matrix, unlimited
from bench.kernel.guards import LABELS, guard
from bench.kernel.race import Task, race
from bench.kernel.runs import FOLDER, Run, Store, all_runs, commit, fingerprint, minute

#: Of the cells in the report, whichever shard ran them when.
ORDER = list(dict.fromkeys(spot.name for spot in (*NAMED, *matrix())))
NAMED_RUNS = 5
QUICK = 3


def kernel(argv: list[str]) -> int:
    """The matrix, or a part of it. Exit code 1 when a cell of memguard's failed or a claim does not hold."""
    options = _parser("kernel").parse_args(argv)
    return _bench("kernel", options, list(_tasks(options)))


def ablations(argv: list[str]) -> int:
    """What each part of the guard brings."""
    options = _parser("ablation").parse_args(argv)
    return _bench("ablation", options, list(ablation.tasks(options.runs or ablation.RUNS)))


def _bench(name: str, options: argparse.Namespace, tasks: list[Task]) -> int:
    code = fingerprint()
    index, count = options.shard
    store = Store(FOLDER / f"{name}{f'-{index}of{count}' if count > 1 else ''}.jsonl", code)
    if not (options.resume or options.report_only):
        store.path.unlink(missing_ok=True)
    if not options.report_only:
        done = {run.key for run in all_runs(name, code)} if options.resume else set()
        waiting = [task for task in _share(tasks, index, count) if task.key not in done]
        race(waiting, store, jobs=options.jobs, say=_say)
    runs = sorted(all_runs(name, code), key=_place)
    return _tell(name, runs, [*matrix()] if name == "kernel" else [])


def _place(run: Run) -> tuple[bool, int, int]:
    return run.clock == "real", ORDER.index(run.spot), LABELS.index(run.guard)


def _tell(name: str, runs: list[Run], wanted: list[Spot]) -> int:
    found = report.summary(runs, wanted)
    measured = {"commit": commit(), "code": fingerprint(), "at": minute()}
    alone = report.alone(found["cells"]) if name == "kernel" else []
    raced = [cell for cell in found["cells"] if cell not in alone]
    if alone:
        report.update("matrix", {**measured, "cells": alone, "notRun": found["notRun"]})
    report.update(name, {**measured, **found, "cells": raced})
    for text in report.table(runs):
        _say(text)
    for claim in found["claims"] if name == "kernel" else ():
        _say(report.spoken(claim))
    if found["notRun"]:
        _say(f"not run: {len(found['notRun'])} of {len(wanted)} cells of the matrix (named in {report.REPORT.name})")
    return int(name == "kernel" and any(claim["holds"] is False for claim in found["claims"]))


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    """Peers race in the same boot for the named cells; the rest of the matrix is about memguard's correctness."""
    runs = options.runs
    if options.cell:
        yield from _against_peers(map(by_name, options.cell), runs or 1)
    elif options.quick:
        yield from _against_peers(islice(NAMED, QUICK), runs or 1)
    elif options.unlimited or options.full:
        spots = unlimited() if options.unlimited else matrix()
        yield from _alone(spots, runs or 1, peers=options.peers)
    else:
        yield from _against_peers(NAMED, runs or NAMED_RUNS)
        yield from (_task(spot, "memguard", 0, "real") for spot in NAMED)
        if not options.named:
            yield from _alone(unlimited(), 1, peers=options.peers)


def _against_peers(spots: Iterable[Spot], runs: int) -> Iterator[Task]:
    for spot in spots:
        for repeat in range(runs):
            yield from (_task(spot, label, repeat, "virtual") for label in LABELS)


def _alone(spots: Iterable[Spot], runs: int, *, peers: bool) -> Iterator[Task]:
    labels = LABELS if peers else LABELS[-1:]
    yield from (_task(spot, label, n, "virtual") for spot in spots for n in range(runs) for label in labels)


def _task(spot: Spot, label: str, repeat: int, clock: str) -> Task:
    return Task(spot=spot, guard=guard(label), label=label, repeat=repeat, clock=clock)  # type: ignore[arg-type]


def _share(tasks: list[Task], index: int, count: int) -> list[Task]:
    """This shard's cells: all guards of one cell stay together, in one boot if it fits."""
    spots = list(dict.fromkeys((task.spot, task.clock) for task in tasks))
    mine = set(spots[index - 1 :: count])
    return [task for task in tasks if (task.spot, task.clock) in mine]


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=(kernel.__doc__ or ""))
    if name == "kernel":
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--cell", action="append", choices=ORDER, metavar="NAME", help="this one, against the peers")
        which.add_argument("--quick", action="store_true", help=f"{QUICK} of the named cells")
        which.add_argument("--named", action="store_true", help="the 8 named cells against the peers, and on 4 CPUs")
        which.add_argument("--unlimited", action="store_true", help="every cell with an unlimited hog")
        which.add_argument("--full", action="store_true", help="the whole matrix")
        parser.add_argument("--peers", action="store_true", help="race the peers outside of the named cells, too")
    parser.add_argument("--runs", type=int, help=f"of each cell (named: {NAMED_RUNS}, others: 1)")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="only this part of the cells")
    parser.add_argument("--resume", action="store_true", help="go on where the same code was interrupted")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="machines at a time (each uses a core)")
    parser.add_argument("--report-only", action="store_true", help="run nothing, tell what is there")
    return parser


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text}: write it as 1/4")
    return int(index), int(count)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(kernel(sys.argv[1:]))
