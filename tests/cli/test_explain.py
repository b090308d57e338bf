from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli import incident
from tests.cli.conftest import Run

from memguard.core.exclusion import BELOW_THRESHOLD

DRY = 22


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The node when it is all but dry: even without a history somebody is chosen."""
    path = tmp_path / "node.json"
    path.write_text(json.dumps(incident.snapshot(DRY)))
    return path


def explained(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("explain", *arguments, "-o", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


@pytest.mark.row("G3")
def test_why_the_victim_and_why_not_the_others(run: Run, trace: Path) -> None:
    found = explained(run, trace)
    assert (found["container"], found["chosen"]) == (incident.LEAK, True)
    assert sum(factor["points"] for factor in found["factors"].values()) == found["score"]
    why_not = {other["id"]: other["whyNot"] for other in found["others"]}
    assert why_not.keys() == {incident.SERVICE, incident.DATABASE, incident.DNS}
    assert "against" in why_not[incident.SERVICE]
    assert why_not[incident.DNS] == "namespace kube-system is protected"


@pytest.mark.row("G3")
@pytest.mark.parametrize("wanted", [incident.SERVICE, "search-0", "shop/search-0/app", "shop/search-0", "search"])
def test_a_container_is_found_by_id_name_or_part_of_its_title(run: Run, trace: Path, wanted: str) -> None:
    found = explained(run, trace, "--container", wanted)
    assert (found["container"], found["chosen"]) == (incident.SERVICE, False)
    assert found["sentence"].startswith("shop/search-0/app is not chosen: badness")


@pytest.mark.row("G3")
def test_the_fewest_points_are_exact(run: Run, node: Path, tmp_path: Path) -> None:
    """With that adjustment the other one is chosen, with one point less of it not yet."""
    points = next(c["amount"] for c in explained(run, node)["changes"] if c["kind"] == "points")
    assert points < 0
    for adjustment, victim in ((points, incident.SERVICE), (points + 1, incident.LEAK)):
        plan = tmp_path / "plan.toml"
        plan.write_text(f'[[rules]]\nmatch = {{ pod = "cart-*" }}\nadjustment = {adjustment}\n')
        assert explained(run, node, "--plan", plan)["container"] == victim


@pytest.mark.row("G3")
def test_the_fewest_bytes_are_exact_to_the_mebibyte(run: Run, node: Path) -> None:
    amount = next(c["amount"] for c in explained(run, node)["changes"] if c["kind"] == "bytes")
    assert amount < 0
    for less, victim in ((-amount, incident.SERVICE), (-amount - incident.MIB, incident.LEAK)):
        snapshot = incident.snapshot(DRY)
        for key in ("anonBytes", "currentBytes"):
            snapshot["containers"][0]["memory"][key] -= less
        node.write_text(json.dumps(snapshot))
        assert explained(run, node)["container"] == victim


@pytest.mark.row("G3")
def test_the_excluded_are_told_what_holds_them_back(run: Run, trace: Path) -> None:
    assert_held_back_by_its_namespace(explained(run, trace, "-c", "dns-x2"))


def test_no_score_helps_the_excluded_who_are_below_the_threshold_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "calm.json"
    path.write_text(json.dumps(incident.snapshot(0)))
    assert_held_back_by_its_namespace(explained(run, path, "-c", "dns-x2"))


def assert_held_back_by_its_namespace(found: dict[str, Any]) -> None:
    (change,) = found["changes"]
    assert change["kind"] == "rule"
    assert "kube-system is protected" in change["words"]


def test_points_help_those_whose_score_alone_holds_them_back(run: Run, node: Path, tmp_path: Path) -> None:
    """They are told by words of the core, which the log has too."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[rules]]\nmatch = { pod = "search-0" }\nadjustment = -400\n')
    found = explained(run, node, "-c", "search-0", "--plan", plan)
    assert BELOW_THRESHOLD in found["sentence"]
    assert found["changes"][0]["kind"] == "points"


