"""Containers that run into their own limit: asked to end under the brake, and killed where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, kernel_oom_kills, lines, once, opened, pod, policy

NODE = NODES[0]
#: A clean exit takes 0.2 s of the load's own time. Emulated, and under a brake whose naps of up to 2 s no signal ends,
#: it took 0.5 to 1.5 s, and more than 4 s where five other programs had the host's two CPUs.
GRACE = {"graceMilliseconds": 15000}
LIMIT = "192Mi"
HOG = ("hog", "delay_ms=10000", "rate=60", "max=800")


@pytest.fixture(scope="module")
def limits(memguard: Deployment) -> Iterator[Shop]:
    asked = {"matchLabels": {"asked": "yes"}}
    rule = policy("limits", "limits", mode="Enforce", limit={"guard": True}, stop=GRACE, selector=asked)
    with opened(memguard.cluster, "limits", rule) as found:
        yield found


def full(name: str, *words: str) -> dict[str, Any]:
    """A pod whose container fills its limit once, and is content after its restart."""
    one = pod(name, NODE, once(container("app", *words, request="32Mi", limit=LIMIT)), namespace="limits")
    one["metadata"]["labels"]["asked"] = "yes"
    return one


def ended(shop: Shop, name: str) -> dict[str, Any]:
    """How the container's first life ended."""
    eventually(lambda: shop.restarts(name, "app") == 1, f"{name} is restarted")
    found: dict[str, Any] = shop.status(name, "app")["lastState"]["terminated"]
    return found


@pytest.mark.smoke
def test_a_process_that_hears_ends_cleanly_under_the_brake(memguard: Deployment, limits: Shop) -> None:
    before = kernel_oom_kills(memguard.cluster, NODE)
    limits.create(full("polite", *HOG, "term_ms=200"))
    assert ended(limits, "polite")["exitCode"] == 0
    [record] = eventually(lambda: limits.decisions("polite"), "the decision is recorded")
    assert record["spec"]["action"] == "terminate"
    assert record["spec"]["trigger"] in ("line", "psi"), "whichever rings first"
    assert record["spec"]["domain"].partition(":")[0] in ("container", "pod"), "a pod of one has the same limit"
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    done = eventually(lambda: limits.decisions("polite")[0].get("status", {}).get("seconds"), "its outcome is recorded")
    report.record("own limit", {"SIGTERM heard: seconds to the end": done})


def test_a_process_that_does_not_hear_is_killed_at_the_deadline(memguard: Deployment, limits: Shop) -> None:
    before = kernel_oom_kills(memguard.cluster, NODE)
    limits.create(full("deaf", *HOG, "term_ms=600000"))
    assert ended(limits, "deaf")["exitCode"] == 137
    [record] = eventually(lambda: limits.decisions("deaf"), "the decision is recorded")
    assert record["spec"]["action"] == "terminate"
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    done = eventually(lambda: limits.decisions("deaf")[0].get("status", {}).get("seconds"), "its outcome is recorded")
    assert done >= GRACE["graceMilliseconds"] / 1000
    report.record("own limit", {"SIGTERM ignored: seconds to the end": done})


@pytest.mark.smoke
def test_no_line_is_left(memguard: Deployment, limits: Shop) -> None:
    """The one under the living container is hung again; nothing else stands."""
    limits.kubectl("delete", "pod", "--all", "--wait=true")
    node = memguard.cluster.node(NODE)
    left = f"{lines(memguard.cluster, NODE)} || true"
    eventually(lambda: not node.run(left), "no line")
