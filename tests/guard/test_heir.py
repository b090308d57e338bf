"""Whoever undoes what a guard leaves: what is done and said when there is none any more, or one again."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import cast

import pytest

from memguard.guard import heir
from memguard.guard.ears import Ears
from memguard.guard.heir import Heir
from memguard.guard.janitor import spawn_janitor
from memguard.guard.report import Report
from memguard.guard.supervisor import Post


class Switch:
    """A post that is taken or not, as a test wants it."""

    taken = True


class Stage:
    """An heir, what it said, and whether one was present at each change."""

    def __init__(self, directory: Path, post: Switch | None) -> None:
        self.ears, self.said, self.changes = Ears(), list[tuple[str, str]](), list[bool]()
        self.heir = Heir(
            cast("Post | None", post),
            (str(directory / "cgroup"), str(directory / "run")),
            ears=self.ears,
            report=cast("Report", self),
            changed=lambda: self.changes.append(self.heir.present),
        )

    def alarm(self, reason: str, kind: str) -> None:
        self.said.append((kind, reason))


def test_a_supervisor_that_goes_and_comes_is_said_once(tmp_path: Path) -> None:
    post = Switch()
    stage = Stage(tmp_path, post)
    for post.taken in (True, False, False, True, True):
        stage.heir.check()
    assert stage.changes == [False, True]
    assert stage.said == [("supervisor", "the supervisor is gone. No line stands until there is one.")]


def test_a_janitor_that_cannot_be_had_is_said_once_and_its_return_changes_what_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory() -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    stage = Stage(tmp_path, None)
    first = spawn_janitor()
    stage.heir.employ(first)
    assert stage.changes == [], "there was one from the beginning"
    with monkeypatch.context() as patch:
        patch.setattr(heir, "spawn_janitor", no_memory)
        os.kill(first.pid, signal.SIGKILL)
        for rung in stage.ears.sleep(30):
            rung(0.0)
        stage.heir.check()
        stage.heir.check()
    assert stage.changes == [False]
    assert [reason for _, reason in stage.said] == [
        "the janitor died, and there can be no other: Cannot allocate memory. No line stands until there is one."
    ]
    stage.heir.check()
    stage.heir.check()
    assert (stage.changes, stage.heir.janitor is not None) == ([False, True], True)
    assert len(stage.said) == 2
    stage.heir.dismiss()
