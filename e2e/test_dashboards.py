"""Every query of every dashboard and alert, asked of a real Prometheus that scraped this cluster while things happened.

What was answered is kept in build/dashboards.json: `python -m tools.pictures dashboards` draws docs/images from it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.forward import forwarded
from e2e.helm import NAMESPACE
from e2e.prometheus import Prometheus, Target
from e2e.workloads import Manifest, Shop, container, eventually, once, opened, pod, policy
from tests.machine.image import REPOSITORY
from tests.monitoring.rules import ALERTS, RULES, RUNBOOKS, uses
from tools.dashboards import DIRECTORY
from tools.dashboards.asking import Asked, Span, asked, choices, read

from memguard.core.fairness import ENOUGH_ENDS

pytestmark = [pytest.mark.lab, pytest.mark.row("K4")]
ANSWERS = REPOSITORY / "build" / "dashboards.json"
NODE, OTHER = NODES
MIB = 1 << 20
EVERY_SECONDS = 5
BOARDS = [read(path) for path in sorted(DIRECTORY.glob("*.json"))]
HEADROOM = f'memguard_node_headroom_bytes{{node="{NODE}"}}'
#: Long enough for a slow leak to be seen as one, and short enough for the cluster to stand it.
SLOW = ("hog", "rate=6", "max=4000")


@contextmanager
def scraping(memguard: Deployment, directory: Path) -> Iterator[Prometheus]:
    """Prometheus reads the agents and the operator's replicas, labelled as the chart's PodMonitors would."""
    listed = json.loads(memguard.cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]
    with ExitStack() as stack:
        targets = [_target(memguard, one, stack) for one in listed if one["status"]["phase"] == "Running"]
        with Prometheus(directory, targets, every_seconds=EVERY_SECONDS, rules=ALERTS) as server:
            eventually(lambda: server.value("count(up == 1)") == len(targets), "all are scraped")
            yield server


def _target(memguard: Deployment, one: Manifest, stack: ExitStack) -> Target:
    meta, spec = one["metadata"], one["spec"]
    component = meta["labels"]["app.kubernetes.io/component"]
    port, name = {"node": (9465, "agent"), "operator": (9466, "operator")}[component]
    address = stack.enter_context(forwarded(memguard.cluster, NAMESPACE, meta["name"], port))
    labels = {"pod": meta["name"], "namespace": NAMESPACE, "container": name}
    return Target(address, labels | ({"node": spec["nodeName"]} if component == "node" else {}))


@pytest.fixture(scope="module")
def prometheus(memguard: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It saw all that happened, and a leak goes on while it is asked."""
    limits = policy("all", "store", mode="Enforce", limit={"guard": True}, stop={"graceMilliseconds": 4000})
    with (
        scraping(memguard, tmp_path_factory.mktemp("prometheus")) as server,
        opened(memguard.cluster, "store", limits) as store,
        opened(memguard.cluster, "yard") as yard,
    ):
        yard.make(pod("loose", OTHER, _one_that_meets_its_limit("128Mi"), namespace="yard"))
        names = [*_meet_their_limits(store, OTHER, 4)]
        _fill_the_node(store, yard)
        names += _meet_their_limits(store, NODE, 2)
        eventually(lambda: sum(bool(store.acted(name)) for name in names) >= ENOUGH_ENDS - 1, "they are ended", 240)
        eventually(lambda: yard.restarts("loose", "app") >= 1, "the kernel ends the one that nobody guards")
        _leak_slowly(server, store, yard)
        yield server


def _one_that_meets_its_limit(limit: str) -> Manifest:
    """Once, and is content then."""
    hog = ("hog", "delay_ms=10000", "rate=60", "max=800", "term_ms=200")
    return once(container("app", *hog, request="32Mi", limit=limit))


def _meet_their_limits(store: Shop, node: str, count: int) -> Iterator[str]:
    """The names of some that do, under a policy that guards limits.

    On an emulated node that is busy beside them the kernel may come first to one.
    """
    for number in range(count):
        name = f"cart-{node}-{number}"
        store.make(pod(name, node, _one_that_meets_its_limit("160Mi"), namespace="store"))
        yield name


def _fill_the_node(store: Shop, yard: Shop) -> None:
    """One that is ended by the guard, and one that is only observed and ended by the kernel."""
    leak = container("app", "hog", "rate=100", "max=4000", request="64Mi")
    store.create(pod("search", NODE, once(leak), namespace="store"))
    eventually(lambda: store.acted("search"), "the guard ends it", 240)
    store.kubectl("delete", "pod", "search", "--wait=true")
    yard.create(pod("batch", NODE, once(leak), namespace="yard"))
    eventually(lambda: yard.decisions("batch"), "it is observed", 240)
    eventually(lambda: yard.restarts("batch", "app") >= 1, "the kernel ends it", 240)
    yard.kubectl("delete", "pod", "batch", "--wait=true")


