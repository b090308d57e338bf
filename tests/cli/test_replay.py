from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli import incident
from tests.cli.conftest import Run


@pytest.mark.row("G2", "T4")
def test_one_decision_ends_the_incident(run: Run, trace: Path) -> None:
    report = json.loads(run("replay", trace, "-o", "json").out)
    assert report["summary"] == {"snapshots": incident.SECONDS, "decisions": 1}
    (decision,) = report["decisions"]
    assert decision["victim"] == incident.LEAK
    assert decision["action"] in ("kill", "terminate", "evict")
    assert decision["candidates"][0]["id"] == incident.LEAK
    assert decision["freedBytes"] > decision["needBytes"]


@pytest.mark.row("G2")
def test_the_same_trace_gives_the_same_bytes(run: Run, trace: Path, tmp_path: Path) -> None:
    packed = incident.write_trace(tmp_path / "incident.jsonl.gz")
    assert (
        run("replay", trace, "-o", "json") == run("replay", trace, "-o", "json") == run("replay", packed, "-o", "json")
    )


@pytest.mark.row("G2")
def test_the_order_of_the_containers_does_not_matter(run: Run, trace: Path, tmp_path: Path) -> None:
    turned = incident.lines()
    for line in turned[1:]:
        line["containers"].reverse()
    other = incident.write_trace(tmp_path / "turned.jsonl", turned)
    assert run("replay", other, "-o", "json") == run("replay", trace, "-o", "json")


def test_a_calm_trace_has_no_decision(run: Run, tmp_path: Path) -> None:
    calm = incident.write_trace(tmp_path / "calm.jsonl", incident.lines()[:5])
    ran = run("replay", calm)
    assert (ran.code, ran.out) == (0, "snapshots: 4, decisions: 0\n")


def test_a_plan_file_takes_the_place_of_the_traces_plan(run: Run, trace: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[rules]]\nmatch = { pod = "cart-*" }\nprotected = true\n')
    decisions = json.loads(run("replay", trace, "--plan", plan, "-o", "json").out)["decisions"]
    assert incident.LEAK not in [decision["victim"] for decision in decisions]
