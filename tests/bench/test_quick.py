"""The regression gate: what it lets pass, and what not."""

from typing import Any

import pytest
from bench.costs.figures import Pass
from bench.kernel.report import groups
from bench.kernel.runs import Run

from bench import quick

CELL = "node-swarm-4k"
FIGURES = {"decisionMs": 1.0, "guardCpuMs": 50.0, "guardRssMib": 20.0, "overshootMs": 0.0}


def committed(**figures: float) -> list[dict[str, Any]]:
    medians = {name: [value, value, value] for name, value in {**FIGURES, **figures}.items()}
    peer = {"cell": CELL, "guard": "earlyoom", "clock": "virtual", "figures": {"guardCpuMs": [0.1, 0.1, 0.1]}}
    return [peer, {"cell": CELL, "guard": "memguard", "clock": "virtual", "figures": medians}]


def worse(*runs: dict[str, float]) -> list[str]:
    found = [Run(spot=CELL, guard="memguard", clock="virtual", repeat=number, code="", figures={**FIGURES, **figures})
             for number, figures in enumerate(runs)]  # fmt: skip
    return [one.figure for one in quick.gated(groups(found), committed()) if not one.holds]


def test_the_same_figures_pass() -> None:
    assert worse({}, {}, {}) == []
    assert len(list(quick.gated(groups([]), committed()))) == 0


@pytest.mark.parametrize("figure", list(quick.TOLERANCES))
def test_each_figure_that_got_worse_is_named(figure: str) -> None:
    worst = FIGURES[figure] * 1.5
    assert worse({figure: worst}, {figure: worst}, {figure: worst}) == [figure]
    assert worse({}, {figure: worst}, {figure: worst}) == []  # a disk only adds
    assert worse({figure: 0.0}, {figure: 0.0}, {}) == []


def test_two_late_runs_of_three_are_named() -> None:
    late = {quick.LATE: 16.0}
    assert worse({}, late, late) == [quick.LATE]
    assert worse({}, {}, late) == []


def test_what_was_never_committed_is_not_judged() -> None:
    other = Run(spot="node-one-4k", guard="memguard", clock="virtual", repeat=0, code="", figures=FIGURES)
    assert list(quick.gated(groups([other]), committed())) == []


def test_the_committed_report_has_every_cell_of_the_gate() -> None:
    report = quick.COMMITTED.read_text(encoding="utf-8")
    assert all(f'"cell": "{cell}"' in report for cell in quick.CELLS)


def test_what_seems_worse_is_measured_once_more_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    late, fine = ([quick.Gated(cell=CELL, figure="overshootMs", committed=0.0, measured=ms, most=15.0)]
                  for ms in (16.0, 0.0))  # fmt: skip
    answers = iter([late, fine, late, late])

    def cells(names: list[str], _jobs: int) -> tuple[list[quick.Gated], list[str]]:
        asked.append(list(names))
        return next(answers), []

    monkeypatch.setattr(quick, "_cells", cells)
    monkeypatch.setattr(quick, "_passes", list)
    assert quick.main([]) == 0
    assert quick.main([]) == 1
    assert asked == [list(quick.CELLS), [CELL]] * 2


def test_a_run_that_was_not_good_gets_no_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_cells", lambda *_: ([], [f"{CELL} run 0: the kernel's OOM killer was first"]))
    monkeypatch.setattr(quick, "_passes", list)
    assert quick.main([]) == 1


def test_a_pass_that_got_slower_than_the_c_program_is_named() -> None:
    def a_pass(containers: int, judge_ms: float) -> Pass:
        return Pass(containers=containers, c_ms=(1.0,), read_ms=(1.0,), score_ms=(1.5,), judge_ms=(judge_ms,))

    before = [a_pass(250, 2.0)]
    holds = [one.holds for one in quick.passes_gated([a_pass(250, 2.05), a_pass(10, 9.0)], before)]
    assert holds == [True]
    assert not next(quick.passes_gated([a_pass(250, 2.15)], before)).holds
