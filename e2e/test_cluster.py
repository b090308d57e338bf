"""The cluster itself: nodes as declared, and pods that run, speak and can be entered."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from e2e import report
from e2e.cluster import Cluster
from e2e.forward import forwarded
from e2e.lab.archives import LOADS
from e2e.lab.errors import LabError
from e2e.lab.lab import Lab
from e2e.lab.specs import NODES, NodeSpec

READY = "--timeout=180s"


def pod(name: str, node: str) -> str:
    """A pod that says where it is and stays."""
    container = {"name": "main", "image": LOADS, "imagePullPolicy": "Never", "command": ["sh", "-c", SCRIPT]}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1},
        }
    )


SCRIPT = "echo here is $HOSTNAME; exec sleep 100000"


@pytest.fixture(name="lab")
def _lab(cluster: Cluster) -> Lab:
    assert isinstance(cluster, Lab)
    return cluster


@pytest.fixture(scope="module", name="pods", autouse=True)
def _pods(cluster: Cluster) -> Iterator[dict[str, str]]:
    """A running pod on each node: its name by the node's."""
    names = {node.name: f"on-{node.name}" for node in cluster.nodes}
    for node, name in names.items():
        cluster.kubectl("create", "-f", "-", stdin=pod(name, node))
    cluster.kubectl("wait", "pod", *names.values(), "--for=condition=Ready", READY)
    yield names
    cluster.kubectl("delete", "pod", *names.values())


@pytest.mark.smoke
def test_every_node_is_ready(cluster: Cluster) -> None:
    listed = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    ready = {
        node["metadata"]["name"]
        for node in listed
        for condition in node["status"]["conditions"]
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }
    assert ready >= {node.name for node in cluster.nodes}
    assert len(cluster.nodes) >= 2


def test_pods_speak_and_can_be_entered_on_every_node(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        assert cluster.kubectl("logs", name) == f"here is {name}\n"
        assert cluster.kubectl("exec", name, "--", "hostname") == f"{name}\n"


def test_a_pod_reaches_the_api_server_by_its_service(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        script = "wget -q -O - --no-check-certificate https://$KUBERNETES_SERVICE_HOST/version"
        assert '"major": "1"' in cluster.kubectl("exec", name, "--", "sh", "-c", script)


def test_a_pods_port_is_reached_from_here(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        cluster.kubectl("exec", name, "--", "sh", "-c", "mkdir -p /www && echo it is $HOSTNAME > /www/index.html")
        cluster.kubectl("exec", name, "--", "httpd", "-p", "8080", "-h", "/www")
        with forwarded(cluster, "default", name, 8080) as address:
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request("GET", "/index.html")
            assert connection.getresponse().read() == f"it is {name}\n".encode()
            connection.close()


def test_a_command_on_a_node_is_roots_and_its_failure_is_told(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    assert node.run("id -u") == "0\n"
    with pytest.raises(LabError, match="no-such-file"):
        node.run("cat /no-such-file")


@pytest.mark.lab
@pytest.mark.parametrize("spec", NODES, ids=lambda spec: spec.name)
def test_a_node_is_as_declared(lab: Lab, spec: NodeSpec) -> None:
    node = lab.node(spec.name)
    assert node.run("stat -f -c %T /sys/fs/cgroup") == "cgroup2fs\n"
    assert "full avg10" in node.run("cat /proc/pressure/memory")
    assert int(node.run("nproc")) == spec.cpus
    assert len(node.run("ls -d /sys/devices/system/node/node*").split()) == spec.numa_nodes
    kib = {line.split(":")[0]: int(line.split()[1]) for line in node.run("cat /proc/meminfo").splitlines()}
    assert spec.memory_mib * 0.9 < kib["MemTotal"] / 1024 <= spec.memory_mib
    assert kib["SwapTotal"] // 1024 == max(0, spec.swap_mib - 1)  # the first page is the header


@pytest.mark.lab
def test_kubelet_follows_the_spec(lab: Lab) -> None:
    for spec in NODES:
        said = json.loads(lab.node(spec.name).kubelet("/configz"))["kubeletconfig"]
        assert {name: said[name] for name in spec.kubelet} == spec.kubelet


def test_the_api_server_comes_and_goes(cluster: Cluster) -> None:
    with cluster.without_api_server(), pytest.raises(LabError):
        cluster.kubectl("get", "nodes")
    assert cluster.kubectl("get", "nodes", "-o", "name")


def test_a_rebooted_node_brings_its_pods_back(cluster: Cluster, pods: dict[str, str]) -> None:
    node = cluster.nodes[0]
    booted, restarted = "cat /proc/uptime", "jsonpath={.status.containerStatuses[0].restartCount}=1"
    before = float(node.run(booted).split()[0])
    node.reboot()
    assert float(node.run(booted).split()[0]) < before
    cluster.kubectl("wait", "pod", pods[node.name], f"--for={restarted}", READY)


@pytest.mark.lab
def test_figures(lab: Lab) -> None:
    seconds = lab.state().seconds
    assert seconds.keys() >= {"control plane", *(node.name for node in lab.nodes)}
    report.record("lab ready after seconds", {name: round(value, 1) for name, value in seconds.items()})
