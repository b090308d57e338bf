"""The chart in people's hands: a fresh installation changes nothing, and an uninstall leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e import report
from e2e.cluster import NODES, Node
from e2e.deployment import CLUSTER_POLICY, Deployment
from e2e.helm import NAMESPACE, RELEASE
from e2e.workloads import Shop, container, eventually, lines, opened, pod, policy

NODE = NODES[0]
KEY = "memguard.io/memory-pressure"
SPACE = "charted"
#: What stands in every file below the cgroup tree that its owner may read and write. Not who is in there, the largest
#: use so far, the stalls, and the controllers: systemd and the runtime change those with each pod that comes or goes.
KNOBS = r"""
find /sys/fs/cgroup \( -name 'memory.*' -o -name 'cgroup.*' \) -perm -u=rw ! -name cgroup.procs ! -name cgroup.threads \
  ! -name '*.peak' ! -name memory.pressure ! -name cgroup.subtree_control -exec grep -H '' {} + 2>/dev/null | sort
cat /proc/sys/vm/compact_unevictable_allowed
"""
#: Kinds of objects that come and go by themselves.
FLEETING = {"events", "events.events.k8s.io", "pods.metrics.k8s.io", "nodes.metrics.k8s.io"}
ENFORCE = {"profile": "enforce", "clusterPolicy": CLUSTER_POLICY | {"taint": "NoSchedule"}}


@pytest.fixture
def chart(memguard: Deployment) -> Iterator[Deployment]:
    """The release, for a test to change; the other tests find it as it was."""
    yield memguard
    memguard.install()


@pytest.fixture
def shop(chart: Deployment) -> Iterator[Shop]:
    """A tenant who asks for lines, with a container that gets one; closed before the release is as it was."""
    enforce = policy("lines", SPACE, mode="Enforce", limit={"guard": True})
    with opened(chart.cluster, SPACE, enforce) as found:
        found.create(
            pod(
                "calm",
                NODE,
                container("app", "hog", "rate=50", "max=60", request="32Mi", limit="256Mi"),
                namespace=SPACE,
            )
        )
        yield found


def knobs(node: Node) -> dict[str, list[str]]:
    """What stands in each of them, by path."""
    found: dict[str, list[str]] = {}
    for line in node.run(KNOBS, timeout_s=120).splitlines():
        path, _, value = line.partition(":")
        found.setdefault(path, []).append(value)
    return found


def lined(chart: Deployment) -> int:
    """How many lines stand on the node."""
    return int(chart.cluster.node(NODE).run(f"{lines(chart.cluster, NODE)} 2>/dev/null | wc -l"))


def taints(chart: Deployment, node: str) -> list[str]:
    found = json.loads(chart.cluster.kubectl("get", "node", node, "-o", "json"))
    return [one["key"] for one in found["spec"].get("taints", ())]


def uninstall(chart: Deployment) -> None:
    chart.helm.run("uninstall", RELEASE, "--wait", "--timeout=5m")


def everything(chart: Deployment) -> set[str]:
    """Every object in the cluster that names us anywhere in its name, labels or finalizers, as kind/namespace/name."""
    listed = chart.cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    kinds = ",".join(sorted(set(listed) - FLEETING))
    items = json.loads(chart.cluster.kubectl("get", kinds, "--all-namespaces", "-o", "json"))["items"]
    return {_title(one) for one in items if "memguard" in json.dumps(_marks(one))}


def _marks(one: dict[str, Any]) -> list[Any]:
    metadata = one["metadata"]
    marks = [metadata.get(part) for part in ("name", "labels", "annotations", "finalizers")]
    return [*marks, one.get("spec", {}).get("taints")] if one["kind"] == "Node" else marks


def _title(one: dict[str, Any]) -> str:
    return "/".join((one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]))


@pytest.fixture
def bystanders(chart: Deployment) -> Iterator[None]:
    """Pods of two QoS classes on every node: it is their cgroups, too, that nothing may happen to."""
    with opened(chart.cluster, SPACE) as found:
        for node in NODES:
            burstable = container("app", "pause", request="32Mi", limit="256Mi")
            found.create(pod(f"burstable-{node}", node, burstable, namespace=SPACE))
            found.create(pod(f"best-effort-{node}", node, container("app", "pause"), namespace=SPACE))
        yield


@pytest.mark.row("K5")
@pytest.mark.lab
@pytest.mark.usefixtures("bystanders")
def test_default_values_change_nothing_on_the_nodes(chart: Deployment) -> None:
    uninstall(chart)
    nodes = chart.cluster.nodes
    before = {node.name: knobs(node) for node in nodes}
    chart.upgrade({})
    for node in nodes:
        eventually(lambda name=node.name: chart.report(name).get("containers"), "it sees the containers")
        after = knobs(node)
        stayed = before[node.name].keys() & after.keys()
        assert len(stayed) > 100
        assert {path: after[path] for path in stayed} == {path: before[node.name][path] for path in stayed}
        guard = node.run("cd /proc/$(pgrep -f '[m]emguard guard --socket') && cat mountinfo status")
        [mount] = [line.split() for line in guard.splitlines() if " /host/sys/fs/cgroup " in line]
        assert "ro" in mount[5].split(",")
        status = dict(line.split(":\t") for line in guard.splitlines() if ":\t" in line)
        assert (set(status["Uid"].split()), int(status["CapEff"], 16)) == ({"64124"}, 0)
        assert "hostPID" not in _node_pod(chart)
    report.record("a default installation", {"knobs compared": sum(map(len, before.values())), "changed": 0})


def _node_pod(chart: Deployment) -> dict[str, Any]:
    found = json.loads(chart.cluster.kubectl("-n", NAMESPACE, "get", "daemonset", "memguard-node", "-o", "json"))
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


@pytest.mark.row("K5")
def test_from_observing_to_enforcing_and_back(chart: Deployment, shop: Shop) -> None:
    """A line that stands under a pod does not outlive the profile that hung it, and the pod notices nothing."""
    chart.upgrade({"clusterPolicy": CLUSTER_POLICY})
    eventually(lambda: lined(chart) == 0, "who observes hangs no line")
    observing = _revision(chart)
    chart.upgrade(ENFORCE)
    eventually(lambda: lined(chart) > 0, "a line is hung")
    chart.helm.run("rollback", RELEASE, str(observing), "--wait", "--timeout=5m")
    assert lined(chart) == 0
    eventually(lambda: chart.report(NODE).get("mode") == "Observe", "it observes again")
    assert shop.restarts("calm", "app") == 0


def _revision(chart: Deployment) -> int:
    history = json.loads(chart.helm.run("history", RELEASE, "-o", "json"))
    return int(history[-1]["revision"])


@pytest.mark.row("K5", "K7")
def test_without_its_operator_no_taint_stays(chart: Deployment) -> None:
    chart.upgrade(ENFORCE)
    chart.cluster.kubectl("taint", "node", NODE, f"{KEY}=:NoSchedule", "--overwrite")
    chart.upgrade(ENFORCE | {"operator": {"enabled": False}})
    assert KEY not in taints(chart, NODE)
    owned = chart.cluster.kubectl("-n", NAMESPACE, "get", "lease,configmap,deployment,job", "-o", "name").split()
    assert sorted(owned) == ["configmap/kube-root-ca.crt", "configmap/memguard-node"]


@pytest.mark.row("K5")
def test_an_uninstall_leaves_nothing(chart: Deployment, shop: Shop) -> None:
    chart.upgrade(ENFORCE)
    eventually(lambda: lined(chart) > 0, "a line is hung")
    chart.cluster.kubectl("taint", "node", NODE, f"{KEY}=:NoSchedule", "--overwrite")
    assert everything(chart)
    uninstall(chart)
    eventually(lambda: not everything(chart) - {f"Namespace//{NAMESPACE}"}, "nothing in the cluster names it")
    assert taints(chart, NODE) == []
    for each in chart.cluster.nodes:
        eventually(lambda node=each: not node.run("pgrep -f '[o]pt/memguard' || true").strip(), "its processes end")
        assert each.run("grep -L 0 -r --include=cgroup.freeze /sys/fs/cgroup || true").strip() == "", "all thawed"
        assert each.run("cat /proc/sys/vm/compact_unevictable_allowed").strip() == "1"
    assert lined(chart) == 0
    assert shop.restarts("calm", "app") == 0
