"""A node of the lab: a QEMU machine whose kubelet joins the control plane."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e2e.lab import machine
from e2e.lab.certificates import HOST_SEEN_BY_NODE
from e2e.lab.control_plane import PROXY, ControlPlane, node_user
from e2e.lab.errors import LabError
from e2e.lab.guest_agent import GuestAgent
from e2e.lab.kubelet import configuration, pod_network
from e2e.lab.node_image import NodeImage, make_disk
from e2e.lab.process import Process
from e2e.lab.specs import NodeSpec

READY_SECONDS = 600.0
#: How long one question waits for its answer before QEMU's own death is looked for.
QUESTION_SECONDS = 5
COMMAND_SECONDS = 60.0
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
MIB = 1 << 20


@dataclass(frozen=True)
class LabNode:
    """One node by its directory. `number`: of its own address and its pods'; `address`: its kubelet's out here."""

    spec: NodeSpec
    number: int
    address: str
    directory: Path
    plane: ControlPlane
    detached: bool = False

    @property
    def name(self) -> str:
        """The Node object's name, and the host name."""
        return self.spec.name

    @property
    def console(self) -> Path:
        """What the kernel and systemd said since the machine was started."""
        return self.directory / "console.log"

    @property
    def process(self) -> Process:
        """QEMU."""
        return Process(self.directory, "qemu", self.detached)

    def start(self, image: NodeImage, content: Path) -> None:
        """Make the Node object and boot the machine with this containerd content; it is not ready yet."""
        self.directory.mkdir(parents=True)
        self.plane.kubectl("create", "-f", "-", stdin=json.dumps(self._object()))
        disks = {"config": self._config_disk(), "images": content}
        if self.spec.swap_mib:
            disks["swap"] = _blank(self.directory / "swap.img", self.spec.swap_mib)
        self.process.start(*machine.qemu_command(self.spec, image, self.directory, disks, self._network()))

    def wait_until_ready(self) -> None:
        """Until this boot's kubelet has reported Ready; raises LabError with the console's end where that fails."""
        self._until("answers", lambda: self._boot() is not None)
        self._until("reports", lambda: self._has(f"jsonpath={{.status.nodeInfo.bootID}}={self._boot()}"))
        self._until("is ready", lambda: self._has("condition=Ready"))

    def run(self, script: str, timeout_s: float = COMMAND_SECONDS) -> str:
        """What a shell script printed that ran as root; raises LabError where it failed, with what it complained of.

        It runs outside kubelet's cgroups at oom_score_adj -1000, and so does what it starts, unless that is undone.
        """
        done = GuestAgent(self._socket).run(script, timeout_s)
        if done.exit_code:
            raise LabError(f"{self.name}: exit code {done.exit_code} from: {script}\n{done.output}{done.errors}")
        return done.output

    def kubelet(self, path: str) -> str:
        """What kubelet answers to GET `path`, as in "/metrics"; the API server proxies to no loopback address."""
        trust = ssl.create_default_context(cafile=str(self.plane.certificates.authority))
        trust.check_hostname = False  # all kubelets share one certificate
        url = f"https://{self.address}:{machine.KUBELET_PORT}{path}"
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.plane.token()}"})
        try:
            with urllib.request.urlopen(asked, context=trust, timeout=COMMAND_SECONDS) as answer:  # noqa: S310
                return str(answer.read().decode())
        except OSError as error:
            raise LabError(f"{self.name}: kubelet does not answer to {path}: {error}") from error

    def reboot(self) -> None:
        """Reset the machine as a power failure would, and wait until its kubelet reports from the new boot."""
        before = self._boot()
        self.run("sync; (sleep 1; echo b > /proc/sysrq-trigger) > /dev/null 2>&1 &")
        self._until("comes back", lambda: self._boot() not in {None, before})
        self.wait_until_ready()

    def load_image(self, archive: Path) -> None:
        """Import an image archive into the running node."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            sender = threading.Thread(target=_send_once, args=(server, archive), daemon=True)
            sender.start()
            source = f"TCP:{HOST_SEEN_BY_NODE}:{server.getsockname()[1]}"
            self.run(f"socat -u {source} STDOUT | ctr -n k8s.io images import -", timeout_s=READY_SECONDS)
            sender.join()

    def _boot(self) -> str | None:
        """Which boot this is, or None while none answers."""
        try:
            return GuestAgent(self._socket, QUESTION_SECONDS).run(BOOT_ID, QUESTION_SECONDS).output.strip()
        except LabError:
            return None

    @property
    def _socket(self) -> Path:
        return self.directory / machine.AGENT_SOCKET

    def _has(self, condition: str) -> bool:
        try:
            self.plane.kubectl("wait", f"node/{self.name}", f"--for={condition}", f"--timeout={QUESTION_SECONDS}s")
        except LabError:
            return False
        return True

    def _until(self, what: str, question: Callable[[], bool]) -> None:
        """Ask, while it waits for QUESTION_SECONDS each time, until the answer is yes."""
        deadline = time.monotonic() + READY_SECONDS
        while not question():
            if time.monotonic() > deadline or not self.process.running:
                raise LabError(f"{self.name} never {what}; {self.console} ends with:\n{self._last_words()}")

    def _last_words(self) -> str:
        console = self.console.read_bytes()[-4000:].decode(errors="replace") if self.console.exists() else ""
        return console.replace("\r", "") + self.process.tail()

    def _network(self) -> machine.Network:
        return machine.Network(host=HOST_SEEN_BY_NODE, guest=f"10.0.2.{100 + self.number}", kubelet=self.address)

    def _object(self) -> dict[str, object]:
        """The Node as a cloud's controller would make it: kubelet leaves addresses that are there as they are.

        So the API server, which has no way into the guests' network, finds each kubelet at an address of its own.
        """
        # Without a condition kubelet complains of it ten times a second until it is ready.
        not_yet = {"type": "Ready", "status": "False", "reason": "Booting", "message": "the machine is started"}
        addresses = {"InternalIP": self._network().guest, "ExternalIP": self.address, "Hostname": self.name}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            "status": {
                "addresses": [{"type": kind, "address": address} for kind, address in addresses.items()],
                "conditions": [not_yet],
            },
        }

    def _config_disk(self) -> Path:
        """What the node mounts as /etc/kubernetes."""
        disk = self.directory / "config.img"
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            root = Path(scratch)
            (root / "cni").mkdir()
            (root / "cni/10-pods.conflist").write_text(json.dumps(pod_network(self.number)))
            (root / "kubelet.json").write_text(json.dumps(configuration(self.spec)))
            (root / "kubelet.kubeconfig").write_text(self.plane.node_kubeconfig(node_user(self.name)))
            (root / "kube-proxy.kubeconfig").write_text(self.plane.node_kubeconfig(PROXY))
            for name in ("ca.crt", "kubelet.crt", "kubelet.key"):
                shutil.copy(self.plane.certificates.file(name), root / name)
            make_disk(root, disk, "8M")
        return disk


def _blank(file: Path, size_mib: int) -> Path:
    with file.open("wb") as disk:
        disk.truncate(size_mib * MIB)
    return file


def _send_once(server: socket.socket, file: Path) -> None:
    connection, _ = server.accept()
    with connection, file.open("rb") as content:
        connection.sendfile(content)
