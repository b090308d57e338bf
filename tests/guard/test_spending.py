"""What was spent outlives the guard, and nothing that is wrong with its file keeps a guard from starting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.core.make import container

from memguard.core.policy import Budget
from memguard.errors import UnfitError
from memguard.guard.spending import FILE_BYTES, Spending

ONE = Budget(per_container=1, window_seconds=600)
VICTIM = container()


def test_the_next_guard_has_it_until_the_window_is_over(tmp_path: Path) -> None:
    Spending(str(tmp_path), 100.0).spend(VICTIM, ONE, 100.0)
    after = Spending(str(tmp_path), 101.0)
    assert after.recent.refusal(VICTIM, ONE, 101.0) is not None
    assert after.recent.refusal(VICTIM, ONE, 701.0) is None


def test_times_of_before_the_boot_are_forgotten(tmp_path: Path) -> None:
    Spending(str(tmp_path), 5000.0).spend(VICTIM, ONE, 5000.0)
    assert not Spending(str(tmp_path), 10.0).recent.kills


@pytest.mark.parametrize("content", [b"", b"[{", b'{"at": 1}\n', b"\xff" * 100, b"[]\nrest of an older one"])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spent").write_bytes(content)
    assert not Spending(str(tmp_path), 1.0).recent.kills


def test_a_shorter_one_over_a_longer_one_is_read_alone(tmp_path: Path) -> None:
    spending = Spending(str(tmp_path), 0.0)
    for at in range(5):
        spending.spend(VICTIM, ONE, float(at))
    spending.spend(VICTIM, ONE, 10_000.0)
    assert [kill.at for kill in Spending(str(tmp_path), 10_000.0).recent.kills] == [10_000.0]


def test_the_newest_are_kept_where_there_is_no_room(tmp_path: Path) -> None:
    spending = Spending(str(tmp_path), 0.0)
    for at in range(2000):
        spending.spend(VICTIM, Budget(window_seconds=86400), float(at))
    assert (tmp_path / "spent").stat().st_size == FILE_BYTES
    kept = Spending(str(tmp_path), 2000.0).recent.kills
    assert kept[-1].at == 1999.0
    assert len(kept) > 200


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    os.symlink("/nowhere", tmp_path / "spent")
    with pytest.raises(UnfitError, match="spent"):
        Spending(str(tmp_path), 0.0)
