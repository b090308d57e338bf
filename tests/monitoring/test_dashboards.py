"""Dashboards: every query is asked of a real Prometheus that scraped the code's own registries, and has an answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.prometheus import Prometheus
from tests.cluster.clients import wait_until
from tests.monitoring.rules import ALERTS, RULES, RUNBOOKS, grouped, uses
from tests.monitoring.scene import Scene, served
from tools import dashboards
from tools.dashboards.asking import Asked, Span, asked, choices, panels, read

from memguard.core.catalogue import CATALOGUE, OPERATOR

pytestmark = pytest.mark.row("K4")
FILES = sorted(dashboards.DIRECTORY.glob("*.json"))
BOARDS = {path.stem: read(path) for path in FILES}
METRICS = {one.name: one for one in (*CATALOGUE, *OPERATOR)}
#: prometheus_client's own, of every process.
OF_PROCESSES = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}
TARGET_LABELS = {"cluster", "node", "instance", "pod", "namespace", "container", "le"}
NAMES = {"datasource", "cluster", "node", "namespace"}
#: Scraped once a second; every rate is of so wide a window.
SHOWN_SECONDS, WINDOW_SECONDS = 60.0, 5.0
QUERIES = [
    one
    for board in BOARDS.values()
    for one in asked(board, choices(board, node="a") | Span(0, SHOWN_SECONDS, 1, WINDOW_SECONDS).variables)
]
#: How often all were scraped; each second once.
SEEN = "min(count_over_time(memguard_guard_connected[1m]))"
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It saw calm, and then trouble everywhere."""
    with served() as scene, Prometheus(tmp_path_factory.mktemp("prometheus"), scene.targets, rules=ALERTS) as server:
        wait_until(lambda: server.value("count(up == 1)") == len(scene.targets))
        wait_until(lambda: (server.value(SEEN) or 0) > WINDOW_SECONDS + 1)
        _trouble(scene, server)
        yield server


def _trouble(scene: Scene, server: Prometheus) -> None:
    scene.trouble()
    wait_until(lambda: server.value('sum(memguard_outcomes_total{action="kill"})') == 4)
    seen = server.value(SEEN) or 0
    wait_until(lambda: (server.value(SEEN) or 0) >= seen + 2)


@pytest.fixture(scope="module")
def span(prometheus: Prometheus) -> Span:
    now = time.time()
    return Span(now - SHOWN_SECONDS, now, 1, WINDOW_SECONDS)


@pytest.mark.parametrize("one", QUERIES, ids=[one.name for one in QUERIES])
def test_every_query_has_an_answer(one: Asked, prometheus: Prometheus, span: Span) -> None:
    if one.instant:
        found = prometheus.query(one.expression, span.end)
        values = [series["value"][1] for series in found]
    else:
        found = prometheus.query_range(one.expression, span.start, span.end, span.step)
        values = [value for series in found for _, value in series["values"]]
    assert values, one.expression
    assert "NaN" not in values, one.expression


