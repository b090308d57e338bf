"""Touches: who else writes memory.high and memory.max, by real inotify on plain files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernel_files.trees import make_cgroup, remove_cgroup

from memguard.kernel import inotify
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.touches import Touches

WEB, DATABASE = "kubepods.slice/web", "kubepods.slice/db"


@pytest.fixture
def touches(root: Path) -> Iterator[Touches]:
    for path in (WEB, DATABASE):
        make_cgroup(root, path)
    touches = Touches(str(root))
    for path in (WEB, DATABASE):
        touches.attend(path)
    yield touches
    touches.close()


@pytest.mark.row("E4")
@pytest.mark.parametrize("name", ["memory.high", "memory.max"])
def test_somebody_else_is_heard(root: Path, touches: Touches, name: str) -> None:
    assert touches.heard() == set()
    (root / WEB / name).write_text("max\n")
    assert touches.heard() == {WEB}
    assert touches.heard() == set()


def test_we_are_not(root: Path, touches: Touches) -> None:
    cgroup = Cgroup(WEB, str(root))
    assert cgroup.write("memory.high", b"1048576\n")
    assert cgroup.high() == 1048576
    assert touches.heard() == set()
    cgroup.close()


def test_other_files_are_of_no_interest(root: Path, touches: Touches) -> None:
    (root / WEB / "memory.current").write_text("0\n")
    (root / WEB / "memory.high").read_text()
    (root / WEB / "below").mkdir()
    assert touches.heard() == set()


def test_who_is_ignored_is_not_heard(root: Path, touches: Touches) -> None:
    touches.ignore(WEB)
    touches.ignore(WEB)
    (root / WEB / "memory.max").write_text("1\n")
    (root / DATABASE / "memory.max").write_text("1\n")
    assert touches.heard() == {DATABASE}
    assert WEB not in touches
    assert DATABASE in touches


def test_what_is_gone_is_not_attended_to_and_can_come_again(root: Path, touches: Touches) -> None:
    remove_cgroup(root / WEB)
    touches.heard()
    touches.ignore(WEB)
    touches.attend(WEB)
    assert WEB not in touches
    make_cgroup(root, WEB)
    touches.attend(WEB)
    (root / WEB / "memory.high").write_text("1\n")
    assert touches.heard() == {WEB}


def test_where_events_were_lost_everybody_may_have_been(root: Path, touches: Touches) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(limit // 2 + 1):  # what is the same as the last one is not queued again
        for path in (WEB, DATABASE):
            (root / path / "memory.max").write_text("0\n")
    assert touches.heard() == {WEB, DATABASE}


def test_a_watch_goes_with_its_cgroup(root: Path, touches: Touches) -> None:
    def count() -> int:
        return Path(f"/proc/self/fdinfo/{touches.fileno()}").read_text().count("inotify wd:")

    assert count() == 4
    touches.ignore(WEB)
    assert count() == 2
    touches.attend("kubepods.slice/none")
    assert count() == 2


def test_without_inotify_nobody_would_be_heard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    make_cgroup(root, WEB)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(inotify, "inotify_init", none_left)
        touches = Touches(str(root))
        touches.attend(WEB)
        assert (touches.fileno(), WEB in touches, touches.heard()) == (-1, False, set())
    touches.attend(WEB)
    assert touches.fileno() >= 0
    assert WEB in touches
    touches.close()
