"""The operator as a process with the rights of its pod, beside nodes that report what a test has them say."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e.lab.control_plane import ControlPlane
from tests.agent.pods import running
from tests.cluster.agents import DEPLOY, AgentProcess, deploy
from tests.cluster.clients import wait_until
from tests.cluster.kinds import SYSTEM_NAMESPACE

from memguard.api.meta import API_VERSION

ACCOUNT = "memguard-operator"
MIB = 1 << 20
TOTAL = 2048 * MIB
RESERVE = 123 * MIB
_numbers = itertools.count(1)


def deploy_operator(plane: ControlPlane) -> None:
    """Our kinds, the rules of admission, and the operator's rights; its Deployment has no kubelet to run it."""
    deploy(plane)
    manifests = (DEPLOY / "operator" / "operator.yaml").read_text().split("\n---\n")
    plane.kubectl("apply", "--validate=strict", "-f", "-", stdin="\n---\n".join(manifests[:-1]))


def key(number: int) -> str:
    """A container's id."""
    return f"{number:064x}"


def patched(plane: ControlPlane, what: str, status: dict[str, Any], *options: str) -> None:
    """The object's status, as whoever keeps it writes it."""
    plane.kubectl("patch", what, *options, "--type=merge", "--subresource=status", "-p", json.dumps({"status": status}))


class Node:
    """A node that says what it is told to."""

    def __init__(self, plane: ControlPlane, name: str, **labels: str) -> None:
        self.plane, self.name = plane, name
        self.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        uid = self.get("node", name)["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
        self.apply(
            {
                "apiVersion": API_VERSION,
                "kind": "NodeMemory",
                "metadata": {"name": name, "ownerReferences": [owner]},
            }
        )

    def apply(self, one: dict[str, Any]) -> None:
        self.plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))

    def get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plane.kubectl("get", *what, "-o", "json"))
        return found

    def report(
        self,
        available_mib: int,
        *top: dict[str, Any],
        level: str = "Tight",
        exhaustion: float | None = None,
        at: datetime | None = None,
        **more: Any,
    ) -> None:
        """Say how things stand."""
        status = {
            "observedAt": (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z"),
            "level": level,
            "mode": "Enforce",
            "totalBytes": TOTAL,
            "availableBytes": available_mib * MIB,
            "reserveBytes": RESERVE,
            "containers": len(top),
            "top": list(top),
            **({} if exhaustion is None else {"exhaustionSeconds": exhaustion}),
            **more,
        }
        self.plane.kubectl(
            "patch",
            f"nodememory/{self.name}",
            "--type=merge",
            "--subresource=status",
            "-p",
            json.dumps({"status": status}),
        )

    def shrink(self, *leaks: tuple[str, int], others: tuple[tuple[str, int], ...] = (), looks: int = 8) -> None:
        """A leak as its reports show it: 5 s apart by their dates, 25 MiB each time, down to 60 s before the end."""
        begin = datetime.now(UTC) - timedelta(seconds=5 * looks)
        for look in range(looks):
            left = 300 + 25 * (looks - look)
            grown = [entry(name, mib + 25 * look) for name, mib in leaks]
            quiet = [entry(name, mib) for name, mib in others]
            at = begin + timedelta(seconds=5 * (look + 1))
            self.report(left, *grown, *quiet, exhaustion=left / 5, at=at)

    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("nodememory", self.name).get("spec", {})
        return found

    def taint(self) -> str | None:
        taints = self.get("node", self.name)["spec"].get("taints", [])
        return next((one["effect"] for one in taints if one["key"] == "memguard.io/memory-pressure"), None)


def entry(container: str, mib: int, **more: Any) -> dict[str, Any]:
    """One of a report's top."""
    return {"id": container, "score": 500, "footprintBytes": mib * MIB, **more}


class Space:
    """A namespace with pods that somebody makes anew elsewhere."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name = node, name
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def pod(self, name: str, *, owned: bool = True, labels: dict[str, str] | None = None, **spec: Any) -> str:
        """A running pod with one container; that container's id."""
        container = {"name": "app", "image": "pause", "resources": {"requests": {"memory": "64Mi"}}}
        meta: dict[str, Any] = {"name": name, "namespace": self.name, "labels": labels or {"app": name}}
        if owned:
            meta["ownerReferences"] = [self._owner(name)]
        tolerations = [{"operator": "Exists"}]
        body = {"nodeName": self.node.name, "tolerations": tolerations, "containers": [container]} | spec
        self.node.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})
        number = next(_numbers)
        status = {
            "phase": "Running",
            "containerStatuses": [running("app", "a") | {"containerID": f"containerd://{key(number)}"}],
        }
        status["containerStatuses"][0] |= {"image": "pause", "imageID": "", "ready": True}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T00:00:00Z"}
        status["conditions"] = [ready]
        self.node.plane.kubectl(
            "patch",
            f"pod/{name}",
            "-n",
            self.name,
            "--type=merge",
            "--subresource=status",
            "-p",
            json.dumps({"status": status}),
        )
        return key(number)

    def _owner(self, name: str) -> dict[str, Any]:
        """Any controller of ours would end a pod that it does not know: a ConfigMap has none."""
        self.node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.name}})
        uid = self.node.get("configmap", name, "-n", self.name)["metadata"]["uid"]
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "controller": True}

    def policy(self, name: str = "all", **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.name}
        self.node.apply({"apiVersion": API_VERSION, "kind": "MemoryGuardPolicy", "metadata": metadata, "spec": spec})

    def budget(self, name: str, allowed: int, **labels: str) -> None:
        """A PodDisruptionBudget; how many it has to spare is its controller's to find."""
        spec = {"maxUnavailable": allowed, "selector": {"matchLabels": labels}}
        metadata = {"name": name, "namespace": self.name}
        self.node.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})

    def ending(self, name: str) -> bool:
        """Was it evicted? Nobody ends it here."""
        try:
            return "deletionTimestamp" in self.node.get("pod", name, "-n", self.name)["metadata"]
        except Exception:
            return True

    def gone(self, name: str) -> None:
        """As kubelet says when it has ended."""
        self.node.plane.kubectl("delete", "pod", name, "-n", self.name, "--force", "--grace-period=0")

    def decisions(self) -> dict[str, dict[str, Any]]:
        return {one["metadata"]["name"]: one for one in self.node.get("mgd", "-n", self.name)["items"]}

    def status(self, name: str = "all") -> dict[str, Any]:
        found: dict[str, Any] = self.node.get("mgp", name, "-n", self.name).get("status", {})
        return found


class OperatorProcess(AgentProcess):
    """One replica."""

    def wait_leading(self) -> None:
        wait_until(lambda: self.logged("leading"))


@contextmanager
def operating(
    plane: ControlPlane, directory: Path, *options: str, url: str = "", name: str = "op"
) -> Iterator[OperatorProcess]:
    """A replica as long as it is entered."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "lab",
                "cluster": {"server": url or plane.url, "certificate-authority": str(plane.certificates.authority)},
            }
        ],
        "users": [{"name": "op", "user": {"token": plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "op"}}],
        "current-context": "lab",
    }
    path = directory / f"{name}.kubeconfig"
    path.write_text(json.dumps(config))
    command = [
        sys.executable, "-m", "memguard", "operator", "--listen=127.0.0.1:0", f"--kubeconfig={path}",
        f"--identity={name}", *options,
    ]  # fmt: skip
    os.environ.pop("KUBECONFIG", None)
    process = OperatorProcess(command)
    try:
        yield process
    finally:
        process.kill()
