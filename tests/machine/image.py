"""The node image: a Debian machine with systemd, Python and the peers, built once and cached.

Every test that touches a cgroup does so inside this machine, because the developer's own cgroup tree is not ours to
squeeze. The image is small and boots without an initramfs: Debian's cloud kernel has NVMe and ext4 built in, so the
root disk is an NVMe drive. Measured under TCG on 2 cores: 3.3 s from start to the job (with Debian's own
initramfs and default target: 15-20 s).

Cached as `.cache/machine/<hash of all inputs>/{disk.img,vmlinuz}` below the repository's root.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "machine"

# What the host must have: program -> Debian package.
PREREQUISITES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "gcc": "gcc",
    "setpriv": "util-linux",
}

KERNEL = "linux-image-cloud-amd64"
BASE_PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", KERNEL, "python3", "procps", "kmod",
    "earlyoom", "nohang", "oomd", "systemd-oomd",
)  # fmt: skip

# Real programs that nobody may kill: a JVM warming up, PostgreSQL under pgbench, a Go build, gcc.
BENIGN_PACKAGES = ("openjdk-21-jdk-headless", "postgresql", "golang-go", "gcc", "libc6-dev", "make")

# Pages for people. The directories of manual pages stay: openjdk's scripts link into them.
EXCLUDED = ("/usr/share/man/*/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

TARGET_UNIT = """\
[Unit]
Description=Run the job and power off
# Nothing else is started: no udev, journal, getty or timers, so nothing else disturbs a measurement.
DefaultDependencies=no
AllowIsolate=yes
Wants=memguard-guest.service
"""

GUEST_UNIT = """\
[Unit]
Description=The guest runner of memguard's test machine
DefaultDependencies=no
[Service]
Type=oneshot
# The runner must outlive every shortage that it provokes.
Slice=harness.slice
MemoryMin=96M
OOMScoreAdjust=-1000
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/usr/local/sbin/memguard-guest
"""

SLICE_UNIT = """\
[Unit]
DefaultDependencies=no
[Slice]
MemoryMin=96M
"""

# The share's own boot.sh does the rest, so that the image seldom changes.
GUEST_SCRIPT = """\
#!/bin/sh
modprobe virtio_blk
for disk in /sys/block/vd*; do
  if [ "$(cat $disk/serial)" = share ]; then mkdir -p /share; mount -t ext4 -o noatime /dev/${disk##*/} /share; fi
done
cd /share && sh ./boot.sh
echo o > /proc/sysrq-trigger
sleep 60
"""


class MachineError(Exception):
    """The test machine cannot be built or did not do its job; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """All inputs of an image: two equal specs share one cached image."""

    suite: str = "trixie"
    kernel: str = ""  # the suite that the kernel comes from, where it is another: an older or a newer kernel
    packages: tuple[str, ...] = BASE_PACKAGES
    size_gib: int = 4  # sparse; room for a swap file and build trees

    @property
    def included(self) -> tuple[str, ...]:
        """The packages, each with its suite where that is another."""
        other = f"{KERNEL}/{self.kernel}" if self.kernel else KERNEL
        return tuple(other if package == KERNEL else package for package in self.packages)

    def key(self) -> str:
        """Name of the cache directory: changes with every input of the build."""
        inputs = (self.suite, *sorted(self.included), str(self.size_gib), *EXCLUDED, *UNITS.values(), GUEST_SCRIPT)
        return hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]


UNITS = {
    "memguard.target": TARGET_UNIT,
    "memguard-guest.service": GUEST_UNIT,
    "harness.slice": SLICE_UNIT,
}

NODE = ImageSpec()
BENIGN = ImageSpec(packages=BASE_PACKAGES + BENIGN_PACKAGES, size_gib=8)


@dataclass(frozen=True)
class Image:
    """A built image's directory."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"


def check_prerequisites(search_path: str | None = None) -> None:
    """Raises one MachineError that names every missing program's Debian package."""
    path = search_path if search_path is not None else os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({package for name, package in PREREQUISITES.items() if not shutil.which(name, path=path)})
    if missing:
        raise MachineError(f"The test machine needs these packages: apt-get install -y {' '.join(missing)}")


def ensure(spec: ImageSpec = NODE, cache: Path = CACHE) -> Image:
    """The image of `spec`, built if it is not in the cache (about 45 s; BENIGN several minutes). Needs root."""
    directory = cache / spec.key()
    if not (directory / "disk.img").exists():
        check_prerequisites()
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / f"{spec.key()}.lock"):
            if not (directory / "disk.img").exists():
                _build(spec, directory)
    return Image(directory)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time builds the same thing; the others wait and find it done."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(spec: ImageSpec, directory: Path) -> None:
    if os.geteuid() != 0:
        raise MachineError("Building the node image needs root: run `make setup` as root once, the cache stays.")
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="building-") as scratch:
        root, out = Path(scratch, "root"), Path(scratch, "out")
        out.mkdir()
        _debootstrap(spec, root)
        _configure(root)
        shutil.copy(next(root.glob("boot/vmlinuz-*")), out / "vmlinuz")
        # No journal: the disk is thrown away after every run, and jbd2 would only wake up in the middle of it.
        _run(
            "mke2fs", "-F", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root),
            str(out / "disk.img"), f"{spec.size_gib}G",
        )  # fmt: skip
        out.rename(directory)


def _debootstrap(spec: ImageSpec, root: Path) -> None:
    # INITRD=No: Debian's kernel hooks then skip the initramfs, which nobody boots here.
    sources = '"$1"/etc/apt/sources.list'
    also = f"sed 's/ {spec.suite} / {spec.kernel} /' {sources} | grep ' {spec.kernel} ' > {sources}.d/kernel.list"
    hook = (f"--setup-hook={also}",) if spec.kernel else ()
    _run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(spec.included)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        *hook, spec.suite, str(root),
        env={**os.environ, "INITRD": "No"},
    )  # fmt: skip


def _configure(root: Path) -> None:
    """Our target and nothing else: whatever packages enabled for themselves (the peers, timers) is disabled."""
    units = root / "etc/systemd/system"
    for link in units.glob("*.wants/*"):
        link.unlink()
    for name, text in UNITS.items():
        (units / name).write_text(text)
    script = root / "usr/local/sbin/memguard-guest"
    script.write_text(GUEST_SCRIPT)
    script.chmod(0o755)


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
