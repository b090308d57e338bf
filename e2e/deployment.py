"""memguard on a test cluster, installed from the chart by Helm."""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from urllib.request import Request, urlopen

from e2e import images
from e2e.cluster import Cluster
from e2e.forward import forwarded
from e2e.helm import NAMESPACE, Helm, Values, merged
from tests.machine.image import REPOSITORY

Profile = Literal["observe", "enforce"]
SECCOMP = REPOSITORY / "deploy" / "seccomp" / "memguard-guard.json"
#: Where kubelet looks for it.
SECCOMP_DIRECTORY = "/var/lib/kubelet/seccomp"
#: The guard's budgets suffice for all tests; this overrides what is compiled in.
CLUSTER_POLICY: Values = {"budget": {"perContainer": 20, "perNamespace": 500, "perNode": 1000}}


class Deployment:
    """memguard in a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.helm = Helm(cluster.kubeconfig)

    def install(self, profile: Profile = "enforce", cluster_policy: Values = CLUSTER_POLICY) -> None:
        """All of it, anew or over what is there, under the stricter of the two seccomp profiles."""
        file = f"{SECCOMP_DIRECTORY}/{SECCOMP.name}"
        for node in self.cluster.nodes:
            node.run(f"mkdir -p {SECCOMP_DIRECTORY} && cat > {file} <<'E'\n{SECCOMP.read_text()}\nE")
        localhost = {"type": "Localhost", "localhostProfile": SECCOMP.name}
        self.upgrade({"profile": profile, "guard": {"seccompProfile": localhost}, "clusterPolicy": cluster_policy})

    def upgrade(self, values: Values) -> None:
        """The release with these values and today's images; returns when every pod is ready."""
        self.helm.upgrade(merged(ours(), values), "--timeout=10m")

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


def ours() -> Values:
    """The images that were built, which every node has."""
    images_of = {target: images.reference(target).rsplit(":", 1) for target in images.TARGETS}
    named = {target: {"image": {"repository": name, "tag": tag}} for target, (name, tag) in images_of.items()}
    return {"image": {"pullPolicy": "Never"}, **named}
