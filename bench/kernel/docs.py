"""`python -m bench docs`: the latest report into the tables of docs/, and beside them for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cluster import report as on_cluster
from bench.cluster.guards import GUARDS
from bench.kernel.report import COLUMNS, REPORT, Interval, markdown
from bench.kernel.runs import ROOT
from tests.machine.guest.peers import PEERS

PAGE = ROOT / "docs" / "benchmarks.md"
PAGES = (PAGE, PAGE.with_name("comparison.md"))
#: The report that is committed, with the commit that it measured.
COMMITTED = Path(__file__).with_name("report.json")
#: What the page tells of the half hour with real programs.
BENIGN = {
    "seconds": "seconds",
    "memoryMiB": "the machine's memory, MiB",
    "leastAvailableMiB": "least available, MiB",
    "falseKillsPerHour": "false kills per hour",
    "kernelOomKills": "killed by the kernel",
    "probes": "probes",
    "missed": "missed",
    "rounds": "rounds of work done",
    "churnRatio": "a minute of page-cache churn: its speed, of that without a guard",
    "wrong": "what went wrong",
}
#: Of a guard over all cells: in how many runs, and how much.
SHARES = {"good": "good", "kernelFirst": "kernel first", "wrongVictims": "wrong victims"}
OVERALL = {
    "overshootMs": "late ms", "leastLeftMib": "least left MiB", "reactionMs": "reaction ms", "p99Ms": "p99 ms",
    "worstMs": "worst ms", "workLostMs": "work lost ms", "overFreedMib": "over-freed MiB", "guardCpuMs": "CPU ms",
    "guardRssMib": "RSS MiB",
}  # fmt: skip
#: Blocks that need no measurement.
_SOURCES = {
    "peers": [(name, peer.source) for name, peer in PEERS.items()],
    "cluster_guards": [(guard.label, guard.source) for guard in GUARDS],
}
_BLOCK = re.compile(r"(<!-- (?!end )(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FOUR_DIGITS = 10_000
VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


def document() -> int:
    """Fill the pages. Exit code 1 without a report."""
    if not REPORT.exists():
        return 1
    known = merged(json.loads(COMMITTED.read_text()), json.loads(REPORT.read_text()))
    COMMITTED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    for page in PAGES:
        page.write_text(filled(page.read_text(), known))
    return 0


def merged(before: dict[str, Any], latest: dict[str, Any]) -> dict[str, Any]:
    """Section by section the latest; but what a few of the tests told does not take the place of what all told."""
    tests = "tests"
    if before.get(tests, {}).get("figures", {}).keys() - latest.get(tests, {}).get("figures", {}).keys():
        latest = {name: section for name, section in latest.items() if name != tests}
    return before | latest


def filled(page: str, report: dict[str, Any]) -> str:
    """The page with its blocks made anew; a block of a section that was not measured stays as it is."""

    def block(match: re.Match[str]) -> str:
        lines = list(_lines(match[2], report))
        return f"{match[1]}{chr(10).join(lines)}\n{match[3]}" if lines else match[0]

    return _BLOCK.sub(block, page)


def _lines(name: str, report: dict[str, Any]) -> Iterator[str]:
    if name in _SOURCES:
        yield from markdown(("guard", "its configuration, and by whose word"), _SOURCES[name])
        return
    section = report.get(dict.fromkeys(("claims", "guards", "saved"), "kernel").get(name, name))
    if section is None:
        return
    yield f"Measured at commit {section['commit']}, {section.get('at', '')}.\n".replace(", .", ".")
    if name == "claims":
        yield from markdown(("claim", "holds", "measured"), (_claim(claim) for claim in section["claims"]))
    elif name == "guards":
        yield from markdown(("guard", *SHARES.values(), *OVERALL.values()), map(_overall, section["guards"]))
    elif name == "saved":
        yield from markdown(("guard", *SHARES.values()), ((g["guard"], *_shares(g)) for g in section["guards"]))
    elif name == "tests":
        figures = {name: value for name, value in section["figures"].items() if not name.startswith("named ")}
        yield from markdown(("figure", "measured"), (_figure(*pair) for pair in figures.items()))
    elif name == "cluster":
        yield from on_cluster.table(section)
    elif name == "benign":
        yield from markdown(("figure", "measured"), (_figure(words, section[key]) for key, words in BENIGN.items()))
    else:
        yield from markdown(("cell", "guard", "good", *(title for title, _ in COLUMNS)), map(_cell, section["cells"]))
        if name == "matrix" and section["notRun"]:
            yield f"\nNot run: {', '.join(section['notRun'])}."


def _overall(guard: dict[str, Any]) -> tuple[str, ...]:
    figures = (guard["figures"].get(name) for name in OVERALL)
    return guard["guard"], *_shares(guard), *(str(Interval(*figure)) if figure else "" for figure in figures)


def _shares(guard: dict[str, Any]) -> Iterator[str]:
    return (f"{guard[name]}/{guard['runs']}" for name in SHARES)


def _claim(claim: dict[str, Any]) -> tuple[str, ...]:
    return claim["claim"], VERDICTS[claim["holds"]], claim["measured"]


def _figure(name: str, value: Any) -> tuple[str, ...]:
    return name, _words(value).replace("|", "\\|")


def _words(value: Any) -> str:
    """For people: numbers with four digits, and no brackets."""
    if isinstance(value, float):
        return f"{value:.4g}" if value < _FOUR_DIGITS else f"{value:.0f}"
    if isinstance(value, list):
        return "; ".join(map(_words, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(one)}" for key, one in value.items())
    return str(value)


def _cell(cell: dict[str, Any]) -> tuple[str, ...]:
    figures = (cell["figures"].get(name) for _, name in COLUMNS)
    clock = "" if cell["clock"] == "virtual" else " (4 CPUs, real clock)"
    guard = f"{cell['guard']} {cell.get('variant', '')}".strip() + clock
    shown = (str(Interval(*figure)) if figure else "" for figure in figures)
    return cell["cell"], guard, f"{cell['good']}/{cell['runs']}", *shown
