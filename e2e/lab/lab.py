"""The lab as one cluster: a control plane and its nodes, in one directory."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from e2e.lab import archives as own_archives
from e2e.lab import content, node_image
from e2e.lab.cache import CACHE, digest
from e2e.lab.control_plane import PROXY, ControlPlane
from e2e.lab.errors import LabError
from e2e.lab.node import LabNode
from e2e.lab.process import Process
from e2e.lab.specs import NODES, NodeSpec
from tests.machine.image import locked

DIRECTORY = CACHE / "cluster"
PROXY_RIGHTS = ("clusterrolebinding", "lab-kube-proxy", "--clusterrole=system:node-proxier", f"--user={PROXY}")


class State(msgspec.Struct):
    """What another process must know of a running lab."""

    #: The first three bytes of the nodes' addresses on this machine's loopback: labs side by side do not meet.
    network: str
    #: Digests of the archives that every node has.
    loaded: list[str] = []
    #: How long it took, by what.
    seconds: dict[str, float] = {}


class Lab:
    """One lab by its directory; `detached`: it outlives this process, until somebody calls `down`."""

    def __init__(
        self,
        directory: Path,
        nodes: Sequence[NodeSpec] = NODES,
        *,
        detached: bool = False,
    ) -> None:
        self.directory = directory
        self._detached = detached
        self._specs = tuple(nodes)
        names = [spec.name for spec in nodes]
        self.plane = ControlPlane(directory / "control-plane", nodes=names, detached=detached)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.plane.kubeconfig()

    @property
    def nodes(self) -> Sequence[LabNode]:
        """All of them."""
        network = self.state().network
        return tuple(
            LabNode(spec, at, f"{network}.{at}", self.directory / spec.name, self.plane, self._detached)
            for at, spec in enumerate(self._specs, 1)
        )

    def node(self, name: str) -> LabNode:
        """One of them by name."""
        return next(node for node in self.nodes if node.name == name)

    def is_up(self) -> bool:
        """Whether its nodes run. Of the control plane a test may have stopped a part for a while."""
        return self._state_file.exists() and all(node.process.running for node in self.nodes)

    def up(self, archives: Sequence[Path] = ()) -> None:
        """Make it where it is not there; returns when every node is ready and has these images."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.directory.parent / f"{self.directory.name}.lock"):
            wanted = (*own_archives.ensure().values(), *archives)
            if self.is_up():
                self._complete(wanted)
            else:
                self.down()
                self._make(wanted)

    def down(self) -> None:
        """End its processes and remove its directory."""
        for record in self.directory.rglob("*.pid"):
            Process(record.parent, record.stem).stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def load_image(self, archive: Path) -> None:
        """Bring an image archive into every node, unless it is there."""
        state, key = self.state(), digest(archive.read_bytes())
        if key not in state.loaded:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda node: node.load_image(archive), self.nodes))
            state.loaded.append(key)
            self._write(state)

    @property
    def kubectl_command(self) -> tuple[str, ...]:
        """kubectl as the administrator, for what runs on beside the test."""
        return self.plane.kubectl_command()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed as the administrator; raises LabError with its complaint."""
        return self.plane.kubectl(*arguments, stdin=stdin)

    @contextlib.contextmanager
    def without_api_server(self) -> Iterator[None]:
        """The API server is gone inside, and answers again after."""
        self.plane.process("kube-apiserver").stop()
        try:
            yield
        finally:
            self.plane.start()

    def state(self) -> State:
        """What is known of the running lab; raises LabError where there is none."""
        if not self._state_file.exists():
            raise LabError(f"No cluster in {self.directory}: `make cluster` brings one up.")
        return msgspec.json.decode(self._state_file.read_bytes(), type=State)

    @property
    def _state_file(self) -> Path:
        return self.directory / "state.json"

    def _write(self, state: State) -> None:
        self._state_file.write_bytes(msgspec.json.encode(state))

    def _complete(self, archives: Sequence[Path]) -> None:
        self.plane.start()
        for node in self.nodes:
            node.wait_until_ready()
        for archive in archives:
            self.load_image(archive)

    def _make(self, archives: Sequence[Path]) -> None:
        image = node_image.ensure()
        self.directory.mkdir(parents=True)
        state = State(network=f"127.{random.randint(1, 254)}.{random.randint(0, 254)}")  # noqa: S311 - no secret
        self._write(state)
        with _clock(state.seconds, "images"):
            content.make(image, archives, disk := self.directory / "content.img")
        state.loaded += (digest(archive.read_bytes()) for archive in archives)
        with _clock(state.seconds, "control plane"):
            self.plane.start()
        self.plane.kubectl("create", *PROXY_RIGHTS)
        began = time.monotonic()
        for node in self.nodes:
            node.start(image, disk)
        for node in self.nodes:
            node.wait_until_ready()
            state.seconds[node.name] = time.monotonic() - began
        self._write(state)


@contextlib.contextmanager
def _clock(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[what] = time.monotonic() - began
