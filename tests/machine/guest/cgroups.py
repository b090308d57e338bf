"""cgroup v2 directories as kubelet's systemd driver names them: made, read, written and removed."""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Qos = Literal["guaranteed", "burstable", "besteffort"]
CONTROLLERS = ("cpu", "memory", "pids")


@dataclass(frozen=True)
class Names:
    """The names that a pod and its container get; deterministic, so that a cell can be repeated exactly."""

    name: str
    qos: Qos = "burstable"

    @property
    def uid(self) -> str:
        """The pod's UID as systemd writes it: underscores for dashes."""
        digest = hashlib.sha256(f"pod {self.name}".encode()).hexdigest()
        return f"{digest[:8]}_{digest[8:12]}_{digest[12:16]}_{digest[16:20]}_{digest[20:32]}"

    @property
    def pod(self) -> str:
        """The pod's directory below the tree's root."""
        if self.qos == "guaranteed":
            return f"kubepods.slice/kubepods-pod{self.uid}.slice"
        return f"kubepods.slice/kubepods-{self.qos}.slice/kubepods-{self.qos}-pod{self.uid}.slice"

    def container(self, role: str = "container") -> str:
        """The container's directory; role "sandbox" is the pause container beside it."""
        identity = hashlib.sha256(f"{role} {self.name}".encode()).hexdigest()
        return f"{self.pod}/cri-containerd-{identity}.scope"


def read(path: Path) -> str | None:
    """A file's content without the newline; None when the cgroup or the file is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """A single-number file; None for "max" or when it is not there."""
    content = read(path)
    return int(content) if content and content.lstrip("-").isdigit() else None


def keyed(path: Path) -> dict[str, int]:
    """A flat keyed file such as memory.events; empty when it is not there."""
    return {key: int(value) for key, _, value in (line.partition(" ") for line in (read(path) or "").splitlines())}


def pids(cgroup: Path) -> list[int]:
    """Processes of this cgroup alone."""
    return [int(pid) for pid in (read(cgroup / "cgroup.procs") or "").split()]


def make(root: Path, relative: str, controllers: tuple[str, ...] = CONTROLLERS) -> Path:
    """Makes the directory and switches the controllers on at every level above it."""
    path = root
    for part in Path(relative).parts:
        enable(path, controllers)
        path /= part
        path.mkdir(exist_ok=True)
    return path


def enable(cgroup: Path, controllers: tuple[str, ...]) -> None:
    """Hands the controllers down to the children, as far as they are not yet."""
    there = (read(cgroup / "cgroup.subtree_control") or "").split()
    missing = [f"+{controller}" for controller in controllers if controller not in there]
    if missing:
        (cgroup / "cgroup.subtree_control").write_text(" ".join(missing))


def remove(cgroup: Path, *, deadline_seconds: float = 20.0) -> None:
    """Kills everything below and removes the tree; raises TimeoutError when something will not die."""
    if not cgroup.exists():
        return
    (cgroup / "cgroup.kill").write_text("1")
    end = time.monotonic() + deadline_seconds
    for directory in sorted((*cgroup.glob("**/"), cgroup), key=lambda path: -len(path.parts)):
        while directory.exists():
            with contextlib.suppress(OSError):  # EBUSY until the last process is reaped
                directory.rmdir()
                break
            if time.monotonic() > end:
                raise TimeoutError(f"{directory} is still in use by {pids(directory)}")
            time.sleep(0.01)


def held(root: Path) -> dict[str, str]:
    """Every memory.high that is not max and every cgroup.freeze that is not 0, by path below root."""
    found = {}
    for name, normal in (("memory.high", "max"), ("cgroup.freeze", "0")):
        for path in root.glob(f"**/{name}"):
            value = read(path)
            if value not in {None, normal}:
                found[str(path.relative_to(root))] = str(value)
    return found
