from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import settings
from tests.guard import wards
from tests.guard.world import Duty, Kernfs, World, fake_select

from memguard.core.policy import Plan
from memguard.guard import ears
from memguard.guard.dialogue import Address
from memguard.guard.ward import Ward
from memguard.kernel.record import Records

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("guard", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("guard")

Serve = Callable[..., Duty]
MakeWard = Callable[..., Ward]
Inhabit = Callable[[Path, Path, str], "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True)
def own_descriptors(tmp_path: Path) -> Iterator[None]:
    """A guard gives its descriptors back by ending; a test must do it for it."""
    before = _open()
    yield
    for fd, target in _open().items():
        if before.get(fd) != target and (target.startswith(str(tmp_path)) or target == "anon_inode:inotify"):
            os.close(fd)


@pytest.fixture
def kernfs(monkeypatch: pytest.MonkeyPatch) -> Kernfs:
    """Removed files read as ENODEV, as those of a removed cgroup do."""
    found = Kernfs()
    monkeypatch.setattr(os, "pread", found.pread)
    monkeypatch.setattr(os, "pwrite", found.pwrite)
    return found


@pytest.fixture
def world(tmp_path: Path, kernfs: Kernfs, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path / "machine")
    monkeypatch.setattr(ears, "select", fake_select(found))
    return found


@pytest.fixture
def serve(world: World) -> Iterator[Serve]:
    """Starts a guard in the world."""
    duties = []

    def start(text: str, *, address: Address | None = None) -> Duty:
        duties.append(Duty(world, text, address=address))
        return duties[-1]

    yield start
    for duty in duties:
        duty.end()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "cgroup"
    path.mkdir()
    return path


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    path = tmp_path / "proc"
    path.mkdir()
    return path


@pytest.fixture
def make_ward(root: Path, proc: Path) -> MakeWard:
    """Makes wards by path, plan and file contents."""

    def make(path: str, under: Plan | None = None, **changes: str | None) -> Ward:
        return wards.make_ward(root, path, proc, under, **changes)

    return make


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    found = Records(str(tmp_path / "run"))
    yield found
    found.close()


@pytest.fixture
def inhabit() -> Iterator[Inhabit]:
    """Puts a real process into a cgroup of files, and into the /proc beside it; `traps` in the shell's words."""
    started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(cgroup: Path, proc: Path, traps: str) -> subprocess.Popen[bytes]:
        command = ["sh", "-c", f"{traps}; sleep 600 & echo; wait"]
        one = subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0)
        assert one.stdout is not None
        started.append((one, one.stdout))
        one.stdout.readline()
        (proc / str(one.pid)).symlink_to(f"/proc/{one.pid}")
        (cgroup / "cgroup.procs").write_text(f"{one.pid}\n")
        return one

    yield start
    for one, out in started:
        os.killpg(one.pid, signal.SIGKILL)  # the shell may be gone; its sleep is not
        one.wait()
        out.close()


def _open() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found