@each_board
def test_variables_are_found_and_chosen_from(board: dict[str, Any], prometheus: Prometheus) -> None:
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert set(variables) <= NAMES
    assert list(variables)[:2] == ["datasource", "cluster"]
    for name, one in variables.items():
        if name == "datasource":
            assert (one["type"], one["query"]) == ("datasource", "prometheus")
            continue
        metric, _, label = one["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
        assert label == name
        found = {series["metric"].get(label, "") for series in prometheus.query(metric.replace("$cluster", ".*"))}
        assert found, "some value"
        assert found == {""} if name == "cluster" else all(found), "one cluster has no label of that name"
        assert not one.get("includeAll") or one["allValue"] == ".*", "All is also who does not have the label"


def test_every_alert_is_evaluated_and_those_fire_that_are_to(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(RULES)
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    alerts = prometheus.ask("alerts")["alerts"]
    assert {one["labels"]["alertname"] for one in alerts} >= {
        "MemguardBudgetExhausted", "MemguardDisruptionBudgetOverridden",
        "MemguardVictimStays", "MemguardNodeCritical", "MemguardForeignGrowth", "MemguardCriticalProcessGone",
        "MemguardRecordsLost", "MemguardReportsRefused", "MemguardEvictionUnfinished",
    }  # fmt: skip
    assert not [one for one in alerts if "error" in str(one["annotations"])]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_series_of_an_alert_is_there(rule: dict[str, Any], prometheus: Prometheus) -> None:
    for one in uses(rule["expr"]):
        assert prometheus.query(f"last_over_time({one.text}[1m])"), one.text


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_runbook_asks_can_be_asked(path: Path, prometheus: Prometheus) -> None:
    [block] = re.findall(r"```promql\n(.*?)```", path.read_text(), re.DOTALL)
    for line in block.splitlines():
        prometheus.query(line.replace("$NODE", "a"))
        assert {use.metric.removesuffix("_bucket") for use in uses(line)} <= set(METRICS) | OF_PROCESSES


# --- as they are written


def test_every_file_is_one_that_is_generated() -> None:
    """That they are current is tests/house's to say."""
    assert {path for path, _ in dashboards.outputs()} == set(FILES)


@each_board
def test_every_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"])
    assert len({panel["id"] for panel in panels(board)}) == len(panels(board))
    assert board["description"].endswith(".")


@each_board
def test_panels_neither_overlap_nor_leave_the_grid(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not taken & cells, panel["title"]
        taken |= cells
    height = 1 + max(y for _, y in taken)
    assert len(taken) >= 0.9 * 24 * height, "no holes to speak of"


@each_board
def test_no_data_source_is_named_and_the_others_are_linked(board: dict[str, Any]) -> None:
    assert set(re.findall(r'"uid": "([^"]*)"', json.dumps(board))) == {"${datasource}", board["uid"]}
    assert all(target["datasource"] for panel in panels(board) for target in panel["targets"])
    assert board["tags"] == ["memguard"]
    [link] = board["links"]
    assert (link["type"], link["tags"], link["keepTime"], link["includeVars"]) == (
        "dashboards",
        ["memguard"],
        True,
        True,
    )


@pytest.mark.parametrize("one", QUERIES, ids=[one.name for one in QUERIES])
def test_it_is_about_metrics_and_labels_that_exist(one: Asked) -> None:
    used = list(uses(one.expression))
    assert used
    known = set(TARGET_LABELS)
    for use in used:
        name = use.metric.removesuffix("_bucket")
        assert name in METRICS or name in OF_PROCESSES, use.metric
        own = set(METRICS[name].labels) if name in METRICS else set()
        assert use.labels <= own | {"cluster", "node"}, use.text
        known |= own
    assert grouped(one.expression) <= known
    assert set(re.findall(r"{{(\w+)}}", one.legend)) <= known
    assert "job" not in grouped(one.expression) | {label for use in used for label in use.labels}


def test_every_metric_is_shown_somewhere() -> None:
    shown = {use.metric.removesuffix("_bucket") for one in QUERIES for use in uses(one.expression)}
    assert set(METRICS) - shown == set()


@each_board
def test_an_alert_that_a_panel_names_is_one(board: dict[str, Any]) -> None:
    named = {name for panel in panels(board) for name in re.findall(r"Memguard[A-Z]\w+", panel["description"])}
    assert named
    assert named <= {rule["alert"] for rule in RULES}


def steps_of(panel: dict[str, Any]) -> set[float]:
    """From where on it shows another colour, or a line."""
    return {one["value"] for one in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])} - {None}


def limits_of(alert: str) -> set[float]:
    """The figures that its expressions are held against; more than 0 of something counted is 1."""
    held = re.findall(
        r"[<>=]=? ([\d.]+)$", "\n".join(rule["expr"] for rule in RULES if rule["alert"] == alert), re.MULTILINE
    )
    return {float(one) or 1.0 for one in held}


@each_board
def test_a_panels_colours_change_where_its_alert_fires(board: dict[str, Any]) -> None:
    for panel in panels(board):
        named = set(re.findall(r"Memguard[A-Z]\w+", panel["description"]))
        limits = {limit for name in named for limit in limits_of(name)}
        assert not (named and steps_of(panel)) or steps_of(panel) & limits, panel["title"]
