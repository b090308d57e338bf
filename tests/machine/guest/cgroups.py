"""cgroup v2 directories as kubelet's systemd driver names them: made, read, written and removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Qos = Literal["guaranteed", "burstable", "besteffort"]
CONTROLLERS = ("cpu", "memory", "pids")
PF_EXITING = 0x4  # include/linux/sched.h, the flags field of proc_pid_stat(5)
SIGKILL_MASK = 1 << (9 - 1)


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


def as_cgroupfs(path: str) -> str:
    """The path that kubelet's cgroupfs driver gives what its systemd driver calls `path`; others stay as they are."""
    found = _SYSTEMD_PATH.fullmatch(path)
    if found is None:
        return path
    qos, uid, container = found["qos"], found["uid"], found["container"]
    pod = uid and f"pod{uid.replace('_', '-')}"
    return "/".join(filter(None, ("kubepods", qos, pod, container)))


_SYSTEMD_PATH = re.compile(
    r"kubepods\.slice(?:/kubepods-(?P<qos>\w+)\.slice)?"
    r"(?:/kubepods-(?:\w+-)?pod(?P<uid>\w+)\.slice)?(?:/cri-containerd-(?P<container>\w+)\.scope)?"
)


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


def held_bytes(cgroup: Path) -> int:
    """What its end alone gives back: anonymous and shared memory, here or in swap. Page cache can be had without."""
    stat = keyed(cgroup / "memory.stat")
    return stat.get("anon", 0) + stat.get("shmem", 0) + (number(cgroup / "memory.swap.current") or 0)


def alive(cgroup: Path) -> int:
    """How many processes of this cgroup live on: one that is being killed stays listed until its memory is gone."""
    return sum(not _dying(pid) for pid in pids(cgroup))


def _dying(pid: int) -> bool:
    status, stat = read(Path(f"/proc/{pid}/status")), read(Path(f"/proc/{pid}/stat"))
    if status is None or stat is None:
        return True
    flags = int(stat.rpartition(")")[2].split()[6])
    pending = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd")))
    return bool(flags & PF_EXITING) or any(mask & SIGKILL_MASK for mask in pending)


#: Of a path that somebody else is removing.
MAKE_TRIES = 5


def make(root: Path, relative: str, controllers: tuple[str, ...] = CONTROLLERS) -> Path:
    """Makes the directory and switches the controllers on at every level above it.

    systemd removes a slice that it knows once the last of its units is gone, whenever it gets to it: then anew.
    """
    for _ in range(MAKE_TRIES):
        try:
            return _make(root, relative, controllers)
        except FileNotFoundError:
            time.sleep(0.05)
    return _make(root, relative, controllers)


def _make(root: Path, relative: str, controllers: tuple[str, ...]) -> Path:
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
    for directory in reversed(tree(cgroup)):
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
    for directory in tree(root):
        for name, normal in (("memory.high", "max"), ("cgroup.freeze", "0")):
            value = read(directory / name)
            if value not in {None, normal}:
                found[str((directory / name).relative_to(root))] = str(value)
    return found


def tree(root: Path) -> list[Path]:
    """The directory and all below it, parents first; those that vanish meanwhile are left out."""
    found = [root]
    for directory in found:  # grows while it is walked
        with contextlib.suppress(OSError):
            found.extend(Path(entry.path) for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
    return found