def test_nobody_is_chosen_on_a_calm_node(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "calm.json"
    path.write_text(json.dumps(incident.snapshot(0)))
    found = explained(run, path)
    assert found["sentence"].startswith("Nobody is chosen")
    assert found["container"] is None
    assert explained(run, path, "-c", "cart-7d9")["chosen"] is False


@pytest.mark.parametrize(
    ("wanted", "words"), [("nginx", "no container 'nginx' in it"), ("app", "means several containers"), ("", "several")]
)
def test_an_unclear_name_is_told_what_there_is(run: Run, trace: Path, wanted: str, words: str) -> None:
    ran = run("explain", trace, "-c", wanted)
    assert ran.code == 2
    assert words in ran.err
    assert "shop/cart-7d9/app" in ran.err


def decision(**changes: Any) -> dict[str, Any]:
    """A line of the guard's log, as guard/report.py writes it."""
    return {
        "kind": "decision",
        "at": "2026-11-23T06:00:18Z",
        "id": "20261123T060018-1-abc",
        "action": "kill",
        "victim": {"id": incident.LEAK, "namespace": "shop", "pod": "cart-7d9", "name": "app"},
        "reason": "shop/cart-7d9/app is chosen: the node is dry.",
        "score": 800,
        "badness": 0.9,
        "expectedBytes": 100,
        "factors": {"memory": {"value": 0.8, "weight": 1.8, "points": 800}},
        "candidates": [
            {"id": incident.LEAK, "title": "shop/cart-7d9/app", "score": 800, "badness": 0.9, "excluded": None},
            {"id": incident.SERVICE, "title": "shop/search-0/app", "score": 400, "badness": 0.5, "excluded": None},
            {
                "id": incident.DNS,
                "title": "kube-system/dns-x2/app",
                "score": 90,
                "badness": 0.1,
                "excluded": "protected",
            },
        ],
    } | changes


@pytest.mark.row("G3", "T2")
def test_the_guards_own_log_is_explained(run: Run, tmp_path: Path) -> None:
    log = incident.write_trace(tmp_path / "log", [{"kind": "start"}, decision(), {"kind": "outcome"}])
    found = explained(run, log)
    assert found["sentence"] == "shop/cart-7d9/app is chosen: the node is dry."
    assert [other["whyNot"] for other in found["others"]] == ["badness 0.50 against 0.90", "protected"]
    assert found["changes"][0]["amount"] == -401


def test_one_decision_of_a_log_is_found_by_id_or_victim(run: Run, tmp_path: Path) -> None:
    second = decision(
        id="second", victim={"id": incident.SERVICE, "pod": "search-0"}, notDoneBecause="its mode is Observe"
    )
    log = incident.write_trace(tmp_path / "log", [decision(), second])
    assert explained(run, log)["sentence"].endswith("It was not done: its mode is Observe.")
    assert explained(run, log, "-c", "cart-7d9")["container"] == incident.LEAK
    assert explained(run, log, "-c", "second")["container"] == incident.SERVICE
    assert run("explain", log, "-c", "nginx").code == 2


UNIT = ("Starting memguard.service...\nStarted memguard.service.\n", "memguard.service: Deactivated successfully.\n")


def log_of(path: Path, *lines: dict[str, Any], around: tuple[str, str] = ("", "")) -> Path:
    incident.write_trace(path, list(lines))
    path.write_text(path.read_text().join(around))
    return path


def test_the_words_of_systemd_around_a_log_are_skipped(run: Run, tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", {"kind": "start"}, decision(), around=UNIT)
    assert explained(run, log) == explained(run, log_of(tmp_path / "bare", decision()))


@pytest.mark.parametrize("around", [UNIT, ("", "")])
def test_a_log_without_a_decision_is_bad_input(run: Run, tmp_path: Path, around: tuple[str, str]) -> None:
    ran = run("explain", log_of(tmp_path / "log", {"kind": "start"}, around=around))
    assert (ran.code, ran.out) == (2, "")
    assert "there is no decision in it. Give a guard's log" in ran.err


@pytest.mark.parametrize(
    ("broken", "where"), [('{"kind": "deci\n', ":3: "), ('Oh.\n{"kind": "decision", "id": 1}\n', ":4: ")]
)
def test_a_broken_line_of_a_log_is_named(run: Run, tmp_path: Path, broken: str, where: str) -> None:
    log = log_of(tmp_path / "log", decision(), around=(UNIT[0] + broken, UNIT[1]))
    ran = run("explain", log)
    assert (ran.code, ran.out) == (2, "")
    assert f"{log}{where}" in ran.err


def test_words_before_a_trace_make_no_log_of_it(run: Run, trace: Path, tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", *incident.lines(), around=UNIT)
    assert run("explain", log).code == 2
    assert run("explain", trace).code == 0


@pytest.mark.row("G3")
@pytest.mark.parametrize("wanted", ["search-0", "shop/search-0/app", "shop/search-0", "search", incident.SERVICE])
def test_why_it_was_not_another_is_answered_from_the_candidates(run: Run, tmp_path: Path, wanted: str) -> None:
    log = log_of(tmp_path / "log", decision(thresholdScore=700), decision(candidates=[]))
    found = explained(run, log, "-c", wanted)
    assert found["sentence"] == (
        "shop/search-0/app (score 400) is not chosen: badness 0.50 against 0.90. shop/cart-7d9/app is."
    )
    assert (found["container"], found["chosen"], found["score"]) == (incident.SERVICE, False, 400)
    assert [change["words"] for change in found["changes"]] == [
        "with 401 points more, shop/search-0/app would be chosen"
    ]
    assert [other["whyNot"] for other in found["others"]] == ["it is the one that is chosen", "protected"]
    assert found["factors"] == {}


def test_what_holds_a_candidate_back_is_told_from_the_log(run: Run, tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", decision())
    found = explained(run, log, "-c", "dns-x2")
    assert found["sentence"] == "kube-system/dns-x2/app (score 90) is not chosen: protected. shop/cart-7d9/app is."
    assert [change["words"] for change in found["changes"]] == ["no score does, as long as protected"]


def test_a_name_of_several_candidates_and_one_of_none(run: Run, tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", decision(victim={"id": incident.LEAK}))
    for wanted, words in (("app", "means several containers"), ("nginx", "no container 'nginx' in it")):
        ran = run("explain", log, "-c", wanted)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
        assert "shop/cart-7d9/app" in ran.err


@pytest.mark.parametrize(
    ("threshold", "others", "points", "words"),
    [
        (788, 1, -13, "with 13 points less, shop/search-0/app would be chosen"),
        (787.2, 1, -13, "with 13 points less, shop/search-0/app would be chosen"),
        (100, 1, -401, "with 401 points less, shop/search-0/app would be chosen"),
        (788, 0, -13, "with 13 points less, nobody would be chosen"),
    ],
)
def test_the_threshold_counts_in_a_log_too(
    run: Run, tmp_path: Path, *, threshold: float, others: int, points: int, words: str
) -> None:
    made = decision(thresholdScore=threshold)
    made["candidates"] = made["candidates"][: 1 + others]
    (change,) = explained(run, log_of(tmp_path / "log", made))["changes"]
    assert (change["amount"], change["words"]) == (points, words)


@pytest.mark.parametrize("plan", ["none.toml", "plan.toml"])
def test_a_log_has_the_plan_of_its_time(run: Run, tmp_path: Path, plan: str) -> None:
    (tmp_path / "plan.toml").write_text("")
    ran = run("explain", log_of(tmp_path / "log", decision()), "--plan", tmp_path / plan)
    assert (ran.code, ran.out) == (2, "")
    assert "Leave --plan out" in ran.err
