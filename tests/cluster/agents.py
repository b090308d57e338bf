"""The agent as a process, with the rights and the token that its pod has, beside a guard that says what it is told."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.lab.control_plane import ControlPlane
from tests.agent.guards import ScriptedGuard
from tests.agent.pods import running
from tests.chart import manifests
from tests.cluster.clients import wait_until
from tests.cluster.kinds import ROOT, SYSTEM_NAMESPACE, install

from memguard.kube.client import Client
from memguard.kube.resources import PODS

ACCOUNT = "memguard-agent"
DEADLINE_SECONDS = 30.0


def deploy(plane: ControlPlane) -> None:
    """Our kinds, and who the agents are and what they may do, as people install it."""
    install(plane)
    objects = manifests.render({"namespace": {"create": True}, "profile": "enforce"})
    for kinds in (("Namespace",), (*manifests.RIGHTS, *manifests.ADMISSION)):
        plane.kubectl("apply", "--validate=strict", "-f", "-", stdin=manifests.as_list(manifests.of(objects, *kinds)))


def withdraw(plane: ControlPlane) -> None:
    """Others share the control plane, and write decisions as nobody may whom these rules admit."""
    listed = manifests.as_list(manifests.of(manifests.render(), *manifests.ADMISSION))
    plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=listed)


class Site:
    """One node: its Node object, the agent's pod, a guard, and a directory for what the agent keeps."""

    def __init__(self, plane: ControlPlane, node: str, directory: Path, **labels: str) -> None:
        self.plane, self.node, self.directory = plane, node, directory
        self.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}})
        containers = [{"name": "agent", "image": "memguard-node"}]
        spec = {"nodeName": node, "serviceAccountName": ACCOUNT, "containers": containers}
        metadata = {"name": f"memguard-{node}", "namespace": SYSTEM_NAMESPACE}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.token = directory / "token"
        self.token.write_text(plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT, pod=f"memguard-{node}"))

    def apply(self, one: dict[str, Any]) -> None:
        self.plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))

    def get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plane.kubectl("get", *what, "-o", "json"))
        return found

    def patch(self, what: str, part: dict[str, Any], *options: str) -> None:
        self.plane.kubectl("patch", what, "--type=merge", "-p", json.dumps(part), *options)

    def namespace(self, name: str) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def pod(self, described: dict[str, Any], namespace: str) -> str:
        """A pod on this node as kubelet would show it; its UID."""
        containers = [{"image": "pause", **one} for one in described["spec"]["containers"]]
        spec = {
            **described["spec"],
            "nodeName": self.node,
            "containers": containers,
            "tolerations": [{"operator": "Exists"}],
        }
        meta = {key: value for key, value in described["metadata"].items() if key not in ("uid", "resourceVersion")}
        name = meta["name"]
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "namespace": namespace}, "spec": spec})
        self.show(name, namespace, described["status"])
        uid: str = self.get("pod", name, "-n", namespace)["metadata"]["uid"]
        return uid

    def show(self, name: str, namespace: str, status: dict[str, Any]) -> None:
        """What kubelet tells of it; the QoS class is the API server's own to find."""
        status = {key: value for key, value in status.items() if key != "qosClass"}
        self.patch(f"pod/{name}", {"status": status}, "-n", namespace, "--subresource=status")

    def status(self) -> dict[str, Any]:
        """Of the node's report; empty before there is one."""
        found = self.get("nodememories", "--field-selector", f"metadata.name={self.node}")["items"]
        return found[0].get("status", {}) if found else {}

    def condition(self, kind: str) -> tuple[str, str]:
        found = {one["type"]: (one["status"], one["reason"]) for one in self.status().get("conditions", ())}
        return found.get(kind, ("", ""))

    def events(self, namespace: str, reason: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("events", "-n", namespace, "--field-selector", f"reason={reason}")[
            "items"
        ]
        return found

    def decisions(self, namespace: str) -> dict[str, dict[str, Any]]:
        return {one["metadata"]["name"]: one for one in self.get("mgd", "-n", namespace)["items"]}

    def kubeconfig(self, url: str = "") -> Path:
        """The agent's, to the API server or to where it is proxied."""
        cluster = {"server": url or self.plane.url, "certificate-authority": str(self.plane.certificates.authority)}
        config = {
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "agent", "user": {"tokenFile": str(self.token)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "agent"}}],
            "current-context": "lab",
        }
        path = self.directory / "agent.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    @contextmanager
    def agent(self, *options: str, url: str = "", python: str = sys.executable) -> Iterator[AgentProcess]:
        """As long as it is entered."""
        command = [
            python, "-m", "memguard", "agent", f"--node={self.node}", f"--socket={self.directory}/guard.sock",
            f"--state={self.directory}/state", "--listen=127.0.0.1:0", f"--kubeconfig={self.kubeconfig(url)}",
            f"--guard-uid={os.getuid()}", *options,
        ]  # fmt: skip
        process = AgentProcess(command)
        try:
            yield process
        finally:
            process.kill()

    @contextmanager
    def guard(self) -> Iterator[ScriptedGuard]:
        """One that has a plan and knows who is who, as soon as there is an agent."""
        with ScriptedGuard(self.directory) as guard:
            yield guard


