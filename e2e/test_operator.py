"""Minutes ahead: a slow leak is evicted with manners before the node's line; a fast one waits for no operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.recorder import recorded
from e2e.workloads import Manifest, Shop, cgroup_of, container, eventually, kernel_oom_kills, once, opened, pod, policy

NODE, OTHER = NODES
SPACE = "ahead"
MIB = 1 << 20
#: On the node, so that what a pod said before its end can be read after it.
FAREWELL = "/run/memguard-e2e"


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, SPACE, policy("all", SPACE, mode="Enforce")) as found:
        yield found


def leaking(name: str, *, rate: int) -> Manifest:
    """A Deployment of one pod that leaks on NODE and nowhere else, and says farewell in its preStop hook."""
    script = f"[ -e /farewell/here ] && exec /loads hog rate={rate} max=4000; exec /loads pause"
    one = container("app", "pause", request="64Mi") | {
        "command": ["sh", "-c", script],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", f"date > /farewell/{name}-end"]}}},
        "volumeMounts": [{"name": "farewell", "mountPath": "/farewell"}],
    }
    volume = {"name": "farewell", "hostPath": {"path": FAREWELL, "type": "DirectoryOrCreate"}}
    made = pod(name, NODE, one, namespace=SPACE, volumes=[volume], terminationGracePeriodSeconds=20)
    del made["spec"]["nodeName"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": made["spec"]},
        },
    }


def evictions(shop: Shop) -> list[dict[str, Any]]:
    return [one for one in shop.items("memoryguarddecisions") if one["spec"]["action"] == "evict"]


def running(shop: Shop, app: str, but: str = "") -> list[dict[str, Any]]:
    """The pods of a workload that run, without the one of this UID."""
    pods = (one for one in shop.items("pods") if one["metadata"]["labels"]["app"] == app)
    return [one for one in pods if one["status"]["phase"] == "Running" and one["metadata"]["uid"] != but]


def finished(shop: Shop, name: str) -> dict[str, Any]:
    """What became of a decision, once that is known."""
    status: dict[str, Any] = shop.get("mgd", name).get("status", {})
    return status if status.get("phase") == "Done" else {}


def fill(memguard: Deployment, shop: Shop, leave_mib: int) -> None:
    """A calm pod that leaves so much of the node's memory above its reserve."""
    now = memguard.report(NODE)
    size = (now["availableBytes"] - now["reserveBytes"]) // MIB - leave_mib
    if size > 0:
        calm = container("calm", "warm", "rate=400", f"max={size}", request=f"{size}Mi")
        shop.create(pod("calm", NODE, calm, namespace=SPACE))


@pytest.mark.lab
def test_a_slow_leak_is_evicted_well_before_the_line(memguard: Deployment, shop: Shop) -> None:
    cluster = memguard.cluster
    before = kernel_oom_kills(cluster, NODE)
    cluster.node(NODE).run(f"rm -rf {FAREWELL}; mkdir -p {FAREWELL}; touch {FAREWELL}/here")
    cluster.kubectl("cordon", OTHER)
    try:
        fill(memguard, shop, 700)
        shop.make(leaking("leak", rate=5))
        eventually(lambda: running(shop, "leak"), "it runs")
    finally:
        cluster.kubectl("uncordon", OTHER)
    with recorded(cluster, NODE, "slow-leak"):
        [record] = eventually(lambda: evictions(shop), "it is evicted", 400)
    spec = record["spec"]
    assert (spec["mode"], spec["trigger"]) == ("Enforce", "report")
    victim = shop.get("pod", spec["victim"]["pod"])
    conditions = {one["type"]: one.get("reason") for one in victim["status"]["conditions"]}
    assert conditions.get("DisruptionTarget") == "EvictionByEvictionAPI"
    eventually(lambda: cluster.node(NODE).run(f"cat {FAREWELL}/leak-end || true"), "its preStop hook has run")
    elsewhere = eventually(lambda: running(shop, "leak", but=spec["victim"]["podUid"]), "it runs again")
    assert elsewhere[0]["spec"]["nodeName"] == OTHER
    name = record["metadata"]["name"]
    done = eventually(lambda: finished(shop, name), "it is done", 200)
    assert kernel_oom_kills(cluster, NODE) == before
    assert spec["availableBytes"] > 2 * spec["reserveBytes"], "well before the line"
    report.record("slow leak", {"decision": spec, "status": done})


@pytest.mark.lab
def test_a_fast_leak_needs_no_operator(memguard: Deployment, shop: Shop) -> None:
    before = kernel_oom_kills(memguard.cluster, NODE)
    memguard.scale_operator(0)
    try:
        leak = once(container("app", "hog", "rate=200", "max=4000", request="64Mi"))
        shop.create(pod("fast", NODE, leak, namespace=SPACE))
        eventually(lambda: shop.acted("fast"), "the guard acts alone", 240)
    finally:
        memguard.scale_operator(2)
    assert kernel_oom_kills(memguard.cluster, NODE) == before


@pytest.mark.lab
def test_memory_in_a_volume_comes_back_with_its_pod(memguard: Deployment, shop: Shop) -> None:
    fill(memguard, shop, 700)
    one = container("app", "shm", "path=/mem/file", "rate=10", "max=4000", request="16Mi")
    one["volumeMounts"] = [{"name": "mem", "mountPath": "/mem"}]
    volumes = [{"name": "mem", "emptyDir": {"medium": "Memory"}}]
    made = pod("tmpfs", NODE, one, namespace=SPACE, volumes=volumes)
    template = {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}
    shop.make(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "tmpfs", "namespace": SPACE},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "tmpfs"}}, "template": template},
        }
    )
    [record, *_] = eventually(lambda: evictions(shop), "it is evicted", 400)
    shop.kubectl("delete", "replicaset", "tmpfs", "--cascade=orphan")
    name = record["metadata"]["name"]
    done = eventually(lambda: finished(shop, name), "it is done", 200)
    assert done["freedBytes"] > record["spec"]["expectedBytes"] / 2
    report.record("memory-backed emptyDir", {"expected": record["spec"]["expectedBytes"], "freed": done["freedBytes"]})


def test_a_limit_is_raised_in_place_and_the_container_lives_on(memguard: Deployment, shop: Shop) -> None:
    shop.make(
        policy(
            "grow",
            SPACE,
            mode="Enforce",
            precedence=10,
            selector={"matchLabels": {"app": "grows"}},
            limit={"maximum": "256Mi"},
            actions=["notify", "resize", "terminate", "kill", "evict"],
        )
    )
    grows = container("app", "warm", "rate=1", "max=150", request="32Mi", limit="128Mi")
    shop.create(pod("grows", NODE, grows, namespace=SPACE))
    eventually(
        lambda: [one for one in shop.items("memoryguarddecisions") if one["spec"]["action"] == "resize"], "raised", 300
    )
    status = shop.status("grows", "app")
    limit = f"cat {cgroup_of(memguard.cluster, NODE, status)}/memory.max"
    eventually(lambda: int(memguard.cluster.node(NODE).run(limit)) > 128 * MIB, "kubelet has raised it")
    current = f"cat {cgroup_of(memguard.cluster, NODE, status)}/memory.current"
    eventually(lambda: int(memguard.cluster.node(NODE).run(current)) > 128 * MIB, "it has outgrown the old limit")
    assert shop.restarts("grows", "app") == 0
