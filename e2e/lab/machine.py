"""QEMU's command line of a node."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from e2e.lab.node_image import NodeImage
from e2e.lab.specs import NodeSpec
from tests.machine.qemu import TCG_CPU, TCG_KERNEL_LINE, kvm_works

KUBELET_PORT = 10250
AGENT_SOCKET = "agent.sock"
#: A panic is a reboot, as on a real node; the console tells of it.
KERNEL_LINE = (
    "console=ttyS0 root=/dev/nvme0n1 rw rootwait panic=-1 oops=panic psi=1 quiet systemd.show_status=0 "
    "systemd.unit=multi-user.target net.ifnames=0"
)


class Network(NamedTuple):
    """Addresses on QEMU's user network: this machine as the guest sees it, the guest, and its kubelet's out here."""

    host: str
    guest: str
    kubelet: str


def qemu_command(
    spec: NodeSpec, image: NodeImage, directory: Path, disks: dict[str, Path], network: Network
) -> list[str]:
    """The command line; `disks` by serial, none of which is written. Run it in `directory`."""
    kvm = kvm_works(image)
    processor = ("-accel", "kvm", "-cpu", "host") if kvm else ("-accel", "tcg,thread=multi", "-cpu", TCG_CPU)
    lines = (KERNEL_LINE, "" if kvm else TCG_KERNEL_LINE, _identity(spec, network), spec.kernel_args)
    drives = {"root": image.disk, **disks}
    return [
        "qemu-system-x86_64", *processor, "-smp", str(spec.cpus), "-m", str(spec.memory_mib),
        *_numa(spec), "-display", "none", "-nodefaults", "-serial", f"file:{directory / 'console.log'}",
        *(part for serial, file in drives.items() for part in _drive(serial, file)),
        "-netdev", _user_network(network),
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-chardev", f"socket,id=agent,path={AGENT_SOCKET},server=on,wait=off",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        "-kernel", str(image.kernel), "-append", " ".join(filter(None, lines)),
    ]  # fmt: skip


def _user_network(network: Network) -> str:
    forward = f"hostfwd=tcp:{network.kubelet}:{KUBELET_PORT}-{network.guest}:{KUBELET_PORT}"
    return f"user,id=net,host={network.host},{forward}"


def _identity(spec: NodeSpec, network: Network) -> str:
    # The kernel ignores what it does not know; rootfs/usr/local/sbin/prepare-node reads the second.
    return f"systemd.hostname={spec.name} lab.address={network.guest}"


def _drive(serial: str, file: Path) -> tuple[str, ...]:
    drive = f"if=none,format=raw,file={file},id={serial},snapshot=on,cache=unsafe"
    return ("-drive", drive, "-device", f"nvme,drive={serial},serial={serial}")


def _numa(spec: NodeSpec) -> list[str]:
    if spec.numa_nodes == 1:
        return []
    memory, cpus = spec.memory_mib // spec.numa_nodes, spec.cpus // spec.numa_nodes
    words: list[str] = []
    for node in range(spec.numa_nodes):
        first = node * cpus
        words += ("-object", f"memory-backend-ram,id=memory{node},size={memory}M")
        words += ("-numa", f"node,memdev=memory{node},cpus={first}-{first + cpus - 1}")
    return words
