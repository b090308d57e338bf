"""Alerts: valid, fired and kept quiet by promtool, about metrics that exist, each with its runbook."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.cases import CASES, Case
from tests.monitoring.rules import ALERTS, NAMES, RULES, RUNBOOKS, grouped, stem, uses

from memguard.core.catalogue import CATALOGUE, OPERATOR

METRICS = {one.name: one for one in (*CATALOGUE, *OPERATOR)}
#: Prometheus' own, our PodMonitor's, and one that whoever has several clusters adds.
TARGET_LABELS = {"cluster", "node", "instance"}
pytestmark = pytest.mark.row("K4")


def promtool(*arguments: str | Path) -> None:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def rule_of(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The one whose own labels these include."""
    [found] = [one for one in RULES if one["alert"] == alert and one["labels"].items() <= labels.items()]
    return found


def shown(template: str, labels: Mapping[str, str], value: str) -> str:
    """What we mean by a template; promtool says whether Prometheus means the same."""
    told = re.sub(
        r"\s*{{- with \$labels\.(\w+) }}(.*?){{ \. }}{{ end }}",
        lambda found: f"{found[2]}{labels[found[1]]}" if labels.get(found[1]) else "",
        template,
    )
    told = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], told)
    return re.sub(r"{{ \$value[^}]*}}", value, told)


def expected(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "exp_labels": dict(labels),
            "exp_annotations": {
                name: shown(text, labels, case.value)
                for name, text in rule_of(case.alert, labels)["annotations"].items()
            },
        }
        for labels in case.fires
    ]


def test_promtool_finds_nothing_to_say() -> None:
    promtool("check", "rules", ALERTS)


@pytest.mark.parametrize("case", CASES, ids=[f"{one.alert}: {one.what}" for one in CASES])
def test_it_fires_when_it_is_to_and_only_then(case: Case, tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": case.alert, "exp_alerts": expected(case)}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", file)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_is_shown_to_fire_and_to_keep_quiet(rule: dict[str, Any]) -> None:
    mine = [one for one in CASES if one.alert == rule["alert"]]
    fired = [labels for one in mine for labels in one.fires]
    assert [labels for labels in fired if rule["labels"].items() <= labels.items()]
    assert [one for one in mine if not one.fires]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_is_about_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    used = list(uses(rule["expr"]))
    assert used
    assert not [one for one in used if one.metric not in METRICS]
    assert not [one for one in used if not one.labels <= set(METRICS[one.metric].labels)]
    known = TARGET_LABELS.union(*(METRICS[one.metric].labels for one in used))
    assert grouped(rule["expr"]) <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_values_that_it_asks_for_are_among_the_known(rule: dict[str, Any]) -> None:
    for one in uses(rule["expr"]):
        values = METRICS[one.metric].values
        asked = re.findall(r'"([^"]*)"', one.text)
        assert not values or {value for text in asked for value in text.split("|")} <= set(values), one.text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_says_how_bad_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"RUNBOOKS/{stem(rule['alert'])}.html"
    told = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert told <= grouped(rule["expr"])
    fired = [labels for one in CASES if one.alert == rule["alert"] for labels in one.fires]
    named = {"node", "namespace"}.intersection(
        *(labels for labels in fired if rule["labels"].items() <= labels.items())
    )
    assert named <= told


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == {stem(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_answers_what_is_asked_at_night(name: str) -> None:
    text = (RUNBOOKS / f"{stem(name)}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Meaning", "Impact", "Look", "Causes", "Remedy", "Silence"]
    assert "kubectl" in text
    assert "```promql" in text
