"""The report on recorded incidents as tables in docs/benchmarks.md."""

import json
from typing import Any

from bench.victims.peers import PEERS
from bench.victims.recording.incidents import CLUSTER_KINDS, INCIDENTS
from bench.victims.recording.judged import COMMITTED
from bench.victims.report import ITSELF, RANKING, US, YARDSTICKS, best_peer, pick, share, told
from bench.victims.triggers import DAEMONS
from tools.markdown import table

Report = dict[str, Any]
WHOM = {"right": "right %", "forbidden": "forbidden %", "victims": "kills", "costRatio": "cost x",
        "overFreedRatio": "over-freed %"}  # fmt: skip
WHEN = {"right": "right %", "tooLate": "too late %", "needless": "false kills %", "forbidden": "forbidden %",
        "costRatio": "cost x"}  # fmt: skip
#: The daemons of the table by kind.
SHOWN = ("earlyoom", "nohang", "kubelet", "kubelet-5%", "koordlet")


def parts() -> dict[str, str]:
    """Each table by the name of its place in the page."""
    report = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return {
        "recorded": f"{_from(report)}\n\n{_ranking(report)}",
        "recorded_daemons": _daemons(report),
        "recorded_kinds": _kinds(report),
    }


def _from(report: Report) -> str:
    where, kernel = report["where"], report["kernel"]
    return (
        f"Recorded by {', '.join(report['recordedBy'])}: {where['machine']} incidents in the machine, "
        f"{where['cluster']} in the cluster. Judged at commit {report['commit']}, {report['at']}. Left to itself, the "
        f"kernel killed in {kernel['killed']} of those that need a victim, a right one first in {kernel['right']}; the "
        f"rule that stands for it in the table names who really died in {kernel['foretold']}.{_missing(report)}"
    )


def _missing(report: Report) -> str:
    """Stories that were told and never recorded."""
    recorded = {row["kind"] for row in report["rows"]}
    missing = [kind for kind in (*INCIDENTS, *CLUSTER_KINDS) if kind not in recorded]
    return f" Not recorded yet: {', '.join(missing)}." if missing else ""


def _named(guard: str) -> str:
    return f"**{guard}**" if guard == US else f"*{guard}*" if guard in YARDSTICKS else guard


def _row(report: Report, part: str, guard: str, kind: str = "all") -> Report:
    found: Report = next(iter(pick(report["rows"], part=part, guard=guard, kind=kind)), {})
    return found


def _ranking(report: Report) -> str:
    rows = ((_named(name), *(told(_row(report, RANKING, name), figure) for figure in WHOM)) for name in (US, *PEERS))
    return table(("ranking, on a real kernel", *WHOM.values()), rows)


def _daemons(report: Report) -> str:
    def row(guard: str) -> tuple[str, ...]:
        found = _row(report, ITSELF, guard)
        ahead = f"{found['aheadSeconds']:.1f}" if "aheadSeconds" in found else "-"
        return _named(guard), *(told(found, figure) for figure in WHEN), ahead

    return table(("by its own trigger", *WHEN.values(), "ahead s"), map(row, (US, *DAEMONS)))


def _kinds(report: Report) -> str:
    """What counts of each kind: the right one in time, or false kills where nobody should die."""

    def row(kind: str) -> tuple[str, ...]:
        ours = _row(report, ITSELF, US, kind)
        figure = "right" if "right" in ours else "needless"
        ranked = pick(report["rows"], part=RANKING, kind=kind) if figure == "right" else []
        ranking = [_share(ranked, US), _best(ranked)] if ranked else ["-", "-"]
        itself = (_count(_row(report, ITSELF, name, kind), figure) for name in (US, *SHOWN))
        return kind, "right" if figure == "right" else "false kills", *itself, *ranking

    kinds = [one["kind"] for one in pick(report["rows"], part=ITSELF, guard=US) if one["kind"] != "all"]
    head = ("kind", "counted", *map(_named, (US, *SHOWN)), "its ranking", "best peer's ranking")
    return table(head, map(row, kinds))


def _count(row: Report, figure: str) -> str:
    count, of, *_ = row[figure]
    return f"{count} of {of}"


def _share(rows: list[Report], guard: str) -> str:
    return _count(pick(rows, guard=guard)[0], "right")


def _best(rows: list[Report]) -> str:
    peer, ours = best_peer(rows, "right", most=True), pick(rows, guard=US)[0]
    words = f"{peer['guard']} {_count(peer, 'right')}"
    return f"**{words}**" if share(peer, "right") > share(ours, "right") else words
