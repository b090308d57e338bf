"""Everybody on every incident: the report that is committed, and what must hold of it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from bench.kernel.runs import commit, minute
from bench.victims import ablation
from bench.victims.corpus import TEST_SEED, TRAIN_SEED, tell
from bench.victims.ours import Ours
from bench.victims.peers import PEERS
from bench.victims.play import at_own_trigger, at_shared_trigger, peer_next, verdict
from bench.victims.trace import Trace
from bench.victims.triggers import DAEMONS
from bench.victims.verdict import Summary, Verdict, summarise

COMMITTED = Path(__file__).with_name("report.json")
#: What the figures depend on.
MEASURED = ("operator/memguard/core", "bench/victims/*.py")
TOLD_EVERY = 100
SETS = {"train": TRAIN_SEED, "test": TEST_SEED}
US = "memguard"
#: No peers: they are there to be compared with.
YARDSTICKS = ("largest", "kernel-whole")
#: At one trigger that all share, only whom they choose differs; or each by its own trigger and pace.
RANKING, ITSELF = "ranking", "itself"
#: memguard by itself where nobody's request is known.
UNKNOWN = "unknown"

#: By part (ranking, itself, or a variant of the ablation and a part) and guard.
Verdicts = dict[tuple[str, str], Verdict]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One incident to be judged."""

    corpus: str
    kind: str
    seed: int


def judged(case: Case) -> Verdicts:
    """Everybody's verdict on one incident: memguard with readings missing, the peers with all of them."""
    incident = tell(case.kind, case.seed)
    trace = Trace(tell(case.kind, case.seed, complete=True).lines, incident.truth)
    ours = Ours(incident.lines, trace)
    found = {(RANKING, name): verdict(trace, at_shared_trigger(name, trace), peer_next(name)) for name in PEERS}
    for name, habits in DAEMONS.items():
        found[ITSELF, name] = verdict(trace, at_own_trigger(name, trace), peer_next(habits[0].ranking))
    for name, weights in (("", {}), *ablation.variants()):
        ask = ours.next(weights)
        found[f"{name}{RANKING}", US] = verdict(trace, ours.at_shared_trigger(weights), ask)
        found[f"{name}{ITSELF}", US] = verdict(trace, ours.by_itself(weights), ask)
    return found | _blind(incident.lines, trace)


def _blind(lines: list[bytes], trace: Trace) -> Verdicts:
    ours = Ours(lines, trace, requests=False)
    leading = (variant for name in ablation.LEADING for variant in ablation.changed(name))
    return {
        (f"{name}{UNKNOWN}", US): verdict(trace, ours.by_itself(weights), ours.next(weights))
        for name, weights in (("", {}), *leading)
    }


