"""`python -m bench [kernel | ablation | benign | victims | cluster | scale]`: every figure that memguard claims.

Without a word: all that needs no cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.cluster.__main__ import main as cluster
from bench.kernel.__main__ import ablations, kernel
from bench.kernel.benign import benign
from bench.kernel.docs import document
from bench.scale import main as scale
from bench.victims import docs as victims_docs
from bench.victims.__main__ import main as victims


def all_of_them(argv: list[str]) -> int:
    """The matrix, the ablations, the real programs and the victims, one after the other; 1 when any of them fails."""
    codes = [kernel(["--resume", *argv]), ablations(["--resume", *argv]), benign([]), _judge()]
    return max(codes)


def _judge() -> int:
    return victims(["measure"]) or victims(["generate"]) or victims(["judge", "--gate"])


def _document() -> int:
    victims_docs.document()
    if document():
        print("python -m bench docs: no build/bench-report.json, so the tables of the real kernel stay as they are")
    return 0


BENCHES: dict[str, Callable[[list[str]], int]] = {
    "kernel": kernel,
    "ablation": ablations,
    "benign": benign,
    "victims": victims,
    "cluster": cluster,
    "scale": scale,
    "docs": lambda _: _document(),
}


def main(argv: list[str]) -> int:
    """The named bench, or all."""
    bench = BENCHES.get(argv[0]) if argv else None
    if argv and bench is None and not argv[0].startswith("-"):
        print(f"python -m bench: no bench {argv[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    return bench(argv[1:]) if bench else all_of_them(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
