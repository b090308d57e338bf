"""memguard on a test cluster: its kinds, its rules of admission, its rights and its DaemonSet, as deploy/ has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal
from urllib.request import Request, urlopen

from e2e import images
from e2e.cluster import Cluster
from e2e.forward import forwarded
from e2e.lab.errors import LabError
from tests.machine.image import REPOSITORY

Profile = Literal["observe", "enforce"]
NAMESPACE = "memguard-system"
DEPLOY = REPOSITORY / "deploy"
#: In the order in which one needs the other.
COMMON = (REPOSITORY / "crds", DEPLOY / "common", DEPLOY / "admission")
SECCOMP = DEPLOY / "seccomp" / "memguard-guard.json"
#: Where kubelet looks for it.
SECCOMP_DIRECTORY = "/var/lib/kubelet/seccomp"
_IMAGE = re.compile(r"image: memguard-(node|operator):\S+")


class Deployment:
    """memguard in a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def install(self, profile: Profile = "enforce") -> None:
        """All of it, anew or over what is there; returns when every pod is ready."""
        for path in COMMON:
            self._apply(path)
            if path == COMMON[0]:
                self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(path))
        file = f"{SECCOMP_DIRECTORY}/{SECCOMP.name}"
        for node in self.cluster.nodes:
            node.run(f"mkdir -p {SECCOMP_DIRECTORY} && cat > {file} <<'E'\n{SECCOMP.read_text()}\nE")
        self.cluster.kubectl("apply", "-f", "-", stdin=manifest(f"{profile}/node.yaml"))
        self.cluster.kubectl("apply", "-f", "-", stdin=manifest("operator/operator.yaml"))
        self.wait()
        self.wait_for_operator()

    def wait(self) -> None:
        """Until every node's pod is the newest, and ready."""
        self.cluster.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/memguard-node", "--timeout=300s")

    def wait_for_operator(self) -> None:
        """Until every replica is the newest, and ready."""
        self.cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/memguard-operator", "--timeout=300s")

    def scale_operator(self, replicas: int) -> None:
        """So many replicas, and those ready."""
        self.cluster.kubectl("-n", NAMESPACE, "scale", "deployment/memguard-operator", f"--replicas={replicas}")
        gone = ("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=120s")
        self.wait_for_operator() if replicas else self.cluster.kubectl("-n", NAMESPACE, *gone)

    def pod(self, node: str) -> str:
        """The name of the pod on a node."""
        field = f"spec.nodeName={node}"
        chosen = ("-l", "app.kubernetes.io/component=node", "--field-selector", field)
        found = json.loads(self.cluster.kubectl("-n", NAMESPACE, "get", "pods", *chosen, "-o", "json"))["items"]
        return next(str(pod["metadata"]["name"]) for pod in found if "deletionTimestamp" not in pod["metadata"])

    def statuses(self, node: str) -> list[dict[str, Any]]:
        """How the containers of the pod on a node are."""
        text = self.cluster.kubectl("-n", NAMESPACE, "get", "pod", self.pod(node), "-o", "json")
        status: dict[str, Any] = json.loads(text)["status"]
        return [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]

    def logs(self, node: str) -> list[dict[str, Any]]:
        """The JSON lines that a node's guard wrote."""
        text = self.cluster.kubectl("-n", NAMESPACE, "logs", self.pod(node), "-c", "guard")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def metrics(self, node: str) -> str:
        """What the agent of a node exports, with the exemplars that only OpenMetrics has."""
        with forwarded(self.cluster, NAMESPACE, self.pod(node), 9465) as address:
            wanted = Request(f"http://{address}/metrics", headers={"Accept": "application/openmetrics-text"})
            with urlopen(wanted, timeout=30) as answer:
                return str(answer.read().decode())

    def report(self, node: str) -> dict[str, Any]:
        """The status of a node's NodeMemory."""
        found = json.loads(self.cluster.kubectl("get", "nodememory", node, "-o", "json"))
        return dict(found.get("status", {}))

    def guards_plan(self, node: str) -> str | None:
        """The version of the plan that the guard of a node has, as its log on the node says."""
        log = f"/var/log/pods/{NAMESPACE}_memguard-node-*/guard/*.log"
        said = re.findall(
            r'"kind":"plan".*"version":"([^"]*)"', self.cluster.node(node).run(f"grep -h plan {log} || true")
        )
        return said[-1] if said else None

    def _apply(self, path: Path) -> None:
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", str(path))


def manifest(name: str) -> str:
    """One of deploy/, with the image that was built."""
    text = (DEPLOY / name).read_text()
    changed, count = _IMAGE.subn(lambda found: f"image: {images.reference(found[1])}", text)
    if not count:
        raise LabError(f"deploy/{name} names no image of ours")
    return changed
