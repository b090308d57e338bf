"""A hundred busy processes on the node: the guard in its DaemonSet still decides in time."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, kernel_oom_kills, once, opened, pod, policy

NODE = NODES[0]
SPACE = "busy"
RUNS = 3
SPINNERS = 100


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, SPACE, policy("all", SPACE, mode="Enforce", limit={"guard": True})) as found:
        yield found


def decision_seconds(shop: Shop, name: str) -> float:
    """From the wake-up to the kill, of a container that fills its limit."""
    hog = container("app", "hog", "delay_ms=30000", "rate=40", "max=800", request="16Mi", limit="160Mi")
    shop.create(pod(name, NODE, once(hog), namespace=SPACE))
    [record] = eventually(lambda: shop.decisions(name), f"{name} is ended", 300)
    assert record["spec"]["mode"] == "Enforce"
    shop.kubectl("delete", "pod", name, "--wait=true")
    return float(record["spec"]["timing"]["acted"])


def test_decisions_take_no_longer_than_three_times_those_of_an_idle_node(memguard: Deployment, shop: Shop) -> None:
    before = kernel_oom_kills(memguard.cluster, NODE)
    idle = [decision_seconds(shop, f"idle-{number}") for number in range(RUNS)]
    spin = container("spin", "spin")
    spin["command"] = ["sh", "-c", f"for i in $(seq {SPINNERS}); do /loads spin & done; wait"]
    shop.create(pod("spinners", NODE, spin, namespace=SPACE))
    busy = [decision_seconds(shop, f"busy-{number}") for number in range(RUNS)]
    report.record("decision, seconds from wake-up to kill, emulated", {"idle": idle, "100 busy processes": busy})
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    assert median(busy) <= 3 * median(idle)
