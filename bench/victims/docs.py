"""The committed report as tables in docs/: `python -m bench docs` fills them in."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.kernel.runs import ROOT
from bench.victims import ablation
from bench.victims.peers import PEERS
from bench.victims.recording import tables
from bench.victims.report import COMMITTED, ITSELF, RANKING, UNKNOWN, US, YARDSTICKS, best_peer, pick, share, told
from bench.victims.triggers import DAEMONS
from tools.markdown import filled, table

from memguard.core.score import WEIGHTS

PAGES = [ROOT / "docs" / name for name in ("benchmarks.md", "score.md", "comparison.md")]
COLUMNS = {
    "right": "right %", "forbidden": "forbidden %", "victims": "kills", "costRatio": "cost x",
    "overFreedRatio": "over-freed %",
}  # fmt: skip
OWN_COLUMNS = {"right": "right %", "tooLate": "too late %", "needless": "false kills %"} | COLUMNS
#: The columns of the table of all kinds.
SHOWN = ("kernel", "earlyoom", "oomd", "kubelet", "kubelet-no-priority", "koordlet", "kernel-whole")

BLIND = "memguard, requests unknown"

Report = dict[str, Any]


def document() -> None:
    """Fill the pages."""
    for page, text in pages():
        page.write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[Path, str]]:
    """The pages as they should be."""
    report, recorded = json.loads(COMMITTED.read_text(encoding="utf-8")), tables.parts()
    for page in PAGES:
        yield page, filled(page.read_text(encoding="utf-8"), "victims", partial(_part, report, recorded))


def _part(report: Report, recorded: dict[str, str], name: str) -> str:
    if name in recorded:
        return recorded[name]
    parts = {
        "claims": _claims, "ranking": _ranking, "daemons": _daemons, "kinds": _kinds, "calm": _calm, "short": _short,
        "factors": partial(_factors, part=ITSELF), "blind_factors": partial(_factors, part=UNKNOWN),
        "ranking_factors": partial(_factors, part=RANKING),
    }  # fmt: skip
    return parts[name](report)


def _claims(report: Report) -> str:
    total = {corpus: sum(row["incidents"] for row in pick(_ours(report), corpus=corpus)) for corpus in report["seeds"]}
    begin = ", ".join(f"{count} {corpus} incidents" for corpus, count in total.items())
    rows = ((claim["claim"], "yes" if claim["holds"] else "**no**", claim["measured"]) for claim in report["claims"])
    return f"Measured at commit {report['commit']}, {report['at']}: {begin}.\n\n" + table(
        ("claim", "holds", "memguard; the best peer"), rows
    )


def _ours(report: Report) -> list[Report]:
    return pick(report["rows"], part=RANKING, guard=US, kind="all")


def _named(guard: str) -> str:
    return f"**{guard}**" if guard == US else f"*{guard}*" if guard in YARDSTICKS else guard


def _ranking(report: Report) -> str:
    def row(guard: str) -> tuple[str, ...]:
        (test,) = pick(report["rows"], corpus="test", part=RANKING, guard=guard, kind="all")
        (train,) = pick(report["rows"], corpus="train", part=RANKING, guard=guard, kind="all")
        return _named(guard), *(told(test, figure) for figure in COLUMNS), f"{100 * share(train, 'right'):.0f}"

    return table(("ranking", *COLUMNS.values(), "right %, train"), map(row, (US, *PEERS)))


def _daemons(report: Report) -> str:
    def row(guard: str) -> tuple[str, ...]:
        (test,) = _by_itself(report, guard)
        ahead = f"{test['aheadSeconds']:.1f}" if "aheadSeconds" in test else "-"
        return _named(guard), *(told(test, figure) for figure in OWN_COLUMNS), ahead

    guards = (guard for guard in (US, BLIND, *DAEMONS) if _by_itself(report, guard))
    return table(("by its own trigger", *OWN_COLUMNS.values(), "ahead s"), map(row, guards))


def _by_itself(report: Report, guard: str) -> list[Report]:
    if guard == BLIND:
        return pick(report["ablation"], corpus="test", part=UNKNOWN, variant="")
    return pick(report["rows"], corpus="test", part=ITSELF, guard=guard, kind="all")


def _of(report: Report, part: str, kind: str) -> list[Report]:
    return pick(report["rows"], corpus="test", part=part, kind=kind)


def _kinds_of(report: Report, figure: str) -> list[str]:
    rows = pick(report["rows"], corpus="test", part=ITSELF, guard=US)
    return [row["kind"] for row in rows if row["kind"] != "all" and figure in row]


def _kinds(report: Report) -> str:
    def row(kind: str) -> tuple[str, ...]:
        found = _of(report, RANKING, kind)
        (ours,) = pick(found, guard=US)
        (itself,) = pick(_of(report, ITSELF, kind), guard=US)
        peer = best_peer(found, "right", most=True)
        others = (f"{100 * share(pick(found, guard=name)[0], 'right'):.0f}" for name in SHOWN)
        best = f"{peer['guard']} {told(peer, 'right')}"
        return kind, told(itself, "right"), told(ours, "right"), best, _first(ours, peer), *others

    head = ("kind", "memguard by itself", "its ranking", "best peer", "first", *map(_named, SHOWN))
    return table(head, map(row, _kinds_of(report, "right")))


def _first(ours: Report, peer: Report) -> str:
    mine, theirs = share(ours, "right"), share(peer, "right")
    return "both" if mine == theirs else US if mine > theirs else f"**{peer['guard']}**"


def _calm(report: Report) -> str:
    def row(kind: str) -> tuple[str, ...]:
        found = {row["guard"]: told(row, "needless") for row in _of(report, ITSELF, kind)}
        return kind, *(found[guard] for guard in (US, *DAEMONS))

    return table(("nobody should die", _named(US), *DAEMONS), map(row, _kinds_of(report, "needless")))


def _short(report: Report) -> str:
    def row(guard: str) -> tuple[str, ...]:
        (test,) = pick(report["rows"], corpus="test", part=RANKING, guard=guard, kind="all")
        return _named(guard), *(told(test, figure) for figure in ("right", "forbidden", "costRatio", "victims"))

    best = [name for name in PEERS if name not in ("oomd-swap", "oomd-pressure", "systemd-oomd-swap", "largest")]
    return table(("ranking", "right %", "forbidden %", "cost x", "kills"), map(row, (*best, US)))


def _factors(report: Report, part: str) -> str:
    """What each change does to the hit rate, in points, in how many incidents it helps and hurts, and to the cost."""
    head = ["factor", "weight", *(f"{change}, {corpus}" for change in ablation.CHANGES for corpus in report["seeds"])]
    judged = {row["variant"].partition(" ")[0] for row in pick(report["ablation"], part=part)}
    rows = [(name, f"{WEIGHTS[name]:g}", *_moves(report, part, name)) for name in WEIGHTS if name in judged]
    if "leading" in judged:
        alone = [_moved(report, part, corpus, "leading only") for corpus in report["seeds"]]
        rows.append((f"{', '.join(ablation.LEADING)} alone", "", *alone, *[""] * (len(head) - 2 - len(alone))))
    return table(head, rows)


def _moves(report: Report, part: str, name: str) -> Iterator[str]:
    for change in ablation.CHANGES:
        for corpus in report["seeds"]:
            yield _moved(report, part, corpus, f"{name} {change}")


def _moved(report: Report, part: str, corpus: str, variant: str) -> str:
    (changed,) = pick(report["ablation"], corpus=corpus, part=part, variant=variant)
    (before,) = pick(report["ablation"], corpus=corpus, part=part, variant="")
    right, needless, cost = (share(changed, name) - share(before, name) for name in ("right", "needless", "costRatio"))
    if not (changed["better"] or changed["worse"] or round(cost, 2)):
        return "="
    kills = f", false kills {100 * needless:+.1f}" if round(needless, 3) and part != RANKING else ""
    costs = f", {cost:+.2f} x" if round(cost, 2) else ""
    return f"{100 * right:+.1f} ({changed['better']}:{changed['worse']}){kills}{costs}"
