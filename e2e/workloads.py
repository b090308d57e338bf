"""What runs beside memguard in the tests: pods of the lab's own loads, and what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
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
    """The container does its work in its first life only; in the next it just stays. Its pod has a volume `state`."""
    work = " ".join(one["command"])
    script = f"[ -e /state/done ] && exec /loads pause; touch /state/done; exec {work}"
    return one | {
        "command": ["sh", "-c", script],
        "volumeMounts": [*one.get("volumeMounts", ()), {"name": "state", "mountPath": "/state"}],
    }


def pod(name: str, node: str, *containers: Manifest, namespace: str, **spec: Any) -> Manifest:
    """A pod on a node; `spec` are further fields of its own."""
    fixed = {"nodeName": node, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
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
        for one in (own, *objects):
            self.create(one)

    def make(self, one: Manifest) -> None:
        """Make an object."""
        self.cluster.kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(one))

    def create(self, *objects: Manifest) -> None:
        """Make objects; pods are waited for."""
        self.make({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        for one in objects:
            if one["kind"] == "Pod":
                self.wait(one["metadata"]["name"])

    def wait(self, name: str, condition: str = "condition=Ready") -> None:
        """Until a pod is so."""
        self.kubectl("wait", f"pod/{name}", f"--for={condition}", f"--timeout={PATIENCE_SECONDS:.0f}s")

    def close(self) -> None:
        """All of it is gone after this."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=600s")

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


def eventually(question: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer that is true; asked again and again."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, f"within {seconds:.0f} s never: {what}"
        time.sleep(0.5)
    return answer


def kernel_oom_kills(cluster: Cluster, node: str) -> int:
    """How many processes the node's kernel has killed since its boot."""
    return int(cluster.node(node).run("grep ^oom_kill /proc/vmstat").split()[1])
