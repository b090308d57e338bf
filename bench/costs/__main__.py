"""`python -m bench costs`: see --help."""

from __future__ import annotations

import argparse
import sys

from bench.costs import claims, parts, report, tables
from bench.kernel.report import spoken


def costs(argv: list[str]) -> int:
    """What guarding costs. Exit code 1 when a claim does not hold."""
    options = _parser().parse_args(argv)
    names = options.part or list(parts.QUICK if options.quick else parts.PARTS)
    if not options.report_only:
        parts.measure(names, quick=options.quick, resume=options.resume, jobs=options.jobs, say=_say)
    content = report.section(quick=options.quick)
    report.write(content)
    found = report.figures_of(content)
    for write in tables.TABLES.values():
        _say(write(found))
    for claim in content["claims"]:
        _say(spoken(claim))
    return int(claims.broken(content["claims"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench costs", description=costs.__doc__)
    parser.add_argument("part", nargs="*", choices=[*parts.PARTS, []], metavar="PART", help=f"{', '.join(parts.PARTS)}")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(parts.QUICK)} with 10 and 250 containers")
    parser.add_argument("--resume", action="store_true", help="only what was not measured of this code")
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time (each uses a core; default: 2)")
    parser.add_argument("--report-only", action="store_true", help="measure nothing, tell what is there")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(costs(sys.argv[1:]))
