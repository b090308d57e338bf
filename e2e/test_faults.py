"""Everything around the guard fails, one by one: it still protects, leaves no line, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from e2e import report
from e2e.cluster import NODES, Cluster
from e2e.deployment import Deployment
from e2e.workloads import Shop, cgroup_of, container, eventually, kernel_oom_kills, once, opened, pod, policy

NODE = NODES[0]
SPACE = "faults"
GUARD, AGENT = "[m]emguard guard --socket", "[m]emguard agent"


@pytest.fixture(scope="module")
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, SPACE, policy("all", SPACE, mode="Enforce", limit={"guard": True})) as found:
        yield found


def leak(name: str, **more: str) -> dict[str, Any]:
    """A pod that fills its limit once, after a while."""
    words = [f"{key}={value}" for key, value in ({"delay_ms": "15000", "rate": "60", "max": "800"} | more).items()]
    one = once(container("app", "hog", *words, request="16Mi", limit="160Mi"))
    return pod(name, NODE, one, namespace=SPACE)


def told(memguard: Deployment, name: str) -> list[str]:
    """The ids of what the guard says it did to a pod."""
    lines = [line for line in memguard.logs(NODE) if line["kind"] == "decision" and line["mode"] == "Enforce"]
    return [line["id"] for line in lines if line["victim"]["pod"] == name]


def protected_after_seconds(memguard: Deployment) -> float:
    """From the guard's start until it had a plan that lets it act, by its own log."""

    def told() -> dict[str, str]:
        lines = (line for line in reversed(memguard.logs(NODE)) if line["kind"] == "start" or line.get("acts"))
        at = {line["kind"]: line["at"] for line in lines}
        return at if at.keys() == {"start", "plan"} else {}

    at = eventually(told, "it has its plan", 240)
    return (datetime.fromisoformat(at["plan"]) - datetime.fromisoformat(at["start"])).total_seconds()


def line_stands(cluster: Cluster, shop: Shop, name: str) -> bool:
    """Is there a line under the container? Then its guard knows who it is."""
    found = cgroup_of(cluster, NODE, shop.status(name, "app"))
    return bool(found) and cluster.node(NODE).run(f"cat {found}/memory.high").strip() != "max"


def ended(cluster: Cluster, name: str) -> int:
    """How many containers of a pod have ended so far, as the node's own runtime tells: without the API server."""
    listed = cluster.node(NODE).run(
        f"grep -l {SPACE}_{name}_ -r /var/log/pods 2>/dev/null; ls -d /var/log/pods/{SPACE}_{name}_*/app/*.log | wc -l"
    )
    return int(listed.split()[-1]) - 1


def test_without_the_api_server_it_acts_and_the_record_comes_later(memguard: Deployment, shop: Shop) -> None:
    cluster = memguard.cluster
    before = kernel_oom_kills(cluster, NODE)
    shop.create(leak("outage", delay_ms="25000"))
    eventually(lambda: line_stands(cluster, shop, "outage"), "the guard knows it")
    with cluster.without_api_server():
        eventually(lambda: ended(cluster, "outage") >= 1, "it is restarted without the API server", 120)
    [record] = eventually(lambda: shop.acted("outage"), "the record is written once the server is back")
    eventually(lambda: shop.acted("outage")[0].get("status", {}).get("phase") == "Done", "and its outcome")
    assert [record["metadata"]["name"]] == told(memguard, "outage"), "none lost, none twice"
    assert kernel_oom_kills(cluster, NODE) == before


def test_an_agent_that_is_killed_loses_nothing(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    shop.create(leak("agentless", delay_ms="8000"))
    node.run(f"pkill -9 -f '{AGENT}'")
    eventually(lambda: shop.acted("agentless"), "the guard acts, and the next agent writes the record")
    memguard.wait()
    assert [one["metadata"]["name"] for one in shop.acted("agentless")] == told(memguard, "agentless")


def test_a_guard_that_is_killed_protects_again_within_five_seconds_of_its_start(
    memguard: Deployment, shop: Shop
) -> None:
    node = memguard.cluster.node(NODE)
    node.run(f"pkill -9 -f '{GUARD}'")
    eventually(lambda: node.run(f"pgrep -f '{GUARD}' || true").strip(), "it starts again")
    memguard.wait()
    seconds = protected_after_seconds(memguard)
    report.record("guard killed", {"seconds from its start to its plan, emulated": seconds})
    assert seconds < 5
    shop.create(leak("after"))
    eventually(lambda: shop.acted("after"), "it acts")
    assert [one["metadata"]["name"] for one in shop.acted("after")] == told(memguard, "after")


@pytest.mark.parametrize("service", ["containerd", "kubelet"])
def test_restarts_of_the_nodes_services_change_nothing(memguard: Deployment, shop: Shop, service: str) -> None:
    node = memguard.cluster.node(NODE)
    before = kernel_oom_kills(memguard.cluster, NODE)
    shop.create(leak(service, delay_ms="6000"))
    node.run(f"systemctl restart {service}", timeout_s=120)
    eventually(lambda: shop.acted(service), f"it acts beside a new {service}")
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    eventually(lambda: shop.restarts(service, "app") == 1, "it is restarted")


@pytest.mark.lab
def test_a_clock_that_jumps_changes_nothing(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    shop.create(leak("clock", delay_ms="8000"))
    node.run("date -s '+2 hours'")
    try:
        eventually(lambda: shop.acted("clock"), "it acts two hours later")
    finally:
        node.run("date -s '-2 hours'")
    assert len(shop.acted("clock")) == 1


def test_a_rebooted_node_is_protected_again_and_nothing_is_left(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    recorded = {one["metadata"]["name"] for one in shop.items("memoryguarddecisions")}
    node.reboot()
    memguard.wait()
    seconds = protected_after_seconds(memguard)
    report.record("node rebooted", {"seconds from the guard's start to its plan, emulated": seconds})
    assert {one["metadata"]["name"] for one in shop.items("memoryguarddecisions")} >= recorded
    shop.create(leak("rebooted"))
    eventually(lambda: shop.acted("rebooted"), "it acts")
