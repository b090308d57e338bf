"""`kubectl memguard` in a whole cluster: what real guards report, and the emergency stop of a real one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, opened, pod, policy
from tests.cluster.plugins import plugin_program

NODE = NODES[0]


class Plugin:
    """As kubectl finds it: a program of that name on the path."""

    def __init__(self, memguard: Deployment, directory: Path) -> None:
        self._kubectl = memguard.cluster.kubectl_command[0]
        path = f"{plugin_program(directory).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "KUBECONFIG": str(memguard.cluster.kubeconfig)}

    def __call__(self, *words: str) -> tuple[int, Any]:
        """Its exit code and its JSON."""
        command = [self._kubectl, "memguard", *words, "-o", "json"]
        ran = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout)


@pytest.fixture
def kubectl(memguard: Deployment, tmp_path: Path) -> Iterator[Plugin]:
    found = Plugin(memguard, tmp_path)
    yield found
    found("resume", "--all")


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, "plugin", policy("plugin", "plugin", mode="Enforce", limit={"guard": True})) as found:
        yield found


@pytest.mark.smoke
def test_it_shows_all_nodes_and_finds_the_installation_fit(memguard: Deployment, kubectl: Plugin) -> None:
    code, found = kubectl("top", "nodes", "--once")
    assert code == 0
    assert {one["node"] for one in found["nodes"]} >= set(NODES)
    assert not any(one["silent"] for one in found["nodes"])
    code, diagnosis = kubectl("doctor")
    failed = [check for check in diagnosis["checks"] if check["status"] == "fail"]
    failed += [check for node in diagnosis["nodes"] for check in node["checks"] if check["status"] == "fail"]
    assert (code, failed) == (0, [])


def test_a_stop_leaves_the_kernel_to_it_and_its_end_brings_the_guard_back(shop: Shop, kubectl: Plugin) -> None:
    """A leak into its own limit: stopped, the kernel kills; afterwards memguard does, before it."""
    code, paused = kubectl("pause", "--all", "--reason", "a test", "--wait", "60")
    assert (code, {one["words"] for one in paused["nodes"]}) == (0, {"enforces nothing"})
    leak = container("app", "hog", "delay_ms=5000", "rate=50", "max=4000", request="64Mi", limit="192Mi")
    shop.create(pod("cart", NODE, leak, namespace="plugin"))
    eventually(lambda: shop.restarts("cart", "app"), "the kernel ends it")
    assert not shop.acted("cart")
    assert kubectl("resume", "--all", "--wait", "60")[0] == 0
    eventually(lambda: shop.acted("cart"), "memguard ends it")
    code, explained = kubectl("explain", "pod/cart", "-n", "plugin", "-c", "app")
    assert code == 0
    assert explained["victim"]
    assert sum(row["points"] for row in explained["explanation"]["factors"].values()) > 0
    _, incident = kubectl("report", explained["decision"]["metadata"]["name"], "-n", "plugin")
    assert incident["pod"]["name"] == "cart"
