from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from tests.cli import incident
from tests.cli.conftest import Run

from memguard.core.score import FACTORS
from memguard.core.trace import LEARNING, Reading, decode_lines, encode_line


@pytest.mark.row("G3", "T2")
def test_names_the_leak_and_lists_every_container(run: Run, trace: Path) -> None:
    report = json.loads(run("rank", trace, "-o", "json").out)
    assert report["victim"] == incident.LEAK
    assert "shop/cart-7d9/app is chosen" in report["reason"]
    assert [row["id"] for row in report["candidates"]][:2] == [incident.LEAK, incident.SERVICE]
    assert len(report["candidates"]) == 4


@pytest.mark.row("G3", "S9", "S10")
def test_the_points_of_the_factors_add_up_to_the_score(run: Run, trace: Path) -> None:
    for row in json.loads(run("rank", trace, "-o", "json").out)["candidates"]:
        assert sum(factor["points"] for factor in row["factors"].values()) == row["score"]
        assert {factor.name for factor in FACTORS} <= row["factors"].keys()
        assert all(factor["reason"] for factor in row["factors"].values())


@pytest.mark.row("C2")
def test_the_excluded_come_last_with_the_reason(run: Run, trace: Path) -> None:
    last = json.loads(run("rank", trace, "-o", "json").out)["candidates"][-1]
    assert (last["id"], last["excluded"]) == (incident.DNS, "namespace kube-system is protected")


@pytest.mark.row("C5")
def test_containers_outside_the_breaking_domain_are_listed_and_excluded(run: Run, tmp_path: Path) -> None:
    snapshot = incident.snapshot(0)
    full = snapshot["containers"][1]
    full["limitBytes"] = full["memory"]["anonBytes"] + 4 * incident.MIB
    plan = tmp_path / "plan.toml"
    plan.write_text("[[rules]]\nguardLimit = true\n")
    (tmp_path / "node.json").write_text(json.dumps(snapshot))
    report = json.loads(run("rank", tmp_path / "node.json", "--plan", plan, "-o", "json").out)
    assert report["domain"] == f"container:{incident.SERVICE}"
    outside = [row for row in report["candidates"] if row["id"] != incident.SERVICE]
    assert len(outside) == 3
    assert all(row["score"] == 0 and not row["factors"] and "outside" in row["excluded"] for row in outside)


def test_a_single_snapshot_needs_no_trace_and_may_be_spread_over_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.write_text("\n\n" + json.dumps(incident.snapshot(incident.SECONDS), indent=4))
    assert json.loads(run("rank", path, "-o", "json").out)["victim"] == incident.LEAK


@pytest.mark.parametrize("judged", [1, 0])
def test_the_sweeps_of_a_guard_are_history_and_without_a_decision_the_last_one_is_ranked(
    run: Run, trace: Path, tmp_path: Path, judged: int
) -> None:
    lines = list(decode_lines(trace.read_bytes().splitlines()))
    looks = [line for line in lines if isinstance(line, Reading)]
    swept = [msgspec.structs.replace(look, domain=LEARNING) for look in looks[: len(looks) - judged]]
    path = tmp_path / "swept.jsonl"
    path.write_bytes(b"".join(map(encode_line, (*swept, *looks[len(swept) :]))))
    assert run("rank", path, "-o", "json").out == run("rank", trace, "-o", "json").out


def test_history_counts(run: Run, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "last.json").write_text(json.dumps(incident.snapshot(incident.SECONDS - 1)))
    with_history = json.loads(run("rank", trace, "-o", "json").out)
    without = json.loads(run("rank", tmp_path / "last.json", "-o", "json").out)
    assert with_history["candidates"][0]["factors"]["growth"]["value"] == 1
    assert without["candidates"][0]["factors"]["growth"]["value"] == 0


def test_gzip_is_told_by_its_content(run: Run, trace: Path, tmp_path: Path) -> None:
    packed = tmp_path / "no-suffix"
    packed.write_bytes(gzip.compress(trace.read_bytes()))
    assert run("rank", packed, "-o", "json") == run("rank", trace, "-o", "json")


def test_typed_snapshot_lines_mean_the_same_as_bare_ones(run: Run, trace: Path, tmp_path: Path) -> None:
    typed = [{"type": "snapshot", "snapshot": incident.snapshot(second)} for second in range(incident.SECONDS)]
    path = incident.write_trace(tmp_path / "typed.jsonl", typed)
    assert run("rank", path, "-o", "json") == run("rank", trace, "-o", "json")


def test_a_plan_file_takes_the_place_of_the_traces_plan(run: Run, trace: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[rules]]\nmatch = { pod = "cart-*" }\nprotected = true\n')
    rows = json.loads(run("rank", trace, "--plan", plan, "-o", "json").out)["candidates"]
    assert {row["id"]: row["excluded"] for row in rows}[incident.LEAK] == "a policy protects it"


def test_json_and_yaml_say_the_same(run: Run, trace: Path) -> None:
    import yaml

    assert yaml.safe_load(run("rank", trace, "-o", "yaml").out) == json.loads(run("rank", trace, "-o", "json").out)


def test_the_table_is_for_people(run: Run, trace: Path) -> None:
    lines = run("rank", trace).out.splitlines()
    assert lines[0].startswith("shop/cart-7d9/app is chosen")
    heading = next(line for line in lines if "strongest factors" in line)
    assert " ".join(heading.split()) == "rank container score badness frees strongest factors excluded because"
