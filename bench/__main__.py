"""`python -m bench [quick | full | NAME]`: all that memguard claims.

Without a word: the named cells against all peers, the costs and the victims; less than an hour. `full` takes hours, and
goes on where it was interrupted. Single ones: kernel, ablation, benign, victims, costs, cluster, scale. Everything is
told in build/bench-report.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from bench.cluster.__main__ import main as cluster
from bench.costs import docs as costs_docs
from bench.costs.__main__ import costs
from bench.kernel import report
from bench.kernel.__main__ import ablations, kernel
from bench.kernel.benign import benign
from bench.kernel.docs import document
from bench.quick import main as quick
from bench.scale import main as scale
from bench.victims import docs as victims_docs
from bench.victims.__main__ import main as victims
from bench.victims.report import COMMITTED as VICTIMS


def representative(argv: list[str]) -> int:
    """The named cells against the peers, three runs each, the costs and the victims; 1 when any of them fails."""
    return max(kernel(["--named", "--runs", "3", "--resume", *argv]), costs(["--resume"]), _victims())


def full(argv: list[str]) -> int:
    """Everything, the peers in every cell with an unlimited hog included; 1 when any of it fails."""
    raced = kernel(["--named", "--resume", *argv]), kernel(["--unlimited", "--peers", "--resume", *argv])
    return max(*raced, ablations(["--resume", *argv]), benign([]), costs(["--resume"]), _victims(), scale([]))


def _victims() -> int:
    code = victims(["measure"]) or victims(["recorded"]) or victims(["generate"]) or victims(["judge", "--gate"])
    report.update("victims", json.loads(VICTIMS.read_text(encoding="utf-8")))
    return code


def _document() -> int:
    victims_docs.document()
    if document():
        print("python -m bench docs: no build/bench-report.json, so the tables of the real kernel stay as they are")
    costs_docs.document()
    return 0


BENCHES: dict[str, Callable[[list[str]], int]] = {
    "quick": quick,
    "full": full,
    "kernel": kernel,
    "ablation": ablations,
    "benign": benign,
    "victims": victims,
    "costs": costs,
    "cluster": cluster,
    "scale": scale,
    "docs": lambda _: _document(),
}


def main(argv: list[str]) -> int:
    """The named bench, or the representative ones."""
    bench = BENCHES.get(argv[0]) if argv else None
    if argv and bench is None and not argv[0].startswith("-"):
        print(f"python -m bench: no bench {argv[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    return bench(argv[1:]) if bench else representative(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