def measure(per_kind: int, jobs: int, kinds: Sequence[str], out: Path) -> Iterator[str]:
    """Judge everybody, write the report; yields what to tell."""
    cases = [
        Case(corpus, kind, seed + turn) for corpus, seed in SETS.items() for kind in kinds for turn in range(per_kind)
    ]
    measured, verdicts = commit(measured=MEASURED), []
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(judged, cases, chunksize=4):
            verdicts.append(found)
            if len(verdicts) % TOLD_EVERY == 0:
                yield f"{len(verdicts)} of {len(cases)} incidents"
    report = {
        "commit": measured,
        "at": minute(),
        "perKind": per_kind,
        "seeds": SETS,
        **figures(cases, verdicts),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(dumped(report), encoding="utf-8")
    yield from (f"{'holds' if claim['holds'] else 'FAILS':6} {claim['claim']}: {claim['measured']}"
                for claim in report["claims"])  # fmt: skip
    yield f"{len(cases)} incidents, written to {out}"


def figures(cases: Sequence[Case], verdicts: Sequence[Verdicts]) -> dict[str, Any]:
    """Rows by corpus, part, guard and kind (`all`: every kind), the ablation's, and the claims."""
    rows, changed = [], []
    for corpus in dict.fromkeys(case.corpus for case in cases):
        mine = [(case, found) for case, found in zip(cases, verdicts, strict=True) if case.corpus == corpus]
        guards = [key for key in mine[0][1] if key[0] in (RANKING, ITSELF)]
        rows += [
            row for key in guards for row in rows_of(corpus, key, [(case.kind, found[key]) for case, found in mine])
        ]
        changed += _ablation(corpus, [found for _, found in mine])
    return {"rows": rows, "ablation": changed, "claims": claims(rows)}


def rows_of(corpus: str, key: tuple[str, str], verdicts: Sequence[tuple[str, Verdict]]) -> Iterator[Row]:
    part, guard = key
    for kind in ("all", *dict.fromkeys(kind for kind, _ in verdicts)):
        summary = summarise(kind, [verdict for other, verdict in verdicts if kind in ("all", other)])
        yield {"corpus": corpus, "part": part, "guard": guard, "kind": kind, **_plain(summary)}


def _plain(summary: Summary) -> Row:
    """Rates as [count, of, low, high], means as [mean, of, low, high]; what was not to be measured is left out."""
    row: Row = {"incidents": summary.incidents, "futile": summary.futile}
    for name in ("right", "forbidden", "too_late", "needless"):
        rate = getattr(summary, name)
        if not isnan(rate.share):
            row[_camel(name)] = [rate.count, rate.of, round(rate.low, 4), round(rate.high, 4)]
    for name in ("victims", "cost_ratio", "over_freed_ratio"):
        if mean := getattr(summary, name):
            row[_camel(name)] = [round(mean.mean, 4), mean.of, round(mean.low, 4), round(mean.high, 4)]
    if summary.ahead_seconds is not None:
        row["aheadSeconds"] = round(summary.ahead_seconds, 2)
    return row


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _ablation(corpus: str, verdicts: Sequence[Verdicts]) -> Iterator[Row]:
    names = ("", *(name for name, _ in ablation.variants()))
    for part in (RANKING, ITSELF, UNKNOWN):
        before = [found[part, US] for found in verdicts]
        for name in (name for name in names if (f"{name}{part}", US) in verdicts[0]):
            after = [found[f"{name}{part}", US] for found in verdicts]
            better, worse = ablation.changes(before, after)
            row = _plain(summarise(name, after))
            yield {"corpus": corpus, "part": part, "variant": name, "better": better, "worse": worse, **row}


# -- what must hold ----------------------------------------------------------------------------------------------
def share(row: Row, figure: str) -> float:
    """A rate's share or a mean; nan where it was not measured."""
    value = row.get(figure)
    if value is None:
        return float("nan")
    return float(value[0] / value[1] if figure in RATES else value[0])


RATES = ("right", "forbidden", "tooLate", "needless")


def pick(rows: Iterable[Row], **wanted: str) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def best_peer(rows: Iterable[Row], figure: str, *, most: bool) -> Row:
    """The peer with the most or the least of a figure, of rows of one corpus, part and kind."""
    peers = [row for row in rows if row["guard"] not in (US, *YARDSTICKS) and figure in row]
    return (max if most else min)(peers, key=lambda row: share(row, figure))


def claims(rows: Sequence[Row]) -> list[Row]:
    """Issue 7's, on the test corpus: first in hit rate and cost, last in false kills, no kind below the best peer."""
    return [
        _first(rows, RANKING, "right", "ranking: first in hit rate", most=True),
        _first(rows, RANKING, "costRatio", "ranking: first in collateral cost", most=False),
        _first(rows, RANKING, "forbidden", "ranking: fewest forbidden victims", most=False),
        _first(rows, RANKING, "victims", "ranking: fewest kills needed", most=False),
        _first(rows, RANKING, "overFreedRatio", "ranking: least over-freed", most=False),
        _kinds(rows, RANKING),
        _first(rows, ITSELF, "right", "by its own trigger: first in hit rate", most=True),
        _first(rows, ITSELF, "costRatio", "by its own trigger: first in collateral cost", most=False),
        _first(rows, ITSELF, "tooLate", "by its own trigger: last in coming too late", most=False),
        _first(rows, ITSELF, "needless", "by its own trigger: last in false kills", most=False),
        _kinds(rows, ITSELF),
    ]


def _first(rows: Sequence[Row], part: str, figure: str, words: str, *, most: bool) -> Row:
    found = pick(rows, corpus="test", part=part, kind="all")
    (ours,) = pick(found, guard=US)
    peer = best_peer(found, figure, most=most)
    mine, theirs = share(ours, figure), share(peer, figure)
    held = mine >= theirs if most else mine <= theirs
    return {"claim": words, "holds": held, "measured": f"{told(ours, figure)}; {peer['guard']} {told(peer, figure)}"}


def told(row: Row, figure: str) -> str:
    """A figure with its interval, for people: rates and what was over-freed in percent."""
    if figure not in row:
        return "-"
    percent = figure in RATES or figure == "overFreedRatio"
    value, low, high = (100 * x if percent else x for x in (share(row, figure), *row[figure][2:]))
    digits = 0 if figure in RATES else 1
    return f"{value:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]"


def behind(rows: Sequence[Row], part: str) -> list[str]:
    """The kinds in which memguard's hit rate is below the interval of the best peer's, or it kills in vain above it."""
    lost = []
    for kind in dict.fromkeys(row["kind"] for row in rows if row["kind"] != "all"):
        found = pick(rows, corpus="test", part=part, kind=kind)
        (ours,) = pick(found, guard=US)
        figure = "right" if "right" in ours else "needless"
        if figure == "needless" and part == RANKING:  # the shared trigger's doing, not the rankings'
            continue
        peer = best_peer(found, figure, most=figure == "right")
        worse = share(ours, figure) < peer[figure][2] if figure == "right" else share(ours, figure) > peer[figure][3]
        if worse:
            lost.append(f"{kind} ({told(ours, figure)}; {peer['guard']} {told(peer, figure)})")
    return lost


def _kinds(rows: Sequence[Row], part: str) -> Row:
    lost = behind(rows, part)
    words = "ranking" if part == RANKING else "by its own trigger"
    measured = ", ".join(lost) or "every kind"
    return {"claim": f"{words}: no kind below the interval of its best peer", "holds": not lost, "measured": measured}


# -- files -------------------------------------------------------------------------------------------------------
def dumped(report: Row) -> str:
    """JSON with one row a line."""
    parts = [f" {json.dumps(key)}: {_listed(value)}" for key, value in report.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
