"""`python -m bench.victims measure | generate | judge | record | recorded`: see --help."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from bench.victims import judge as judging
from bench.victims import report
from bench.victims.corpus import KINDS, TEST_SEED, TRAIN_SEED, write_corpus
from bench.victims.peers import PEERS
from bench.victims.recording import judged
from bench.victims.recording.incidents import SEEDS

FOLDER = Path("build/victims")
PER_KIND = 30
COMMAND = ".venv/bin/memguard replay"


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.victims", description=__doc__)
    commands = parser.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    shared.add_argument("--kinds", nargs="*", default=[], choices=list(KINDS), metavar="KIND")

    measure = commands.add_parser(
        "measure", parents=[shared], help="everybody on both corpora, the peers' triggers, and the ablation"
    )
    measure.add_argument("--per-kind", type=int, default=PER_KIND)
    measure.add_argument(
        "--out", type=Path, help=f"the report (default: bench/victims/report.json; of a part: {FOLDER}/report.json)"
    )
    measure.set_defaults(run=_measure)

    generate = commands.add_parser("generate", parents=[shared], help="write the train and test corpora")
    generate.add_argument("--out", type=Path, default=FOLDER)
    generate.add_argument("--per-kind", type=int, default=10)
    generate.set_defaults(run=_generate)

    judge = commands.add_parser("judge", parents=[shared], help="judge a guard on a corpus")
    judge.add_argument("--corpus", type=Path, default=FOLDER / "test")
    guard = judge.add_mutually_exclusive_group()
    guard.add_argument(
        "--command", default=COMMAND, help="gets the trace and `-o json` appended (default: %(default)s)"
    )
    guard.add_argument("--peer", choices=list(PEERS), help="the ranking of a peer, at the shared trigger")
    judge.add_argument("--json", type=Path, help="write the report here")
    judge.add_argument("--misses", action="store_true", help="list the incidents that went wrong")
    judge.add_argument("--gate", action="store_true", help="exit 1 unless the issue's bounds hold")
    judge.set_defaults(run=_judge)
    _add_recorded(commands)
    return parser


def _add_recorded(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    record = commands.add_parser("record", help="have incidents happen on a real kernel, and file what was recorded")
    record.add_argument("--cluster", action="store_true", help="in the test cluster, and not in the machine")
    record.add_argument("--kinds", nargs="*", default=[], metavar="KIND", help="default: all")
    record.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS), metavar="SEED")
    record.add_argument("--timeout", type=float, default=7200, metavar="SECONDS", help="of each boot")
    record.set_defaults(run=_record)

    recorded = commands.add_parser("recorded", help="everybody on the recorded incidents: recorded.json, in seconds")
    recorded.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    recorded.add_argument("--out", type=Path, default=judged.COMMITTED)
    recorded.set_defaults(run=_recorded)


def _generate(options: argparse.Namespace) -> int:
    for name, seed in (("train", TRAIN_SEED), ("test", TEST_SEED)):
        begin, snapshots, size, per_kind = time.monotonic(), 0, 0, Counter[str]()
        written = write_corpus(options.out / name, seed, options.per_kind, options.kinds or list(KINDS), options.jobs)
        for kind, count, length in written:
            per_kind[kind] += 1
            snapshots += count
            size += length
        seconds = time.monotonic() - begin
        print(
            f"{options.out / name}: {per_kind.total()} incidents of {len(per_kind)} kinds, {snapshots} snapshots, "
            f"{size / 1e6:.0f} MB unpacked, {seconds:.1f} s"
        )
    return 0


def _judge(options: argparse.Namespace) -> int:
    guard = judging.Guard("command", options.command)
    if options.peer:
        guard = judging.Guard("peer", options.peer)
    begin = time.monotonic()
    judged = judging.run(guard, options.corpus, options.jobs, options.kinds)
    verdicts = [verdict for _, _, verdict in judged]
    print(judging.table(judging.summaries(verdicts)))
    print(f"{guard.name} on {options.corpus}: {len(judged)} incidents in {time.monotonic() - begin:.1f} s")
    if options.misses:
        print(judging.failures(judged))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(judging.report(guard, options.corpus, judged), indent=1), encoding="utf-8")
    held = judging.gate(verdicts)
    if options.gate and not all(held.values()):
        print(f"not held: {', '.join(name for name, ok in held.items() if not ok)}", file=sys.stderr)
        return 1
    return 0


def _record(options: argparse.Namespace) -> int:
    """The machine and the cluster are imported when they are wanted: they need programs that a judge does not."""
    if options.cluster:
        from bench.victims.recording.cluster import record_cluster

        return 0 if record_cluster(options.kinds, _say) else 1
    from bench.victims.recording.record import cases, record

    return 0 if record(cases(options.kinds, options.seeds), options.timeout, _say) else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _recorded(options: argparse.Namespace) -> int:
    found = judged.measure(options.jobs, options.out)
    print(f"{sum(found['where'].values())} recorded incidents, written to {options.out}")
    return 0


def _measure(options: argparse.Namespace) -> int:
    whole = not options.kinds and options.per_kind >= PER_KIND
    out = options.out or (report.COMMITTED if whole else FOLDER / "report.json")
    for line in report.measure(options.per_kind, options.jobs, options.kinds or list(KINDS), out):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
