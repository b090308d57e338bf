"""What waits on the disk: in order, whole or not there, bounded, and nothing in it that holds up the rest."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.agent.guards import decision, observed

from memguard.agent import disk
from memguard.agent.entries import Amended, Told
from memguard.agent.spool import MOST_ASIDE, Spool
from memguard.core.link import News

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


def told(number: int) -> Told:
    return Told(session="s", news=News(number=number, at=AT, decision=decision()), policy="shop/strict")


class Full:
    """A disk that takes nothing while it is `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, fd: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(fd)


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def spool(tmp_path: Path, troubles: list[str]) -> Spool:
    return Spool(str(tmp_path / "spool"), troubles.append)


def again(tmp_path: Path) -> Spool:
    """As the next process finds it."""
    return Spool(str(tmp_path / "spool"), lambda _: None)


def test_in_order_and_over_a_restart(spool: Spool, tmp_path: Path) -> None:
    entries = [told(1), Amended(at=AT, decision="shop/a", verdict="Hit"), told(2)]
    numbers = [spool.add(entry) for entry in entries]
    found = again(tmp_path)
    assert found.waiting() == tuple(numbers) == (1, 2, 3)
    assert [found.read(number) for number in numbers] == entries
    found.remove(1)
    assert again(tmp_path).waiting() == (2, 3)
    assert found.read(1) is None


def test_a_number_is_never_given_twice(spool: Spool, tmp_path: Path) -> None:
    spool.remove(spool.add(told(1)))
    empty = again(tmp_path)
    empty.begin_after(1)
    assert empty.add(told(2)) == 2


def test_the_oldest_make_room_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), lambda _: None, most=3)
    for number in range(1, 6):
        spool.add(told(number))
    assert (spool.waiting(), spool.dropped, len(spool)) == ((3, 4, 5), 2, 3)
    assert again(tmp_path).waiting() == (3, 4, 5)


def test_what_was_only_observed_makes_room_first(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), lambda _: None, most=4)
    for made in (decision(), observed("a"), decision()):
        spool.add(Told(session="s", news=News(number=1, at=AT, decision=made)))
    spool = Spool(str(tmp_path / "spool"), lambda _: None, most=4)
    for made in (decision(), observed("b"), decision(), decision()):
        spool.add(Told(session="s", news=News(number=1, at=AT, decision=made)))
    assert (spool.waiting(), spool.dropped) == ((3, 4, 6, 7), 3)


@pytest.mark.parametrize("content", [b"", b"{", b'{"type":"told"}', b"\xff\xfe", b'{"type":"elsewhat"}', b"[]"])
def test_a_broken_one_is_set_aside_with_a_word(
    spool: Spool, tmp_path: Path, troubles: list[str], content: bytes
) -> None:
    spool.add(told(1))
    (tmp_path / "spool" / "000000000001.json").write_bytes(content)
    assert spool.read(1) is None
    assert (spool.waiting(), spool.refused) == ((), 1)
    assert "000000000001.json is broken" in troubles[0]
    assert (tmp_path / "spool" / "aside" / "000000000001.json").read_bytes() == content
    assert again(tmp_path).add(told(2)) == 2, "its number is taken"


def test_of_those_set_aside_the_newest_are_kept(spool: Spool, tmp_path: Path) -> None:
    for number in range(1, MOST_ASIDE + 3):
        spool.set_aside(spool.add(told(number)))
    kept = sorted(path.name for path in (tmp_path / "spool" / "aside").iterdir())
    assert (kept[0], len(kept)) == ("000000000003.json", MOST_ASIDE)
    assert spool.refused == MOST_ASIDE + 2


def test_foreign_files_are_left_alone(spool: Spool, tmp_path: Path) -> None:
    for name in ("lost+found", "README", "000000000009.json.unfinished", "1.json"):
        (tmp_path / "spool" / name).write_text("")
    assert again(tmp_path).waiting() == ()


def test_a_full_disk_keeps_nothing_from_being_written(
    spool: Spool, tmp_path: Path, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Full(monkeypatch)
    spool.add(told(1))
    device.full = True
    spool.add(told(2))
    assert (spool.saved, spool.waiting(), spool.read(2)) == (False, (1, 2), told(2))
    assert "000000000002.json cannot be written: No space left" in troubles[0]
    assert again(tmp_path).waiting() == (1,)
    device.full = False
    spool.save()
    assert (spool.saved, again(tmp_path).waiting()) == (True, (1, 2))


def test_what_is_written_meanwhile_need_not_be_saved(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Full(monkeypatch)
    device.full = True
    spool.remove(spool.add(told(1)))
    spool.set_aside(spool.add(told(2)))
    assert spool.saved
    assert spool.waiting() == ()


def test_a_disk_that_gives_nothing_back_is_said(
    spool: Spool, tmp_path: Path, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.add(told(1))

    def read_only(_: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", read_only)
        spool.remove(1)
    assert (spool.waiting(), troubles[-1].endswith("cannot be removed: Read-only file system")) == ((), True)
    assert again(tmp_path).waiting() == (1,), "it is written once more, which changes nothing"


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("steps", range(12))
def test_whenever_it_ends_an_entry_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    spool = again(tmp_path)
    spool.add(told(1))
    left = [steps]

    def counted(name: str) -> Any:
        call = getattr(os, name)

        def stopped(*arguments: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return call(*arguments, **named)

        return stopped

    with monkeypatch.context() as patched:
        for name in ("open", "write", "fsync", "replace", "unlink"):
            patched.setattr(disk.os, name, counted(name))
        try:
            spool.add(told(2))
            spool.remove(1)
        except Cut:
            pass
    found = again(tmp_path)
    assert found.waiting() in ((1,), (1, 2), (2,))
    assert all(found.read(number) == told(number) for number in found.waiting())
