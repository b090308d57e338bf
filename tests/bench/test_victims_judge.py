"""The judge: who is right, what is forbidden, too late or needless, and the sums with their intervals."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.victims import corpus
from bench.victims import judge as judging
from bench.victims.__main__ import main
from bench.victims.corpus import Truth
from bench.victims.verdict import Decision, Mean, bootstrap, judge, summarise, victims_of, wilson
from hypothesis import given
from hypothesis import strategies as st

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRUTH = Truth(
    kind="slow-leak",
    seed=1,
    story="a story",
    domain="node",
    needs_victim=True,
    culprits=["bad"],
    forbidden=["db", "main"],
    exhausted_at=END.isoformat(),
    outlives_container=["tmpfs"],
    cost={"bad": 2.0, "db": 20.0, "main": 8.0, "web": 1.0, "tmpfs": 1.0},
    pods={"bad": "pod-1", "main": "pod-1", "db": "pod-2", "web": "pod-3", "tmpfs": "pod-4"},
    roles={"bad": "culprit", "db": "database", "main": "jvm", "web": "web", "tmpfs": "web"},
    largest_process_share={},
)
CALM = replace(TRUTH, needs_victim=False, culprits=[], exhausted_at=None, kind="jvm-plateau")


def at(seconds: float, victim: str, action: str = "kill") -> Decision:
    return Decision(END + timedelta(seconds=seconds), victim, action)


@pytest.mark.parametrize(
    ("decisions", "right", "forbidden", "too_late", "cost_ratio"),
    [
        ([at(-5, "bad")], True, False, False, 1.0),
        ([at(-5, "web"), at(-2, "bad")], False, False, False, 1.5),
        ([at(-2, "bad"), at(-5, "web")], False, False, False, 1.5),  # order in time counts
        ([at(-5, "bad"), at(-2, "db")], True, True, False, 11.0),
        ([at(-5, "bad", "evict")], True, True, False, 5.0),  # the innocent in the pod dies too
        ([at(-5, "pod-1", "evict")], True, True, False, 5.0),
        ([at(-9, "web", "brake"), at(-5, "bad", "terminate")], True, False, False, 1.0),
        ([at(0, "bad")], False, False, True, None),  # in the very snapshot of exhaustion
        ([at(1, "db")], False, True, True, None),
        ([at(-5, "bad", "notify")], False, False, True, None),
        ([], False, False, True, None),
    ],
)
def test_needed_victims(
    decisions: list[Decision], right: bool, forbidden: bool, too_late: bool, cost_ratio: float | None
) -> None:
    verdict = judge(TRUTH, decisions)
    assert (verdict.right, verdict.forbidden, verdict.too_late) == (right, forbidden, too_late)
    assert verdict.cost_ratio == cost_ratio
    assert not verdict.needless


def test_ahead_is_from_the_first_victim_to_exhaustion() -> None:
    assert judge(TRUTH, [at(-13, "bad"), at(-2, "web")]).ahead_seconds == 13


def test_nobody_should_die() -> None:
    assert judge(CALM, [at(-5, "web")]).needless
    assert not judge(CALM, [at(-5, "web", "reclaim")]).needless
    assert not judge(CALM, []).too_late


def test_killing_for_files_that_outlive_is_futile() -> None:
    assert judge(TRUTH, [at(-5, "tmpfs"), at(-4, "tmpfs", "evict")]).futile == 1


def test_who_dies_afterwards_counts_as_cost_and_as_forbidden_if_the_guard_chose() -> None:
    kernels = judge(TRUTH, [], [Decision(END, "db", by_kernel=True), Decision(END, "bad", by_kernel=True)])
    assert (kernels.too_late, kernels.victims, kernels.cost_ratio, kernels.forbidden) == (True, 2, 11.0, False)
    own = judge(TRUTH, [at(-5, "web")], [Decision(END, "db"), Decision(END, "bad")])
    assert (own.right, own.victims, own.cost_ratio, own.forbidden) == (False, 3, 11.5, True)


def test_a_pod_may_be_killed_in_place() -> None:
    """All its containers die, and files in memory stay."""
    verdict = judge(TRUTH, [at(-5, "pod-1"), at(-4, "pod-4")])
    assert (verdict.right, verdict.forbidden, verdict.futile) == (True, True, 1)


def test_unknown_victims_are_an_error() -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        victims_of(TRUTH, at(-1, "nobody"))


def test_wilson_against_known_values() -> None:
    rate = wilson(8, 10)
    assert (round(rate.low, 3), round(rate.high, 3)) == (0.490, 0.943)
    assert wilson(0, 10).low == 0
    assert round(wilson(0, 10).high, 3) == 0.278


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share(of: int, data: st.DataObject) -> None:
    rate = wilson(data.draw(st.integers(0, of)), of)
    assert 0 <= rate.low <= rate.share + 1e-12
    assert rate.share - 1e-12 <= rate.high <= 1


def test_bootstrap_is_about_the_mean_and_the_same_each_time() -> None:
    assert bootstrap([]) is None
    assert bootstrap([2.0] * 9) == Mean(9, 2.0, 2.0, 2.0)
    values = [1.0] * 90 + [11.0] * 10
    found = bootstrap(values)
    assert found == bootstrap(values)
    # a mean of 2 with a standard error of 0.3
    assert found is not None
    assert found.mean == 2.0
    assert 1.2 < found.low < 1.6
    assert 2.4 < found.high < 2.8


def test_means_are_over_those_that_needed_a_victim_and_got_one() -> None:
    row = summarise("all", [judge(TRUTH, [at(-5, "bad")]), judge(TRUTH, []), judge(CALM, [at(-5, "web")])])
    assert row.victims is not None
    assert (row.victims.of, row.victims.mean) == (1, 1)
    assert row.cost_ratio is not None
    assert row.cost_ratio.of == 1
    assert row.over_freed_ratio is None


def test_rates_are_over_those_that_they_are_about() -> None:
    verdicts = [judge(TRUTH, [at(-5, "bad")]), judge(TRUTH, []), judge(CALM, [at(-5, "web")]), judge(CALM, [])]
    row = summarise("all", verdicts)
    assert (row.right.count, row.right.of) == (1, 2)
    assert (row.too_late.count, row.too_late.of) == (1, 2)
    assert (row.needless.count, row.needless.of) == (1, 2)
    assert judging.gate(verdicts) == {"right": False, "forbidden": True, "needless": False, "too_late": False}


def test_answers_come_as_json() -> None:
    fact = {"takenAt": END.isoformat(), "victim": "bad", "action": "evict", "domain": "node"}
    nobody = {"takenAt": END.isoformat(), "victim": None, "action": "notify"}
    assert judging.decisions_of({"decisions": [fact, nobody]}) == [Decision(END, "bad", "evict")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("victims")
    list(corpus.write_corpus(folder, 40, 1, ["fast-leak", "flat-culprit", "near-full-flat"], jobs=1))
    return folder


def test_a_peer_is_judged_by_its_ranking(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "--corpus", str(small), "--peer", "kubelet", "--jobs", "1"]) == 0
    assert "kubelet" in capsys.readouterr().out


def test_a_command_is_judged_by_what_it_prints(small: Path, tmp_path: Path) -> None:
    """A stand-in guard that kills, in the first snapshot, the culprit that it reads from the truth."""
    script = tmp_path / "guard.py"
    script.write_text(
        "import gzip, json, sys\n"
        "trace = sys.argv[1]\n"
        "assert sys.argv[2:] == ['-o', 'json']\n"
        "truth = json.load(open(trace.replace('.jsonl.gz', '.truth.json')))\n"
        "first = json.loads(gzip.open(trace).readline())\n"
        "ids = [{'takenAt': first['takenAt'], 'victim': who, 'action': 'kill'} for who in truth['culprits']]\n"
        "print(json.dumps({'decisions': ids, 'summary': {}}))\n"
    )
    command = f"{sys.executable} {script}"
    report = tmp_path / "report.json"
    assert main(["judge", "--corpus", str(small), "--command", command, "--jobs", "1", "--json", str(report)]) == 0
    whole = json.loads(report.read_text())
    assert whole["gate"] == {"right": True, "forbidden": True, "needless": True, "too_late": True}
    assert [row["label"] for row in whole["kinds"]] == ["fast-leak", "flat-culprit", "near-full-flat", "all"]
    assert main(["judge", "--corpus", str(small), "--command", command, "--jobs", "1", "--gate"]) == 0


def test_a_guard_that_sleeps_fails_the_gate(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "asleep.py"
    script.write_text("print('{\"decisions\": []}')\n")
    command = f"{sys.executable} {script}"
    assert main(["judge", "--corpus", str(small), "--command", command, "--jobs", "1", "--gate", "--misses"]) == 1
    printed = capsys.readouterr()
    assert "too_late" in printed.out
    assert "right" in printed.err


def test_a_guard_that_fails_says_so(small: Path, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import sys; sys.exit('no such thing')\n")
    guard = judging.Guard("command", f"{sys.executable} {script}")
    with pytest.raises(RuntimeError, match="no such thing"):
        judging.run(guard, small, jobs=1)


def test_an_empty_corpus_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="generate"):
        judging.run(judging.Guard("peer", "largest"), tmp_path, jobs=1)
