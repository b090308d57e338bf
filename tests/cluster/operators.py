"""The operator as a process with the rights of its pod, beside nodes that report what a test has them say."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.agent.pods import running
from tests.cluster.agents import AgentProcess, deploy
from tests.cluster.clients import client_of, connect, wait_until
from tests.cluster.kinds import SYSTEM_NAMESPACE

from memguard.api.meta import API_VERSION
from memguard.controller.resources import DECISIONS
from memguard.kube.connection import FixedToken

ACCOUNT = "memguard-operator"
MIB = 1 << 20
TOTAL = 2048 * MIB
RESERVE = 123 * MIB
#: An eviction is decided at the fifth to seventh look (core/foresight); Decline's clock must stay near the real one.
ENOUGH_LOOKS, MOST_LOOKS = 8, 20
_numbers = itertools.count(1)


def deploy_operator(plane: ControlPlane) -> None:
    """Our kinds, the rules of admission, and the operator's rights; its Deployment has no kubelet to run it."""
    deploy(plane)
    # An operator goes on with all of what other tests left, and their decisions are of the cluster's budget.
    plane.kubectl("delete", "nodememories", "--all")
    plane.kubectl("delete", "mgd", "--all", "--all-namespaces")
    plane.kubectl("delete", "configmap", "memguard-experience", "-n", SYSTEM_NAMESPACE, "--ignore-not-found")


def key(number: int) -> str:
    """A container's id: its first twelve digits are enough to tell it from others."""
    return f"{number:012x}".ljust(64, "0")


def patched(plane: ControlPlane, what: str, status: dict[str, Any], *options: str) -> None:
    """The object's status, as whoever keeps it writes it."""
    plane.kubectl("patch", what, *options, "--type=merge", "--subresource=status", "-p", json.dumps({"status": status}))


def _token(plane: ControlPlane) -> FixedToken:
    """Whose it is decides who may write decisions."""
    return FixedToken(plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT))


def stamp(at: datetime) -> str:
    """A moment as the API writes it."""
    return at.isoformat().replace("+00:00", "Z")


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
            "observedAt": stamp(at or datetime.now(UTC)),
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
        patched(self.plane, f"nodememory/{self.name}", status)

    def advise(self, **spec: Any) -> None:
        """What an administrator, or another operator, tells the node."""
        self.plane.kubectl("patch", f"nodememory/{self.name}", "--type=merge", "-p", json.dumps({"spec": spec}))

    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("nodememory", self.name).get("spec", {})
        return found

    def taint(self) -> str | None:
        taints = self.get("node", self.name)["spec"].get("taints", [])
        return next((one["effect"] for one in taints if one["key"] == "memguard.io/memory-pressure"), None)


def entry(container: str, mib: int, **more: Any) -> dict[str, Any]:
    """One of a report's top."""
    return {"id": container, "score": 500, "footprintBytes": mib * MIB, **more}


class Decline:
    """A node that loses 6 MiB a second, as its reports show it: 4 s apart by their dates, whenever a test looks.

    `growing`: entries of its top, of which each grows by as many MiB a look as it is told.
    """

    def __init__(self, node: Node, operator: OperatorProcess, *growing: tuple[dict[str, Any], int]) -> None:
        self._node, self._operator, self.growing = node, operator, list(growing)
        self._looks, self._at = 0, datetime.now(UTC) - timedelta(seconds=40)

    def look(self, *, left_mib: int | None = None, **more: Any) -> None:
        """One more report, which the operator has taken in when this returns."""
        self._looks, self._at = self._looks + 1, self._at + timedelta(seconds=4)
        left = max(60, 550 - 25 * self._looks) if left_mib is None else left_mib
        top = [one | {"footprintBytes": one["footprintBytes"] + mib * MIB * self._looks} for one, mib in self.growing]
        attended = self._operator.attended()
        self._node.report(left, *top, at=self._at, **{"exhaustion": left / 5, **more})
        wait_until(lambda: self._operator.attended() > attended)

    def look_until(self, true: Callable[[], object], **more: Any) -> None:
        """Look until something is so, which needs four looks for a trend and one for each who is refused."""
        for _ in range(MOST_LOOKS):
            self.look(**more)
            if true():
                return
        raise AssertionError(f"not after {MOST_LOOKS} looks")

    def look_on(self, **more: Any) -> None:
        """More looks than it takes to act, where that is to be done."""
        for _ in range(ENOUGH_LOOKS):
            self.look(**more)


