"""What runs beside memguard in the tests: pods of the lab's own loads, and what became of them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from e2e.cluster import Cluster
from e2e.lab.archives import LOADS

T = TypeVar("T")
Manifest = dict[str, Any]
#: Under emulation all that waits for kubelet takes its time.
PATIENCE_SECONDS = 120.0


def container(name: str, *words: str, request: str = "", limit: str = "", **more: Any) -> Manifest:
    """A container that runs `loads WORDS`; `request` and `limit` are of memory."""
    resources = {kind: {"memory": size} for kind, size in (("requests", request), ("limits", limit)) if size}
    return {
        "name": name,
        "image": LOADS,
        "imagePullPolicy": "Never",
        "command": ["/loads", *words],
        "resources": resources,
        **more,
    }


def once(one: Manifest) -> Manifest:
    """The container does its work in its first life only; in the next it just stays."""
    work = " ".join(one["command"])
    script = f"[ -e /state/done ] && exec /loads pause; touch /state/done; exec {work}"
    return one | {
        "command": ["sh", "-c", script],
        "volumeMounts": [*one.get("volumeMounts", ()), {"name": "state", "mountPath": "/state"}],
    }


def pod(
    name: str, node: str, *containers: Manifest, namespace: str, volumes: Sequence[Manifest] = (), **spec: Any
) -> Manifest:
    """A pod on a node with a volume `state` that outlives its containers; `spec` are further fields of its own."""
    fixed = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "volumes": [{"name": "state", "emptyDir": {}}, *volumes],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": fixed | {"containers": list(containers)} | spec,
    }


def policy(name: str, namespace: str, **spec: Any) -> Manifest:
    """A tenant's policy."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "memguard.io/v1alpha1", "kind": "MemoryGuardPolicy", "metadata": metadata, "spec": spec}


class Shop:
    """A namespace of a tenant."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def open(self, *objects: Manifest) -> None:
        """Make the namespace and these objects, and wait for the pods among them."""
        own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.make(own)
        self.create(*objects)

    def make(self, *objects: Manifest) -> None:
        """Make objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.cluster.kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(listed))

    def create(self, *objects: Manifest, seconds: float = PATIENCE_SECONDS) -> None:
        """Make objects; pods are waited for, each for so long."""
        if objects:
            self.make(*objects)
        for one in objects:
            if one["kind"] == "Pod":
                self.wait(one["metadata"]["name"], seconds=seconds)

    def wait(self, name: str, condition: str = "condition=Ready", seconds: float = PATIENCE_SECONDS) -> None:
        """Until a pod is so."""
        self.kubectl("wait", f"pod/{name}", f"--for={condition}", f"--timeout={seconds:.0f}s")

    def close(self) -> None:
        """All of it is gone after this."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=1200s")

    def kubectl(self, *words: str) -> str:
        """kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *words)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def items(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return found

    def status(self, name: str, container_name: str) -> dict[str, Any]:
        """How a container of a pod is."""
        listed = self.get("pod", name)["status"]
        every = listed.get("containerStatuses", []) + listed.get("initContainerStatuses", [])
        return next(one for one in every if one["name"] == container_name)

    def restarts(self, name: str, container_name: str) -> int:
        """How often a container was restarted."""
        return int(self.status(name, container_name)["restartCount"])

    def decisions(self, name: str) -> list[dict[str, Any]]:
        """The records about a pod."""
        return [one for one in self.items("memoryguarddecisions") if one["spec"]["victim"].get("pod") == name]

    def acted(self, name: str) -> list[dict[str, Any]]:
        """The records of what was carried out against a pod."""
        return [one for one in self.decisions(name) if one["spec"]["mode"] == "Enforce"]


@contextlib.contextmanager
def opened(cluster: Cluster, namespace: str, *objects: Manifest) -> Iterator[Shop]:
    """The namespace with these objects, made anew; gone after."""
    shop = Shop(cluster, namespace)
    shop.close()
    shop.open(*objects)
    yield shop
    shop.close()


def eventually(question: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer that is true; asked again and again."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, f"within {seconds:.0f} s never: {what}"
        time.sleep(0.5)
    return answer


def cgroup_of(cluster: Cluster, node: str, status: Manifest) -> str:
    """The directory of a container's cgroup on its node, by its status; "" where it has none."""
    found = str(status.get("containerID", "")).rpartition("/")[2]
    return cluster.node(node).run(f"find /sys/fs/cgroup -name '*{found}*' -type d | head -1").strip() if found else ""


def lines(cluster: Cluster, node: str) -> str:
    """A command for the node that lists all that has a memory.high below kubepods."""
    top = cluster.node(node).run("find /sys/fs/cgroup -maxdepth 2 -name '*kubepods*' -type d | head -1").strip()
    return f"grep -L max -r --include=memory.high {top}"


def kernel_oom_kills(cluster: Cluster, node: str) -> int:
    """How many processes the node's kernel has killed since its boot."""
    return int(cluster.node(node).run("grep ^oom_kill /proc/vmstat").split()[1])
