"""The report: rows, claims and tables that say what was measured, and pages that are not stale."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench.victims import docs, report
from bench.victims.__main__ import main
from bench.victims.ablation import LEADING
from bench.victims.peers import PEERS
from bench.victims.report import COMMITTED, ITSELF, RANKING, US, best_peer, pick, share, told
from bench.victims.triggers import DAEMONS

from memguard.core.score import FACTORS


def row(guard: str, kind: str = "all", part: str = RANKING, **figures: list[float]) -> dict[str, Any]:
    default = {"right": [8, 10, 0.49, 0.94], "forbidden": [1, 10, 0.02, 0.4], "needless": [1, 4, 0.05, 0.7]}
    default |= {"tooLate": [0, 10, 0.0, 0.28], "costRatio": [1.5, 10, 1.1, 2.0], "victims": [1.2, 10, 1.0, 1.5]}
    default |= {"overFreedRatio": [0.02, 10, 0.0, 0.05]}
    return {"corpus": "test", "part": part, "guard": guard, "kind": kind, **default, **figures}


def claim(rows: list[dict[str, Any]], words: str) -> dict[str, Any]:
    both = [*rows, *({**one, "part": ITSELF} for one in rows)]
    return next(one for one in report.claims(both) if one["claim"] == words)


def test_whoever_is_first_is_named_with_its_figure() -> None:
    better = row("oomd", right=[9, 10, 0.6, 0.98])
    lost = claim([row(US), better, row("kernel")], "ranking: first in hit rate")
    assert lost == {
        "claim": "ranking: first in hit rate",
        "holds": False,
        "measured": "80 [49-94]; oomd 90 [60-98]",
    }
    assert claim([row(US), row("kernel")], "ranking: first in hit rate")["holds"]
    cheaper = row("oomd", costRatio=[1.4, 10, 1.0, 2.0])
    assert not claim([row(US), cheaper], "ranking: first in collateral cost")["holds"]


def test_yardsticks_are_no_peers() -> None:
    assert claim([row(US), row("kernel"), row("largest", right=[10, 10, 0.7, 1.0])], "ranking: first in hit rate")[
        "holds"
    ]


def test_a_kind_below_the_interval_of_its_best_peer_is_told() -> None:
    rows = [
        row(US),
        row("oomd"),
        row(US, "burst", right=[5, 10, 0.24, 0.76]),
        row("oomd", "burst", right=[9, 10, 0.6, 0.98]),
    ]
    lost = claim(rows, "ranking: no kind below the interval of its best peer")
    assert (lost["holds"], lost["measured"]) == (False, "burst (50 [24-76]; oomd 90 [60-98])")
    rows[2]["right"] = [6, 10, 0.31, 0.83]
    assert claim(rows, "ranking: no kind below the interval of its best peer")["holds"]


def test_false_kills_are_a_triggers_and_not_a_rankings() -> None:
    calm = [{**row(name, "batch-ends", needless=rate)} for name, rate in
            ((US, [3, 4, 0.3, 0.95]), ("oomd", [0, 4, 0.0, 0.2]))]  # fmt: skip
    for one in calm:
        del one["right"]
    rows = [row(US), row("oomd"), *calm]
    assert claim(rows, "ranking: no kind below the interval of its best peer")["holds"]
    assert not claim(rows, "by its own trigger: no kind below the interval of its best peer")["holds"]


def test_figures_for_people() -> None:
    assert told(row(US), "right") == "80 [49-94]"
    assert told(row(US), "costRatio") == "1.5 [1.1-2.0]"
    assert told(row(US), "overFreedRatio") == "2.0 [0.0-5.0]"
    assert told(row(US), "aheadSeconds") == "-"
    assert share(row(US), "unknown") != share(row(US), "unknown")  # nan
    assert best_peer([row(US), row("largest"), row("nohang")], "right", most=True)["guard"] == "nohang"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole way, with two incidents of each corpus."""
    out = tmp_path_factory.mktemp("report") / "report.json"
    kinds = ["--kinds", "fast-leak", "jvm-plateau"]
    assert main(["measure", "--per-kind", "1", "--jobs", "1", "--out", str(out), *kinds]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_everybody_is_judged_on_every_kind_of_both_corpora(measured: dict[str, Any]) -> None:
    for part, guards in ((RANKING, {US, *PEERS}), (ITSELF, {US, *DAEMONS})):
        for corpus in ("train", "test"):
            rows = pick(measured["rows"], part=part, corpus=corpus)
            assert {(one["guard"], one["kind"]) for one in rows} == {
                (guard, kind) for guard in guards for kind in ("all", "fast-leak", "jvm-plateau")
            }
    assert all(one["right"][1] == 1 for one in pick(measured["rows"], kind="fast-leak"))
    assert not any("right" in one for one in pick(measured["rows"], kind="jvm-plateau"))
    assert {one["corpus"] for one in measured["ablation"]} == {"train", "test"}


def test_a_change_of_nothing_turns_nothing(measured: dict[str, Any]) -> None:
    same = pick(measured["ablation"], variant="")
    assert len(same) == 6
    assert all((one["better"], one["worse"]) == (0, 0) for one in same)
    (ours,) = pick(measured["rows"], corpus="test", part=ITSELF, guard=US, kind="all")
    (itself,) = pick(same, corpus="test", part=ITSELF)
    assert ours["costRatio"] == itself["costRatio"]


def test_where_no_request_is_known_the_leading_factors_are_changed(measured: dict[str, Any]) -> None:
    blind = pick(measured["ablation"], corpus="test", part=report.UNKNOWN)
    assert {one["variant"].partition(" ")[0] for one in blind} == {"", *LEADING}


def test_the_report_is_json_with_a_row_a_line() -> None:
    written = report.dumped({"commit": "abc", "rows": [{"a": 1}, {"b": [2]}], "claims": []})
    assert json.loads(written) == {"commit": "abc", "rows": [{"a": 1}, {"b": [2]}], "claims": []}
    assert '\n  {"b": [2]}\n' in written


def test_the_committed_report_is_of_a_commit_and_whole() -> None:
    found = json.loads(COMMITTED.read_text())
    assert not found["commit"].endswith("+")
    assert found["perKind"] >= 10
    assert {one["variant"] for one in found["ablation"]} >= {f"{factor.name} without" for factor in FACTORS}
    assert found["claims"] == report.claims(found["rows"])


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_pages_say_what_the_report_says(page: Path) -> None:
    """`python -m bench docs` after a new report."""
    assert dict(docs.pages())[page] == page.read_text()