class AgentProcess:
    """One process, and what it logs."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "MALLOC_ARENA_MAX": "1"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        self.log: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def port(self) -> int:
        wait_until(lambda: self.logged("start"))
        return int(self.logged("start")[0]["port"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def logged(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in list(self.log) if line["kind"] == kind]

    def http(self, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def value(self, sample: str) -> float | None:
        """Of one sample as it stands in /metrics, labels and all."""
        for line in self.http("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return None

    def wait_ready(self) -> None:
        wait_until(lambda: self.http("/readyz")[0] == 200)

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def memory_mib(self, field: str = "VmRSS") -> float:
        """Of its status: VmRSS, or VmHWM for the most that it ever had."""
        return round(_number(Path(f"/proc/{self.pid}/status"), field) / 1024, 1)

    def cpu_seconds(self) -> float:
        """So far, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wake_ups(self) -> int:
        """How often any of its threads was woken so far."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(_number(task / "status", "voluntary_ctxt_switches") for task in tasks)

    def stop(self) -> int:
        """As kubelet does; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Until it ends by itself; its exit code."""
        code = self._process.wait(DEADLINE_SECONDS)
        self._reader.join()
        return code

    def kill(self) -> None:
        """As the kernel does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.log.append(json.loads(line))


def _number(path: Path, field: str) -> int:
    """Of a file of lines like `VmRSS:  1234 kB`."""
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(f"{field}:"))


def crowd(administrator: Client, node: str, namespace: str, number: int) -> None:
    """One of many pods: two containers that run, and eight labels."""
    labels = {f"app.kubernetes.io/label-{index}": f"value-{index}-of-{number}" for index in range(8)}
    name, containers = f"pod-{number}", ("app", "side")
    spec = {
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": one, "image": "pause"} for one in containers],
    }
    administrator.create(PODS, {"metadata": {"name": name, "labels": labels}, "spec": spec}, namespace)
    statuses = [
        running(one, "a", containerID=f"containerd://{number:063x}{index}") for index, one in enumerate(containers)
    ]
    administrator.merge_patch(PODS, name, {"status": {"containerStatuses": statuses}}, namespace, subresource="status")


def figure(name: str, value: float) -> None:
    """Kept beside the others in build/agent-figures.json, for people."""
    path = ROOT / "build" / "agent-figures.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | {name: round(value, 4)}, indent=1) + "\n")


def seconds_until(true: Callable[[], object], deadline_seconds: float = DEADLINE_SECONDS) -> float:
    """How long it takes until something is true that is looked at all the time."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < deadline_seconds
        time.sleep(0.002)
    return time.monotonic() - began
