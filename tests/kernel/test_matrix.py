"""The matrix and its judges, without a machine: nothing of it may be left out by mistake."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from bench.kernel.cells import DOMAINS, FILLS, NAMED, SHAPES, Spot, by_name, matrix, unlimited
from bench.kernel.docs import filled
from bench.kernel.guards import LABELS, config, guard
from bench.kernel.journal import read_journal
from bench.kernel.report import Group, claims, groups, interval, overall, ratios, summary, table
from bench.kernel.runs import Run, Store, all_runs, measure, read_runs
from bench.kernel.verdict import failures
from tests.machine.guest.peers import PEERS
from tests.machine.guest.result import CellResult, ContainerResult, GuardResult, ProcessResult
from tests.machine.guest.spec import MIB, Guard

from memguard.guard.config import parse_config

ONE = Spot(domain="node", shape="one", fill="4k")
SYSTEM = Spot(domain="system", shape="one", fill="4k")
TMPFS = Spot(domain="node", shape="tmpfs", fill="4k")


class TestCells:
    def test_the_matrix_is_every_fill_at_every_boundary_in_every_shape(self) -> None:
        found = {(spot.fill, spot.domain, spot.shape) for spot in matrix()}
        assert {(f, d, s) for f in FILLS for d in DOMAINS for s in SHAPES} <= found
        assert {(fill, "system", "one") for fill in FILLS} <= found
        assert len(found) == len(list(matrix()))

    def test_the_named_eight_cover_every_boundary_and_every_shape(self) -> None:
        assert len(NAMED) == 8
        assert {spot.domain for spot in NAMED} == {*DOMAINS, "system"}
        assert frozenset().union(*(spot.covers for spot in NAMED)) == set(SHAPES)

    def test_half_of_the_matrix_is_unlimited(self) -> None:
        assert len(list(unlimited())) == len(list(matrix())) // 2
        assert all(spot.cell(Guard(), "none").rate_mib_s == 0 for spot in unlimited())

    def test_a_name_is_one_place(self) -> None:
        assert all(by_name(spot.name) == spot for spot in (*matrix(), *NAMED))

    def test_every_configuration_is_a_good_one(self) -> None:
        text = config(
            reserve="1000", idle=True, tuning={"hold": False}, budget={"perNode": 0}, rule={"protected": True}
        )
        parsed = parse_config(text.encode())
        assert (parsed.tuning.hold, parsed.budget.per_node, parsed.rules[0].protected) == (False, 0, True)

    def test_every_peer_races_twice_as_it_comes_and_at_its_best(self) -> None:
        assert (LABELS[0], LABELS[-1]) == ("none", "memguard")
        assert {name.removesuffix("-default") for name in PEERS} == {"earlyoom", "nohang", "oomd", "systemd-oomd"}
        assert {f"{name}-default" for name in PEERS if not name.endswith("-default")} <= set(PEERS)
        assert all(guard(label).kind == label for label in LABELS)


def container(name: str, *, culprit: bool = False, died: bool = False, **changes: Any) -> ContainerResult:
    facts: dict[str, Any] = {
        "name": name, "path": name, "culprit": culprit, "processes": (ended(1.0),) if died else (),
        "alive_pids": 0 if died else 1, "died": died, "touched": died, "oom_kills": 0, "events": {},
        "current_bytes": 0, "peak_bytes": None, "limit_bytes": None,
    }  # fmt: skip
    return ContainerResult(**{**facts, **changes})


def ended(at: float | None) -> ProcessResult:
    return ProcessResult(role="hog", pid=1, ended_at=at, exit_code=-9)


READY = {"exit_code": 0, "stop_seconds": 0.1, "ready_seconds": 0.1}


def result(*, log: tuple[dict[str, Any], ...] = (), hog: bool = True, **changes: Any) -> CellResult:
    guard = GuardResult(kind="memguard", **READY, log=tuple(json.dumps(line) for line in log))
    facts: dict[str, Any] = {
        "name": "x", "seconds": 1.0, "lasted": 1.0, "kernel_oom_kills": 0, "kernel_log": (),
        "containers": (container("hog", culprit=True, died=hog), container("service")),
        "culprits_died": ("hog",) if hog else (), "culprits_whole": hog, "innocents_touched": (), "idle_touched": 0,
        "reserve_bytes": 0, "headroom_start_bytes": 0, "headroom_min_bytes": 0, "headroom_min_at": 0.0,
        "line_crossed_at": None,
        "overshoot_bytes": 0, "overshoot_ms": 0.0, "available_min_bytes": 0, "available_min_at": 0.0,
        "fill_bytes_s": None, "filled_bytes": 0, "grew_until": None, "ended_at": None, "limit_bytes": None,
        "limit_peak_bytes": None, "latency": None, "churn_mib_s": None, "churn_worst_ms": None, "stall_some_ms": 0.0,
        "stall_full_ms": 0.0, "vmstat": {}, "worst_step_ms": 0.0, "sigterm_at": None, "exit_at": None, "guard": guard,
    }  # fmt: skip
    return CellResult(**{**facts, **changes})


def deed(name: str) -> dict[str, Any]:
    return {
        "kind": "decision",
        "mode": "Enforce",
        "victim": {"name": name},
        "timing": {"acted": 0.001},
        "domain": "node",
    }


ALARM = {"kind": "alarm", "reason": "foreign"}


class TestVerdict:
    def test_the_right_victim_is_no_failure(self) -> None:
        assert failures(ONE, result(log=(deed("hog"),))) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"kernel_oom_kills": 1}, "the kernel's OOM killer"),
            ({"innocents_touched": ("service",)}, "touched: service"),
            ({"idle_touched": 2}, "touched: idle ones"),
            ({"hog": False}, "still alive: hog"),
            ({"culprits_whole": False}, "did not die whole"),
            ({"leftovers": {"x/memory.high": "1"}}, "left behind: x/memory.high"),
            ({"guard": GuardResult(kind="memguard", **{**READY, "exit_code": 1})}, "the guard ended with 1"),
            ({"guard": GuardResult(kind="memguard", **READY, major_faults=1)}, "major faults"),
            ({"guard": GuardResult(kind="memguard", **READY, log=("Traceback",))}, "Traceback"),
            ({"guard": GuardResult(kind="oomd", exit_code=1)}, "never said that it was ready"),
            ({"guard": GuardResult(kind="oomd", exit_code=1, died_early=True)}, "the guard ended early, with 1"),
        ],
    )
    def test_each_thing_that_goes_wrong_is_named(self, changes: dict[str, Any], words: str) -> None:
        assert any(words in failure for failure in failures(ONE, result(**changes)))

    def test_foreign_growth_wants_an_alarm_and_forgives_one_kill(self) -> None:
        assert failures(SYSTEM, result(log=(ALARM, deed("service")), hog=False, kernel_oom_kills=1)) == []
        assert failures(SYSTEM, result(log=())) == ["no alarm about growth outside of the pods"]

    @pytest.mark.parametrize("kind", ["memguard", "earlyoom", "none"])
    def test_more_than_one_kill_for_foreign_growth_is_too_many_whoever_did_it(self, kind: str) -> None:
        paid = (container("a", died=True), container("b", died=True), container("c", died=True, oom_kills=1))
        log = (json.dumps(ALARM),)
        found = failures(SYSTEM, result(containers=paid, guard=GuardResult(kind=kind, **READY, log=log)))
        assert found == ["2 kills for somebody else's growth: a, b"]
        assert failures(SYSTEM, result(containers=paid[1:], guard=GuardResult(kind=kind, **READY, log=log))) == []

    def test_what_outlives_its_container_costs_nobody_twice(self) -> None:
        assert failures(TMPFS, result(log=(deed("hog"),))) == []
        assert failures(TMPFS, result(log=(), hog=False)) == []
        assert failures(TMPFS, result(log=(deed("hog"), deed("hog")))) == ["hog was killed 2 times"]

    def test_observed_decisions_are_no_deeds(self) -> None:
        journal = read_journal(['{"kind": "decision", "mode": "Observe", "victim": {"name": "a"}}', "no json", "[1]"])
        assert (journal.victims, journal.noise) == ([], ("no json", "[1]"))


class TestMeasure:
    def test_the_line_is_where_reaction_and_death_count_from(self) -> None:
        hog = container("hog", culprit=True, died=True, processes=(ended(1.3),))
        found = measure(result(containers=(hog,), line_crossed_at=1.0, grew_until=1.05))
        assert (found["reactionMs"], found["deadMs"]) == (pytest.approx(50), pytest.approx(300))

    def test_a_line_that_was_never_crossed_took_no_time(self) -> None:
        hog = container("hog", culprit=True, died=True, processes=(ended(1.1),))
        found = measure(result(containers=(hog,), grew_until=1.05))
        assert (found["reactionMs"], found["deadMs"]) == (0, 0)

    def test_death_before_the_line_took_no_time_either(self) -> None:
        hog = container("hog", culprit=True, died=True, processes=(ended(1.1),))
        assert measure(result(containers=(hog,), line_crossed_at=2.0))["deadMs"] == 0

    def test_the_first_hog_to_be_gone_counts_also_when_its_container_lives_on(self) -> None:
        reader = ProcessResult(role="churn", pid=2, ended_at=1.5, exit_code=0)
        database = container("database", culprit=True, processes=(reader, ended(3.0)))
        other = container("hog", culprit=True, processes=(ended(None),))
        found = measure(result(containers=(database, other), culprits_died=(), line_crossed_at=1.0, grew_until=2.5))
        assert (found["reactionMs"], found["deadMs"]) == (pytest.approx(1500), pytest.approx(2000))

    def test_who_never_died_has_no_time_of_death(self) -> None:
        hog = container("hog", culprit=True, processes=(ended(None),))
        found = measure(result(containers=(hog,), hog=False, line_crossed_at=1.0, grew_until=2.0))
        assert (found["reactionMs"], found["deadMs"]) == (None, None)

    def test_what_innocents_had_done_and_held_is_lost_with_them(self) -> None:
        facts = {"held_start_bytes": 9 * MIB, "held_bytes": 2 * MIB, "cpu_ms": 40.0}
        hog = container("hog", culprit=True, died=True, **facts)
        victims = (container("service", died=True, **facts), container("lat", died=True, **facts))
        found = measure(result(containers=(hog, *victims, container("database", **facts))))
        assert (found["workLostMs"], found["overFreedMib"]) == (80.0, 14.0)

    def test_what_was_left_at_the_worst_moment(self) -> None:
        assert measure(result(headroom_min_bytes=3 * MIB))["leastLeftMib"] == 3


def run(guard: str = "memguard", repeat: int = 0, failures: tuple[str, ...] = (), **figures: float) -> Run:
    return Run(
        spot=ONE.name, guard=guard, clock="virtual", repeat=repeat, code="c", failures=failures, figures=figures
    )  # fmt: skip


class TestReport:
    def test_interval_is_lowest_median_highest(self) -> None:
        assert interval([3, 1, 2]) == (1, 2, 3)
        assert interval([]) is None

    def test_ratios_compare_medians_with_the_best_peer_of_the_same_cell(self) -> None:
        peers = [run("earlyoom", p99Ms=10, worstMs=50), run("oomd", p99Ms=12, worstMs=40), run("none", p99Ms=1)]
        found = groups([run(p99Ms=11, worstMs=20), *peers, run(repeat=1, p99Ms=11, worstMs=20)])
        assert ratios(found[0], found, ("p99Ms", "worstMs")) == {"p99Ms": 1.1, "worstMs": 0.5}
        assert ratios(found[1], found, ("p99Ms", "worstMs")) == {}

    def test_who_lost_innocents_has_no_stalls_to_be_compared_with(self) -> None:
        found = groups([run(p99Ms=11), run("oomd", p99Ms=1), run("oomd", repeat=1), run("nohang", p99Ms=10)])
        assert ratios(found[0], found, ("p99Ms",)) == {"p99Ms": 1.1}

    def test_guards_are_told_over_the_cells_that_all_of_them_ran(self) -> None:
        alone = Run(spot=SYSTEM.name, guard="memguard", clock="virtual", repeat=0, code="c")
        real = Run(spot=ONE.name, guard="memguard", clock="real", repeat=0, code="c")
        bad = run("oomd", failures=("x",), kernelOomKills=2, overshootMs=9)
        told = overall(groups([run(overshootMs=1), run(repeat=1, overshootMs=3), alone, real, bad]))
        assert [(one["guard"], one["runs"], one["good"], one["kernelFirst"]) for one in told] == [
            ("memguard", 2, 2, 0), ("oomd", 1, 0, 1),
        ]  # fmt: skip
        assert told[0]["figures"]["overshootMs"] == (1, 2, 3)
        assert overall([]) == []

    def test_a_ratio_to_nothing_is_none_or_endless(self) -> None:
        found = groups([run(overshootMs=0, reactionMs=1), run("oomd", overshootMs=0, reactionMs=0)])
        assert ratios(found[0], found, ("overshootMs", "reactionMs")) == {"overshootMs": 0, "reactionMs": math.inf}

    def test_a_cell_that_a_peer_won_and_memguard_lost_is_a_claim_that_fails(self) -> None:
        def holds(*runs: Run) -> dict[str, Any]:
            return {claim["claim"]: claim["holds"] for claim in claims(groups(runs))}

        claim = "good wherever a peer is"
        assert holds(run(failures=("x",)), run("oomd", failures=("x",)))[claim]
        assert not holds(run(failures=("x",)), run("oomd"))[claim]

    def test_a_claim_holds_fails_or_was_not_measured(self) -> None:
        def holds(*runs: Run) -> dict[str, Any]:
            return {claim["claim"].split(" ")[0]: claim["holds"] for claim in claims(groups(runs))}

        unknown = {"overshoot": None, "reaction": None, "stalls": None}
        assert holds(run(overshootMs=4, decisionMs=0.5)) == {
            "every": True, "good": True, "median": True, "worst": True, "decision": True, **unknown,
        }  # fmt: skip
        late = holds(run(overshootMs=21, decisionMs=2, failures=("x",)))
        assert late == {
            "every": False, "good": True, "median": False, "worst": False, "decision": False, **unknown,
        }  # fmt: skip
        raced = holds(run(overshootMs=4, reactionMs=9, p99Ms=2), run("nohang", overshootMs=40, reactionMs=80, p99Ms=1))
        assert (raced["overshoot"], raced["reaction"], raced["stalls"]) == (True, False, False)

    def test_the_summary_lists_what_was_not_run(self) -> None:
        found = summary([run()], [ONE, SYSTEM])
        assert found["notRun"] == [SYSTEM.name]
        assert found["cells"][0]["runs"] == found["cells"][0]["good"] == 1

    def test_the_table_has_a_line_for_each_guard(self) -> None:
        lines = list(table([run(overshootMs=1.25), run("none", kernelOomKills=3)]))
        assert len(lines) == 4
        assert "| none | virtual | 1/1 | 1/1 |" in lines[2]
        assert "| 1.2 |" in lines[3]
        several = list(table([run(overshootMs=1.25), run(overshootMs=3.5)]))
        assert "| 2.4 [1.2-3.5] |" in several[2]

    @pytest.mark.parametrize(("block", "guards"), [("kernel", ["none", "memguard"]), ("ablation", ["memguard"])])
    def test_the_page_shows_what_was_measured(self, block: str, guards: list[str]) -> None:
        runs = [run(label, overshootMs=1.25) for label in guards]
        section = {"commit": "abc", **summary(runs)}
        page = filled(f"before\n<!-- {block} -->\nold\n<!-- end -->\nafter\n", {block: section})
        assert [line.split(" | ")[1] for line in page.splitlines() if "node-one-4k" in line] == guards
        assert "old" not in page
        assert page.endswith("<!-- end -->\nafter\n")

    def test_a_block_after_those_of_others_is_found(self) -> None:
        others = "<!-- victims: kinds -->\nleft\n<!-- end -->\n"
        page = filled(f"{others}<!-- tests -->\nold\n<!-- end -->\n", {"tests": {"commit": "abc", "figures": {}}})
        assert page.startswith(others)
        assert "old" not in page

    def test_the_page_names_every_peers_source(self) -> None:
        page = filled("<!-- peers -->\n<!-- end -->\n", {})
        assert all(f"| {name} | {peer.source} |" in page for name, peer in PEERS.items())

    def test_groups_keep_variants_apart(self) -> None:
        other = Run(spot=ONE.name, guard="memguard", variant="no hold", clock="virtual", repeat=0, code="c")
        assert [group.variant for group in groups([run(), other])] == ["", "no hold"]
        assert isinstance(groups([other])[0], Group)


class TestStore:
    def test_runs_of_the_same_code_count_once_whichever_shard_made_them(self, tmp_path: Any) -> None:
        for shard in ("kernel", "kernel-1of2"):
            Store(tmp_path / f"{shard}.jsonl", "c").add(run(overshootMs=1.0))
        Store(tmp_path / "kernel-2of2.jsonl", "c").add(run(repeat=1))
        assert [found.repeat for found in all_runs("kernel", "c", tmp_path)] == [0, 1]
        assert all_runs("kernel", "d", tmp_path) == []

    def test_a_line_that_was_cut_off_is_no_run(self, tmp_path: Any) -> None:
        path = tmp_path / "kernel.jsonl"
        Store(path, "c").add(run())
        path.write_bytes(path.read_bytes() + b'{"spot": "node-')
        assert list(read_runs(path)) == [run()]
