"""The user's way: `kind` and a container engine. It needs `kind`, `docker` and `kubectl` in the path.

CI has no container engine, so what CI shows is the lab's; this one is kept small, and runs where you run it. Its nodes
are containers of one machine: they share its kernel, its memory and its clock, so the whole node never runs short of
memory for one of them alone, and tests of that kind belong to the lab.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import NODES
from e2e.lab import archives as own_archives
from e2e.lab.cache import CACHE, run

NAME = "memguard-e2e"
KUBECONFIG = CACHE / "kind" / "kubeconfig"
KUBECTL = ("kubectl", "--kubeconfig", str(KUBECONFIG))
CONTROL_PLANE = f"{NAME}-control-plane"
ROLES = ("control-plane", "worker", "worker")
CONFIGURATION = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "nodes": [{"role": role} for role in ROLES],
}
READY_SECONDS = 300
COMMAND_SECONDS = 60.0
#: A manifest that is not in the directory is a static pod that kubelet ends.
MANIFEST, ASIDE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"


@dataclass(frozen=True)
class KindNode:
    """A node's container."""

    name: str

    def run(self, script: str, timeout_s: float = COMMAND_SECONDS) -> str:
        """What a shell script printed that ran on the node as root; raises LabError where it failed."""
        return run("timeout", str(timeout_s), "docker", "exec", self.name, "sh", "-c", script)

    def kubelet(self, path: str) -> str:
        """What kubelet answers to GET `path`, as in "/metrics"."""
        return _kubectl("get", "--raw", f"/api/v1/nodes/{self.name}/proxy{path}")

    def reboot(self) -> None:
        """Restart the node's container, and wait until its kubelet is there again."""
        run("docker", "restart", "--time", "0", self.name)
        self.run("until curl -sf http://localhost:10248/healthz; do sleep 1; done", READY_SECONDS)
        _kubectl("wait", "node", self.name, "--for=condition=Ready", f"--timeout={READY_SECONDS}s")


class Kind:
    """The one kind cluster of this checkout."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return KUBECONFIG

    @property
    def nodes(self) -> Sequence[KindNode]:
        """The workers."""
        return tuple(KindNode(name) for name in NODES)

    def node(self, name: str) -> KindNode:
        """One of them by name."""
        return KindNode(name)

    def is_up(self) -> bool:
        """Whether kind knows it."""
        return NAME in run("kind", "get", "clusters").split()

    def up(self, archives: Sequence[Path] = ()) -> None:
        """Make it where it is not there; returns when every node is ready and has these images."""
        if not self.is_up():
            KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
            options = ("--name", NAME, "--kubeconfig", str(KUBECONFIG), "--wait", f"{READY_SECONDS}s")
            run("kind", "create", "cluster", *options, "--config", "-", stdin=json.dumps(CONFIGURATION).encode())
        for archive in (*own_archives.ensure().values(), *archives):
            run("kind", "load", "image-archive", str(archive), "--name", NAME)

    def down(self) -> None:
        """Delete it."""
        run("kind", "delete", "cluster", "--name", NAME, "--kubeconfig", str(KUBECONFIG))

    @property
    def kubectl_command(self) -> tuple[str, ...]:
        """kubectl as the administrator, for what runs on beside the test."""
        return KUBECTL

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed as the administrator; raises LabError with its complaint."""
        return _kubectl(*arguments, stdin=stdin)

    @contextlib.contextmanager
    def without_api_server(self) -> Iterator[None]:
        """The API server is gone inside, and answers again after."""
        node = KindNode(CONTROL_PLANE)
        node.run(f"mv {MANIFEST} {ASIDE} && while crictl ps -q --name kube-apiserver | grep -q .; do sleep 1; done")
        try:
            yield
        finally:
            node.run(f"mv {ASIDE} {MANIFEST}")
            node.run("until curl -sk https://localhost:6443/readyz | grep -qx ok; do sleep 1; done", READY_SECONDS)


def _kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run(*KUBECTL, *arguments, stdin=None if stdin is None else stdin.encode())
