from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.guard import wards
from tests.guard.world import Duty, Kernfs, World, fake_select

from memguard.core.policy import Plan
from memguard.guard import ears
from memguard.guard.ward import Ward
from memguard.kernel.record import Records

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("guard", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("guard")

Serve = Callable[[str], Duty]
MakeWard = Callable[..., Ward]


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

    def start(text: str) -> Duty:
        duties.append(Duty(world, text))
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


def _open() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found