class Space:
    """A namespace with pods that somebody makes anew elsewhere."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name = node, name
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def pod(
        self,
        name: str,
        *,
        owned: bool = True,
        owner: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
        **spec: Any,
    ) -> str:
        """A running pod with one container; that container's id."""
        container = {"name": "app", "image": "pause", "resources": {"requests": {"memory": "64Mi"}}}
        meta: dict[str, Any] = {"name": name, "namespace": self.name, "labels": labels or {"app": name}}
        if owned:
            meta["ownerReferences"] = [owner or self._owner(name)]
        tolerations = [{"operator": "Exists"}]
        body = {"nodeName": self.node.name, "tolerations": tolerations, "containers": [container]} | spec
        self.node.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})
        number = next(_numbers)
        status = {
            "phase": "Running",
            "containerStatuses": [running("app", "a") | {"containerID": f"containerd://{key(number)}"}],
        }
        granted = body["containers"][0].get("resources", {})  # without it the node is taken to know no resize
        status["containerStatuses"][0] |= {"image": "pause", "imageID": "", "ready": True, "resources": granted}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T00:00:00Z"}
        status["conditions"] = [ready]
        patched(self.node.plane, f"pod/{name}", status, "-n", self.name)
        return key(number)

    def uid(self, name: str) -> str:
        found: str = self.node.get("pod", name, "-n", self.name)["metadata"]["uid"]
        return found

    def _owner(self, name: str) -> dict[str, Any]:
        """Any controller of ours would end a pod that it does not know: a ConfigMap has none."""
        self.node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.name}})
        uid = self.node.get("configmap", name, "-n", self.name)["metadata"]["uid"]
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "controller": True}

    def policy(self, name: str = "all", **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.name}
        self.node.apply({"apiVersion": API_VERSION, "kind": "MemoryGuardPolicy", "metadata": metadata, "spec": spec})

    def budget(self, name: str, spare: int, **labels: str) -> None:
        """A PodDisruptionBudget of the pods that run now, once its controller found so many to spare.

        By a minimum: a number of unavailable ones is reckoned from the owner's scale, and a ConfigMap has none.
        """
        selected = ",".join(f"{label}={value}" for label, value in labels.items())
        pods = len(self.node.get("pods", "-n", self.name, "-l", selected)["items"])
        spec = {"minAvailable": pods - spare, "selector": {"matchLabels": labels}}
        metadata = {"name": name, "namespace": self.name}
        self.node.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})

        def counted() -> bool:
            status = self.node.get("pdb", name, "-n", self.name).get("status", {})
            return bool(status.get("currentHealthy") == pods and status.get("disruptionsAllowed") == spare)

        wait_until(counted)

    def decided(self, pod: str, container: str, name: str, status: dict[str, Any] | None = None, **spec: Any) -> str:
        """A decision on this pod as one of ours records it, by default a guard's kill a moment ago; its name."""
        victim = {"id": container, "namespace": self.name, "pod": pod, "podUid": self.uid(pod), "name": "app"}
        workload = f"{self.name}/ConfigMap/{pod}/app"
        facts = {
            "id": name, "node": self.node.name, "takenAt": stamp(datetime.now(UTC)), "mode": "Enforce",
            "action": "kill", "domain": "node", "trigger": "line", "reason": "It grew.", "pressure": 1.0,
            "thresholdScore": 0.0, "availableBytes": RESERVE, "reserveBytes": RESERVE, "fallBytesPerSecond": 0,
            "needBytes": 0, "expectedBytes": 100 * MIB, "score": 700, "badness": 0.7,
            "victim": victim | {"workload": workload}, "policy": f"{self.name}/all",
        }  # fmt: skip
        metadata = {"name": name, "namespace": self.name}
        content = {"apiVersion": API_VERSION, "kind": "MemoryGuardDecision", "metadata": metadata, "spec": facts | spec}
        with client_of(connect(self.node.plane, token=_token(self.node.plane))) as client:
            client.create(DECISIONS, content, self.name)
            client.merge_patch(
                DECISIONS, name, {"status": status or {"phase": "Done"}}, self.name, subresource="status"
            )
        return name

    def ending(self, name: str) -> bool:
        """Was it evicted? Nobody ends it here."""
        try:
            return "deletionTimestamp" in self.node.get("pod", name, "-n", self.name)["metadata"]
        except LabError:  # it is gone
            return True

    def exists(self, name: str) -> bool:
        """Is its object there?"""
        return bool(self.node.get("pod", "-n", self.name, f"--field-selector=metadata.name={name}")["items"])

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

    def total(self, sample: str) -> float:
        """Of all samples that begin like this; of a metric that there is, with or without samples."""
        lines = self.http("/metrics")[1].splitlines()
        name = sample.partition("{")[0]
        kinds = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
        assert kinds & {name, *(name.removesuffix(end) for end in ("_total", "_count", "_sum", "_bucket"))}, name
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    def attended(self) -> float:
        """How often it took in what a node in trouble says."""
        return self.total("memguard_operator_reaction_seconds_count")


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
