"""`python -m chaos [PART ...]`: randomised faults, each run from a printed seed, and invariants checked after each.

Without a part all of them; what this commit has run already is not run again (`--again` does).
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from chaos.runs import commit, keep, kept, waiting

from chaos import report

#: Part: its module, and how many seeds it plays by default. A module has `play(seeds, say)`, an iterator of runs.
PARTS: dict[str, tuple[str, int]] = {
    "machine": ("chaos.machine.play", 200),
    "kernels": ("chaos.kernels", 56),
    "hours": ("chaos.hours", 1),
    "cluster": ("chaos.cluster.play", 84),
}


def main(argv: list[str]) -> int:
    """Play, keep, tell; 1 where an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seeds", metavar="N[-M]", help="which seeds, instead of the part's default number")
    parser.add_argument("--again", action="store_true", help="also those that this commit has run")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"unknown part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        module, count = PARTS[part]
        seeds = _seeds(options.seeds) if options.seeds else range(count)
        left = list(seeds) if options.again else waiting(part, seeds)
        print(f"{part}: {len(left)} of {len(seeds)} seeds to play", flush=True)
        for run in import_module(module).play(left, print) if left else ():
            keep(run)
            print(f"{part} seed {run.seed} [{', '.join(run.faults)}]: {'; '.join(run.broken) or 'held'}", flush=True)
    runs = kept()
    report.write(runs)
    found = report.summary([run for run in runs if run.commit == commit()])
    print(report.told(found))
    return int(any(content["broken"] for content in found.values()))


def _seeds(words: str) -> range:
    first, _, last = words.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
