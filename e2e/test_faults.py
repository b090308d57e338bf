"""Everything around the guard fails, one by one: it still protects, leaves no line, and nothing is lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from e2e import report
from e2e.cluster import Cluster
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, kernel_oom_kills, once, pod, policy

NODE = "node-a"
SPACE = "faults"
GUARD, AGENT = "[m]emguard guard --socket", "[m]emguard agent"


@pytest.fixture(scope="module")
def shop(memguard: Deployment) -> Iterator[Shop]:
    found = Shop(memguard.cluster, SPACE)
    found.close()
    found.open(policy("all", SPACE, mode="Enforce", limit={"guard": True}))
    yield found
    found.close()


def leak(name: str, **more: str) -> dict[str, Any]:
    """A pod that fills its limit once, after a while."""
    words = [f"{key}={value}" for key, value in ({"delay_ms": "15000", "rate": "60", "max": "800"} | more).items()]
    one = once(container("app", "hog", *words, request="16Mi", limit="160Mi"))
    return pod(name, NODE, one, namespace=SPACE, volumes=[{"name": "state", "emptyDir": {}}])


def acted(shop: Shop, name: str) -> list[dict[str, Any]]:
    """The records of what was carried out against a pod."""
    return [one for one in shop.decisions(name) if one["spec"]["mode"] == "Enforce"]


def told(memguard: Deployment, name: str) -> list[str]:
    """The ids of what the guard says it did to a pod."""
    lines = [line for line in memguard.logs(NODE) if line["kind"] == "decision" and line["mode"] == "Enforce"]
    return [line["id"] for line in lines if line["victim"]["pod"] == name]


def line_stands(cluster: Cluster, shop: Shop, name: str) -> bool:
    """Is there a line under the container? Then its guard knows who it is."""
    found = str(shop.status(name, "app").get("containerID", "")).rpartition("/")[2]
    high = f"cat $(find /sys/fs/cgroup/kubepods.slice -name '*{found}*' -type d | head -1)/memory.high"
    return bool(found) and cluster.node(NODE).run(high).strip() != "max"


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
    [record] = eventually(lambda: acted(shop, "outage"), "the record is written once the server is back")
    eventually(lambda: acted(shop, "outage")[0].get("status", {}).get("phase") == "Done", "and its outcome")
    assert [record["metadata"]["name"]] == told(memguard, "outage"), "none lost, none twice"
    assert kernel_oom_kills(cluster, NODE) == before


def test_an_agent_that_is_killed_loses_nothing(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    shop.create(leak("agentless", delay_ms="8000"))
    node.run(f"pkill -9 -f '{AGENT}'")
    eventually(lambda: acted(shop, "agentless"), "the guard acts, and the next agent writes the record")
    memguard.wait()
    assert [one["metadata"]["name"] for one in acted(shop, "agentless")] == told(memguard, "agentless")


def test_a_guard_that_is_killed_protects_again_within_five_seconds_of_its_start(
    memguard: Deployment, shop: Shop
) -> None:
    node = memguard.cluster.node(NODE)
    node.run(f"pkill -9 -f '{GUARD}'")
    eventually(lambda: node.run(f"pgrep -f '{GUARD}' || true").strip(), "it starts again")
    memguard.wait()
    eventually(lambda: memguard.report(NODE).get("mode") == "Enforce", "it has its plan")
    lines = eventually(lambda: memguard.logs(NODE), "it says so")
    start = next(line for line in reversed(lines) if line["kind"] == "start")
    report.record("guard restarted", {"swept": start["swept"], "containers": start["containers"]})
    shop.create(leak("after"))
    eventually(lambda: acted(shop, "after"), "it acts")
    assert [one["metadata"]["name"] for one in acted(shop, "after")] == told(memguard, "after")


@pytest.mark.parametrize("service", ["containerd", "kubelet"])
def test_restarts_of_the_nodes_services_change_nothing(memguard: Deployment, shop: Shop, service: str) -> None:
    node = memguard.cluster.node(NODE)
    before = kernel_oom_kills(memguard.cluster, NODE)
    shop.create(leak(service, delay_ms="6000"))
    node.run(f"systemctl restart {service}", timeout_s=120)
    eventually(lambda: acted(shop, service), f"it acts beside a new {service}")
    assert kernel_oom_kills(memguard.cluster, NODE) == before
    eventually(lambda: shop.restarts(service, "app") == 1, "it is restarted")


def test_a_clock_that_jumps_changes_nothing(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    shop.create(leak("clock", delay_ms="8000"))
    node.run("date -s '+2 hours'")
    try:
        eventually(lambda: acted(shop, "clock"), "it acts two hours later")
    finally:
        node.run("date -s '-2 hours'")
    assert len(acted(shop, "clock")) == 1


def test_a_rebooted_node_is_protected_again_and_nothing_is_left(memguard: Deployment, shop: Shop) -> None:
    node = memguard.cluster.node(NODE)
    recorded = {one["metadata"]["name"] for one in shop.items("memoryguarddecisions")}
    node.reboot()
    began = time.monotonic()
    memguard.wait()
    eventually(lambda: memguard.report(NODE).get("mode") == "Enforce", "it has its plan", 240)
    report.record("node rebooted", {"seconds until the plan is in force": round(time.monotonic() - began, 1)})
    assert {one["metadata"]["name"] for one in shop.items("memoryguarddecisions")} >= recorded
    shop.create(leak("rebooted"))
    eventually(lambda: acted(shop, "rebooted"), "it acts")
