"""Each kind of workload at its own limit: what memguard does with it, and how Kubernetes takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Manifest, Shop, container, eventually, kernel_oom_kills, once, opened, pod, policy

NODE = NODES[0]
SPACE = "kinds"
#: kubelet tells of a new container within seconds, more on an emulated node; before that nobody knows whose it is.
HOG = ("hog", "delay_ms=20000", "rate=60", "max=800", "term_ms=100")
LIMIT = "160Mi"
ENFORCE = {"mode": "Enforce", "limit": {"guard": True}, "stop": {"graceMilliseconds": 4000}}


def app() -> Manifest:
    return once(container("app", *HOG, request="16Mi", limit=LIMIT))


def template(kind: str, **spec: Any) -> Manifest:
    """The pods of a workload that is called by its kind."""
    made = pod(kind, NODE, app(), namespace=SPACE, **spec)
    return {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}


def workload(kind: str, **spec: Any) -> Manifest:
    name = kind.lower()
    versions = {"Job": "batch/v1"}
    return {
        "apiVersion": versions.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"template": template(name, **spec.pop("pod", {}))} | spec,
    }


def selected(kind: str) -> Manifest:
    return {"selector": {"matchLabels": {"app": kind.lower()}}}


IDLE = container("idle", "pause")
WORKLOADS = (
    workload("Deployment", **selected("Deployment")),
    workload("StatefulSet", serviceName="none", **selected("StatefulSet")),
    workload("DaemonSet", **selected("DaemonSet")),
    workload("Job", backoffLimit=0, pod={"restartPolicy": "Never"}),
    pod("bare", NODE, app(), namespace=SPACE),
    pod("never", NODE, app(), restartPolicy="Never", namespace=SPACE),
    pod("sidecar", NODE, IDLE, initContainers=[app() | {"restartPolicy": "Always"}], namespace=SPACE),
    pod("init", NODE, IDLE, initContainers=[app()], namespace=SPACE),
)
#: What Kubernetes starts again in place.
RESTARTED = ("deployment", "statefulset", "daemonset", "bare", "sidecar", "init")


@pytest.fixture(scope="module")
def kinds(memguard: Deployment) -> Iterator[Shop]:
    """All of them at once: each fills its limit, and is content after a restart."""
    with opened(memguard.cluster, SPACE, policy("all", SPACE, **ENFORCE)) as shop:
        shop.make(*WORKLOADS)
        yield shop


@pytest.fixture(scope="module")
def before(memguard: Deployment) -> int:
    return kernel_oom_kills(memguard.cluster, NODE)


def pod_of(shop: Shop, name: str) -> dict[str, Any]:
    return next(one for one in shop.items("pods") if one["metadata"]["labels"].get("app") == name)


def decisions(shop: Shop, name: str) -> list[dict[str, Any]]:
    """Those about the pod of a workload."""
    return shop.decisions(pod_of(shop, name)["metadata"]["name"])


def carried_out(shop: Shop, name: str) -> dict[str, Any]:
    found = eventually(
        lambda: [one for one in decisions(shop, name) if one["spec"]["mode"] == "Enforce"], f"{name} ends", 240
    )
    spec: dict[str, Any] = found[0]["spec"]
    return spec


@pytest.mark.parametrize("name", RESTARTED)
def test_it_is_ended_and_restarted_in_place(before: int, kinds: Shop, name: str) -> None:
    uid = eventually(lambda: pod_of(kinds, name), "its pod")["metadata"]["uid"]
    carried_out(kinds, name)
    eventually(lambda: kinds.restarts(pod_of(kinds, name)["metadata"]["name"], "app") >= 1, f"{name} is restarted")
    assert pod_of(kinds, name)["metadata"]["uid"] == uid, "the pod is the same one"


@pytest.mark.parametrize(
    ("name", "action"),
    [("deployment", "terminate"), ("sidecar", "terminate"), ("job", "kill"), ("never", "kill"), ("init", "kill")],
)
def test_only_what_is_restarted_is_asked_first(before: int, kinds: Shop, name: str, action: str) -> None:
    """A clean exit of the others would count as success."""
    assert carried_out(kinds, name)["action"] == action


def test_a_job_and_a_pod_never_restarted_fail_and_do_not_succeed(before: int, kinds: Shop) -> None:
    for name in ("job", "never"):
        eventually(lambda name=name: pod_of(kinds, name)["status"]["phase"] == "Failed", f"{name} fails")  # type: ignore[misc]
    eventually(lambda: kinds.get("job", "job")["status"].get("failed") == 1, "the Job counts a failure")
    assert not kinds.get("job", "job")["status"].get("succeeded")


def test_the_kernel_was_never_first(memguard: Deployment, before: int, kinds: Shop) -> None:
    for name in (*RESTARTED, "job", "never"):
        carried_out(kinds, name)
    assert kernel_oom_kills(memguard.cluster, NODE) == before


def test_a_static_pod_is_left_to_the_kernel(memguard: Deployment, kinds: Shop) -> None:
    """All static pods are critical to kubelet: seen by their container's id, excluded, and the miss is counted."""
    node = memguard.cluster.node(NODE)
    static = pod("static", NODE, app(), namespace=SPACE)
    del static["spec"]["nodeName"]
    static["metadata"]["labels"] = {"app": "static"}
    directory = json.loads(node.kubelet("/configz"))["kubeletconfig"]["staticPodPath"]
    file = f"{directory}/static.json"
    killed = kernel_oom_kills(memguard.cluster, NODE)
    node.run(f"cat > {file} <<'E'\n{json.dumps(static)}\nE")
    try:
        eventually(lambda: kernel_oom_kills(memguard.cluster, NODE) > killed, "the kernel ends it")
        assert not [one for one in decisions(kinds, "static") if one["spec"]["mode"] == "Enforce"]
        missed = 'memguard_kernel_oom_kills_total{namespace="kinds"'
        eventually(lambda: missed in memguard.metrics(NODE), "the miss is counted")
    finally:
        node.run(f"rm {file}")


def test_memory_that_outlives_the_container_is_not_killed_for(memguard: Deployment, kinds: Shop) -> None:
    """Its tmpfs would still be full: only an eviction helps, and that is the operator's."""
    one = container("app", "shm", "path=/mem/file", "delay_ms=20000", "rate=60", "max=800", request="16Mi", limit=LIMIT)
    one["volumeMounts"] = [{"name": "mem", "mountPath": "/mem"}]
    kinds.make(pod("tmpfs", NODE, one, namespace=SPACE, volumes=[{"name": "mem", "emptyDir": {"medium": "Memory"}}]))
    found = eventually(lambda: decisions(kinds, "tmpfs"), "a decision that is not carried out")
    assert {(one["spec"]["mode"], one["spec"]["action"]) for one in found} == {("Observe", "evict")}
    assert "only an eviction would help" in found[0]["spec"]["notDoneBecause"]