def _leak_slowly(server: Prometheus, store: Shop, yard: Shop) -> None:
    """One that the operator evicts, and one that goes on."""
    eventually(lambda: (server.value(HEADROOM) or 0) > 1000 * MIB, "the node is calm again", 240)
    size = int(server.value(HEADROOM) or 0) // MIB - 650
    calm = container("calm", "warm", "rate=400", f"max={size}", request=f"{size}Mi")
    store.create(pod("calm", NODE, calm, namespace="store"))
    leak = container("app", *SLOW, request="64Mi", limit="3Gi")
    store.make(_replicated(pod("orders", NODE, leak, namespace="store")))
    eventually(lambda: server.value('sum(memguard_operator_decisions_total{outcome="acted"})'), "it has acted", 400)
    store.kubectl("delete", "replicaset", "orders", "--cascade=foreground")
    yard.create(pod("report", NODE, leak, namespace="yard"))
    for metric in ("memguard_node_exhaustion_seconds", "memguard_container_time_to_limit_seconds"):
        eventually(lambda metric=metric: server.query(metric), f"there is {metric}", 200)


def _replicated(one: Manifest) -> Manifest:
    """The pod as somebody's who makes it anew: such a one can be evicted."""
    template = {"metadata": {"labels": one["metadata"]["labels"]}, "spec": one["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": one["metadata"]["labels"]}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": one["metadata"], "spec": spec}


@pytest.fixture(scope="module")
def span(prometheus: Prometheus) -> Span:
    end = time.time()
    start = min(float(one["values"][0][0]) for one in prometheus.query("up[1h]"))
    return Span(start, end, EVERY_SECONDS, 4 * EVERY_SECONDS)


@pytest.fixture(scope="module")
def answers(prometheus: Prometheus, span: Span) -> dict[str, list[Any]]:
    """All of them, by the dashboard's, the panel's and the query's names; kept for who draws them."""
    found = {
        f"{one.board}/{one.panel['id']}/{one.ref}": _answer(one, prometheus, span)
        for board in BOARDS
        for one in asked(board, choices(board, node=NODE) | span.variables)
    }
    ANSWERS.parent.mkdir(exist_ok=True)
    ANSWERS.write_text(json.dumps({"span": span._asdict(), "answers": found}, indent=1) + "\n")
    return found


def _answer(one: Asked, prometheus: Prometheus, span: Span) -> list[Any]:
    if one.instant:
        return prometheus.query(one.expression, span.end)
    return prometheus.query_range(one.expression, span.start, span.end, span.step)


@pytest.mark.parametrize("board", BOARDS, ids=[board["uid"] for board in BOARDS])
def test_every_query_has_an_answer(board: dict[str, Any], answers: dict[str, list[Any]]) -> None:
    silent = [key for key, found in answers.items() if key.startswith(f"{board['uid']}/") and not found]
    titles = {str(panel["id"]): panel["title"] for panel in board["panels"] if panel["type"] != "row"}
    assert [f"{titles[key.split('/')[1]]} ({key[-1]})" for key in silent] == []


def test_every_alert_is_evaluated_of_series_that_are_there(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    selected = {use.text for rule in RULES for use in uses(rule["expr"])}
    #: Nothing failed, so nobody counts it: the one counter whose labels are not known before.
    selected -= {"memguard_operator_failures_total"}
    assert [text for text in sorted(selected) if not prometheus.query(f"last_over_time({text}[1h])")] == []


@pytest.mark.row("K9")
def test_the_alert_of_what_was_missed_was_raised(prometheus: Prometheus, span: Span) -> None:
    fired = prometheus.query_range('ALERTS{alertname="MemguardKernelOomMissed"}', span.start, span.end, EVERY_SECONDS)
    told = {(one["metric"]["node"], one["metric"].get("namespace")) for one in fired}
    assert {(OTHER, "yard"), (NODE, "yard")} <= told


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_work(path: Path, memguard: Deployment, tmp_path: Path) -> None:
    """Those that ask kubectl alone: without the plugin, what is piped elsewhere, and what goes onto the node."""
    block = path.read_text().partition("```console\n")[2].partition("```")[0]
    asked_for = [line[2:].partition(" | ")[0] for line in block.splitlines()]
    script = "\n".join(
        line for line in asked_for if not re.search("kubectl (memguard|debug)|podmonitors|forward", line)
    )
    (tmp_path / "kubectl").write_text(f'#!/bin/sh\nexec {shlex.join(memguard.cluster.kubectl_command)} "$@"\n')
    (tmp_path / "kubectl").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NODE": NODE}
    ran = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{script}\n{ran.stderr}"
