"""A test cluster: what the end-to-end tests need of one, and the two ways to have it (MEMGUARD_CLUSTER).

- `lab` (the default): real Kubernetes programs as local processes and QEMU machines as nodes. Needs root, no container
  engine and no KVM.
- `kind`: containers of one's own container engine as nodes. The nodes share the machine's kernel and memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from e2e.lab.specs import NODE_A, NODE_B

#: "lab" or "kind".
BACKEND = os.environ.get("MEMGUARD_CLUSTER", "lab")
#: The cluster's nodes, by name.
NODES = {"lab": (NODE_A.name, NODE_B.name), "kind": ("memguard-e2e-worker", "memguard-e2e-worker2")}[BACKEND]


class Node(Protocol):
    """One node."""

    @property
    def name(self) -> str:
        """The Node object's name."""

    def run(self, script: str, timeout_s: float = ...) -> str:
        """What a shell script printed that ran on the node as root; raises LabError where it failed."""

    def kubelet(self, path: str) -> str:
        """What kubelet answers to GET `path`, as in "/metrics"."""

    def reboot(self) -> None:
        """Reboot at once, and wait until kubelet reports from the new boot."""


class Cluster(Protocol):
    """A cluster that is there, or that `up` makes."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""

    @property
    def nodes(self) -> Sequence[Node]:
        """Those that run pods."""

    def node(self, name: str) -> Node:
        """One of them by name."""

    def up(self, archives: Sequence[Path] = ()) -> None:
        """Make it where it is not there; returns when every node is ready and has these images (docker archives)."""

    def down(self) -> None:
        """End it and forget its data."""

    def is_up(self) -> bool:
        """Whether it runs."""

    @property
    def kubectl_command(self) -> tuple[str, ...]:
        """kubectl as the administrator, for what runs on beside the test."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed as the administrator; raises LabError with its complaint."""

    def without_api_server(self) -> AbstractContextManager[None]:
        """The API server is gone inside, and answers again after."""


def ours() -> Cluster:
    """The cluster of this checkout; of labs there may be several, each in the directory that MEMGUARD_LAB names."""
    if BACKEND == "kind":
        from e2e.kind import Kind

        return Kind()
    from e2e.lab.lab import DIRECTORY, Lab

    return Lab(Path(os.environ.get("MEMGUARD_LAB", DIRECTORY)), detached=True)
