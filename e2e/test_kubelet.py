"""Beside kubelet's own eviction: the reserve stands above its threshold, so the guard is first; and it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, kernel_oom_kills, once, opened, pod, policy

NODE = NODES[0]
SPACE = "eviction"


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, SPACE, policy("all", SPACE, mode="Enforce")) as found:
        yield found


def who_acted(shop: Shop, name: str) -> str:
    """kubelet leaves the pod Failed as Evicted, the Eviction API sets a condition, and we write a decision."""
    status: dict[str, Any] = shop.get("pod", name)["status"]
    conditions = {one["type"]: one.get("reason") for one in status.get("conditions", [])}
    if status.get("reason") == "Evicted":
        return "kubelet"
    if conditions.get("DisruptionTarget") == "EvictionByEvictionAPI":
        return "the Eviction API"
    return "memguard" if shop.acted(name) else "nobody"


@pytest.mark.lab
def test_we_act_before_kubelet_evicts(memguard: Deployment, shop: Shop) -> None:
    """Slowly, so that kubelet's poll every 10 s would see it, had it been left to it."""
    before = kernel_oom_kills(memguard.cluster, NODE)
    slow = once(container("app", "hog", "rate=40", "max=4000", request="64Mi"))
    shop.create(pod("slow", NODE, slow, namespace=SPACE))
    actor = eventually(lambda: (found := who_acted(shop, "slow")) != "nobody" and found, "somebody acts", 400)
    report.record("beside kubelet's eviction", {"who acted": actor})
    assert actor == "memguard"
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    eventually(lambda: shop.restarts("slow", "app") == 1, "it is restarted in place")
    assert shop.get("pod", "slow")["status"]["phase"] == "Running"
