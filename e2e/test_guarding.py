"""What it is all for: a leak is ended as a container before the kernel acts, and the cluster says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e import report
from e2e.cluster import NODES, Cluster
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, kernel_oom_kills, opened, pod, policy

NODE = NODES[0]


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, "shop") as found:
        yield found


def told_of(shop: Shop, decision: str) -> set[str]:
    """The objects that Events of a decision are about."""
    return {one["involvedObject"]["name"] for one in shop.items("events") if decision in str(one)}


@pytest.mark.lab
def test_a_leak_dies_as_a_container_and_everything_says_so(cluster: Cluster, memguard: Deployment, shop: Shop) -> None:
    before = kernel_oom_kills(cluster, NODE)
    database = container("db", "warm", "rate=200", "max=200", request="256Mi", limit="256Mi")
    database["resources"]["requests"]["cpu"] = database["resources"]["limits"]["cpu"] = "100m"
    reader = container("reader", "churn", "path=/data/file", "op=write", "window=400", "rate=50", request="32Mi")
    reader["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    shop.create(
        policy("enforce", "shop", mode="Enforce"),
        pod("database", NODE, database, namespace="shop"),
        pod("cache", NODE, reader, namespace="shop", volumes=[{"name": "data", "emptyDir": {}}]),
    )
    leak = container("app", "hog", "rate=100", "max=4000", request="64Mi")
    shop.create(pod("cart", NODE, leak, container("beside", "pause", request="16Mi"), namespace="shop"))
    address = shop.get("pod", "cart")["status"]["podIP"]
    eventually(lambda: shop.restarts("cart", "app") >= 1, "the leak is restarted", 300)
    [record, *_] = eventually(lambda: shop.decisions("cart"), "the decision is recorded")
    name, spec = record["metadata"]["name"], record["spec"]
    assert (spec["mode"], spec["action"], spec["victim"]["name"]) == ("Enforce", "kill", "app")
    assert kernel_oom_kills(cluster, NODE) == before
    assert shop.restarts("cart", "beside") == 0
    assert shop.get("pod", "cart")["status"]["podIP"] == address, "the sandbox was not touched"
    assert (shop.restarts("database", "db"), shop.restarts("cache", "reader")) == (0, 0)
    done = eventually(lambda: shop.get("mgd", name).get("status", {}).get("phase") == "Done", "its outcome is recorded")
    assert done
    assert name in [line["id"] for line in memguard.logs(NODE) if line["kind"] == "decision"]
    eventually(lambda: told_of(shop, name) == {"cart", "enforce"}, "Events with the same id on the pod and its policy")
    assert f'decision="{name}"' in memguard.metrics(NODE), "the exemplar of the reaction"
    table = shop.kubectl("get", "mgd")
    report.record(
        "leak", {"decision": spec, "status": shop.get("mgd", name)["status"], "kubectl get mgd": table.splitlines()}
    )
