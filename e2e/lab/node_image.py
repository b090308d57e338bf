"""The node's disk: Debian with systemd, containerd and kubelet, built once and cached by its inputs.

Everything that differs between two nodes or two runs comes on disks of its own (node.py), so this one seldom changes.
No initramfs: Debian's cloud kernel has NVMe, ext4 and the guest agent's virtio console built in. Measured on 2 cores:
built in a minute.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from e2e.lab import binaries
from e2e.lab.cache import CACHE, built, digest, run
from e2e.lab.errors import LabError
from tests.machine.image import EXCLUDED, Image, check_prerequisites

FILES = Path(__file__).parent / "rootfs"
SUITE = "trixie"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "linux-image-cloud-amd64", "kmod", "procps", "python3",
    "containerd", "runc", "containernetworking-plugins", "iproute2", "nftables", "iptables", "conntrack", "socat",
    "ethtool", "apparmor", "qemu-guest-agent",
)  # fmt: skip
#: Directories that the node's disks and its kubelet want.
MOUNT_POINTS = ("etc/kubernetes", "var/lib/containerd", "var/lib/kubelet/manifests")
PROGRAMS = ("kubelet", "kube-proxy")
#: All that boots beside systemd's own basics; each stands in rootfs/ or comes with its package.
UNITS = ("node.service", "containerd.service", "kubelet.service", "kube-proxy.service", "agent.service")
#: What nobody needs here; each costs a part of a second at boot, and udev, whose devices are known, several.
MASKED = (
    "systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service", "kmod-static-nodes.service", "systemd-binfmt.service", "systemd-logind.service",
    "systemd-user-sessions.service", "systemd-journal-flush.service", "systemd-tmpfiles-clean.timer",
    "modprobe@configfs.service", "modprobe@fuse.service", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount", "run-lock.mount", "tmp.mount",
    "getty.target",
)  # fmt: skip
#: Files that tell systemd that /etc and /var fit /usr, so that it rebuilds nothing at the first boot.
UPDATED = ("etc/.updated", "var/.updated")
SIZE = "4G"
#: What content.py runs here, on the building machine.
IMPORTER = ("/usr/bin/containerd", "/usr/bin/ctr")
INPUTS = (SUITE, PACKAGES, PROGRAMS, MOUNT_POINTS, UNITS, MASKED, UPDATED, SIZE, IMPORTER, EXCLUDED)


@dataclass(frozen=True)
class NodeImage(Image):
    """The built disk and kernel, and what else of it is used outside the node."""

    @property
    def importer(self) -> Path:
        """A root directory with the same containerd as the node's."""
        return self.directory / "importer"


def ensure(cache: Path = CACHE / "node") -> NodeImage:
    """The image, built where it is not in the cache. Needs root."""
    programs = binaries.ensure()
    own = (data for path in _own_files() for data in (str(path.relative_to(FILES)), path.read_bytes()))
    key = digest(repr(INPUTS), programs.name, *own)
    return NodeImage(built(cache / key, lambda out: _build(out, programs)))


def _own_files() -> list[Path]:
    return sorted(path for path in FILES.rglob("*") if path.is_file())


def _build(out: Path, programs: Path) -> None:
    check_prerequisites()
    if os.geteuid() != 0:
        raise LabError("Building the node's disk needs root: run `make cluster` as root once, the cache stays.")
    root = out.parent / "root"
    _install(root)
    _configure(root, programs)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), out / "vmlinuz")
    _copy_importer(root, out / "importer")
    make_disk(root, out / "disk.img", SIZE)


def make_disk(root: Path, disk: Path, size: str) -> None:
    """An ext4 disk of the directory; without a journal, because it is thrown away after every run."""
    run("mke2fs", "-F", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(disk), size)


def _install(root: Path) -> None:
    excluded = (f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED)
    options = ("--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *excluded)
    # INITRD=No: Debian's kernel hooks then skip the initramfs, which nobody boots here.
    run("mmdebstrap", *options, SUITE, str(root), env={"INITRD": "No"})


def _configure(root: Path, programs: Path) -> None:
    """Our units and nothing else: whatever packages enabled for themselves is disabled."""
    shutil.copytree(FILES, root, dirs_exist_ok=True)
    for name in MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        shutil.copy(programs / name, root / "usr/local/bin" / name)
    units = root / "etc/systemd/system"
    for link in units.glob("*.wants/*"):
        link.unlink()
    for name in MASKED:
        (units / name).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    for name in UNITS:
        packaged = Path("/usr/lib/systemd/system", name)
        (wanted / name).symlink_to(packaged if (root / packaged.relative_to("/")).exists() else Path("..", name))
    for name in UPDATED:
        (root / name).touch()


def _copy_importer(root: Path, importer: Path) -> None:
    for program in IMPORTER:
        libraries = re.findall(r"/\S+", run("chroot", str(root), "ldd", program).replace(f"{program}:", ""))
        for name in (program, *libraries):
            target = importer / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy((root / name.lstrip("/")).resolve(), target)
    for name in ("proc", "run", "tmp", "var/lib/containerd"):
        (importer / name).mkdir(parents=True)
