"""Tree: containers as they come and go, against real inotify on plain directories."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memguard.kernel import inotify
from memguard.kernel.paths import walk_containers
from memguard.kernel.syscalls import IN_Q_OVERFLOW
from memguard.kernel.tree import Change, Tree

POD = "kubepods.slice/kubepods-pod3f0a1c52_7a9b_4c1d_8e2f_0123456789ab.slice"
OTHER_POD = "kubepods/burstable/pod3f0a1c52-7a9b-4c1d-8e2f-0123456789ab"


def scope(number: int) -> str:
    return f"cri-containerd-{number:064x}.scope"


@pytest.fixture
def tree(root: Path) -> Iterator[Tree]:
    found = Tree(str(root), extra=["system.slice"])
    yield found
    found.close()


def containers(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in changes if change.container is not None]


def ready(tree: Tree) -> bool:
    poll = select.poll()
    poll.register(tree.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def test_what_exists_is_added_first(root: Path, tree: Tree) -> None:
    (root / POD / scope(1)).mkdir(parents=True)
    (root / "system.slice/sshd.service").mkdir(parents=True)
    (root / "a.slice/a-b.slice/a-b-kubepods.slice").mkdir(parents=True)
    changes = tree.start()
    assert containers(changes) == [("added", f"{POD}/{scope(1)}")]
    assert Change("added", "system.slice/sshd.service") in changes
    assert Change("added", POD) in changes
    assert tree.complete
    assert not ready(tree)
    assert tree.changes() == []


def test_they_come_and_go(root: Path, tree: Tree) -> None:
    (root / POD).mkdir(parents=True)
    tree.start()
    place = root / POD / scope(1)
    place.mkdir()
    assert ready(tree)
    assert containers(tree.changes()) == [("added", f"{POD}/{scope(1)}")]
    (place / "nested").mkdir()
    assert tree.changes() == []
    (place / "nested").rmdir()
    place.rmdir()
    assert containers(tree.changes()) == [("removed", f"{POD}/{scope(1)}")]
    place.mkdir()
    place.rmdir()
    place.mkdir()
    assert containers(tree.changes())[-1] == ("added", f"{POD}/{scope(1)}")


def test_a_recreated_one_is_removed_and_added(root: Path, tree: Tree) -> None:
    place = root / POD / scope(1)
    place.mkdir(parents=True)
    tree.start()
    place.rmdir()
    place.mkdir()
    assert [kind for kind, _ in containers(tree.changes())] == ["removed", "added"]


@pytest.mark.parametrize("pod", [POD, OTHER_POD])
def test_a_whole_branch_that_was_there_before_its_watch(root: Path, tree: Tree, pod: str) -> None:
    """Kubelet starts after us; its directories were all created before the first event is read."""
    assert tree.start() == []
    (root / pod / scope(1)).mkdir(parents=True)
    assert containers(tree.changes()) == [("added", f"{pod}/{scope(1)}")]
    (root / pod / scope(2)).mkdir()
    assert containers(tree.changes()) == [("added", f"{pod}/{scope(2)}")]


def test_a_pod_that_goes_takes_its_containers_along(root: Path, tree: Tree) -> None:
    place = root / POD / scope(1)
    place.mkdir(parents=True)
    tree.start()
    place.rmdir()
    (root / POD).rmdir()
    changes = tree.changes()
    assert [change.path for change in changes] == [f"{POD}/{scope(1)}", POD]
    assert {change.kind for change in changes} == {"removed"}
    place.mkdir(parents=True)
    assert containers(tree.changes()) == [("added", f"{POD}/{scope(1)}")]


def test_units_of_an_extra_directory(root: Path, tree: Tree) -> None:
    tree.start()
    (root / "system.slice/a.service").mkdir(parents=True)
    (root / "system.slice/a.service/inner").mkdir()
    (root / "user.slice/user-0.slice").mkdir(parents=True)
    assert tree.changes() == [Change("added", "system.slice/a.service")]
    (root / "system.slice/a.service/inner").rmdir()
    (root / "system.slice/a.service").rmdir()
    assert tree.changes() == [Change("removed", "system.slice/a.service")]


def test_lost_events_are_found_by_looking(root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / POD / scope(1)).mkdir(parents=True)
    tree.start()
    (root / POD / scope(1)).rmdir()
    (root / POD / scope(2)).mkdir()
    os.read(tree.fileno(), 1 << 16)
    overflow = inotify._HEADER.pack(-1, IN_Q_OVERFLOW, 0, 0)
    replies = [overflow, b""]
    monkeypatch.setattr(inotify.Inotify, "_read", lambda _: replies.pop(0))
    found = containers(tree.changes())
    assert sorted(found) == [("added", f"{POD}/{scope(2)}"), ("removed", f"{POD}/{scope(1)}")]
    monkeypatch.undo()
    (root / POD / scope(3)).mkdir()
    assert containers(tree.changes()) == [("added", f"{POD}/{scope(3)}")]


def test_a_real_overflow(root: Path) -> None:
    (root / POD).mkdir(parents=True)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    tree = Tree(str(root))
    tree.start()
    place = root / POD / scope(1)
    for _ in range(limit // 2 + 1):
        place.mkdir()
        place.rmdir()
    place.mkdir()
    found = []
    while select.select([tree], [], [], 0)[0]:
        found += tree.changes()
    assert containers(found)[-1] == ("added", f"{POD}/{scope(1)}")
    tree.close()


def watches(tree: Tree) -> int:
    """How many the kernel keeps for it."""
    return Path(f"/proc/self/fdinfo/{tree.fileno()}").read_text().count("inotify wd:")


@pytest.mark.row("A4")
@pytest.mark.parametrize("told", [True, False], ids=["by events", "by looking"])
def test_a_watch_goes_with_its_directory(
    root: Path, tree: Tree, tmp_path_factory: pytest.TempPathFactory, told: bool
) -> None:
    """Also where its inode lives on: on kernfs it always does. tests/kernel/test_faults.py sees it there."""
    tree.start()
    before = watches(tree)
    for number in range(3):
        (root / POD / scope(1)).mkdir(parents=True)
        tree.changes()
        (root / "kubepods.slice").rename(tmp_path_factory.mktemp("away") / str(number))
        if told:
            tree.changes()
        else:
            os.read(tree.fileno(), 1 << 16)
            tree.rescan()
    assert watches(tree) == before


def test_running_out_of_watches_is_said(root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (root / POD / scope(1)).mkdir(parents=True)
    monkeypatch.setattr(inotify, "inotify_add_watch", fail)
    assert containers(tree.start()) == [("added", f"{POD}/{scope(1)}")]
    assert not tree.complete
    (root / POD / scope(2)).mkdir()
    assert tree.changes() == []
    assert containers(tree.rescan()) == [("added", f"{POD}/{scope(2)}")]


class Churn(RuleBasedStateMachine):
    """Whatever comes and goes, and however late the events are read: in the end the tree knows what is there."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.place = tempfile.TemporaryDirectory()
        self.root = Path(self.place.name)
        self.tree = Tree(str(self.root))
        self.known = {change.path for change in self.tree.start()}

    PATHS = st.sampled_from([POD, OTHER_POD, "kubepods.slice", "kubepods", f"{POD}/{scope(1)}", f"{POD}/{scope(2)}",
                             f"{OTHER_POD}/{scope(3)}", f"{OTHER_POD}/{scope(3)}/inner"])  # fmt: skip

    @rule(path=PATHS)
    def come(self, path: str) -> None:
        (self.root / path).mkdir(parents=True, exist_ok=True)

    @rule(path=PATHS)
    def go(self, path: str) -> None:
        for directory, _, _ in os.walk(self.root / path, topdown=False):
            Path(directory).rmdir()

    @rule()
    def read(self) -> None:
        for change in self.tree.changes():
            if change.kind == "added":
                assert change.path not in self.known
                self.known.add(change.path)
            else:
                self.known.remove(change.path)

    @invariant()
    def what_is_known_is_what_was_there_when_read(self) -> None:
        if not ready(self.tree):
            found = {path for path in self.known if "cri-containerd" in path}
            assert found == {place.path for place in walk_containers(str(self.root))}

    def teardown(self) -> None:
        self.tree.close()
        self.place.cleanup()


TestChurn = Churn.TestCase
TestChurn.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
