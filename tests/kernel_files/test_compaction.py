"""The sysctl that keeps locked pages in their place: set, noted, and put back, whatever becomes of the guard."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memguard.kernel.compaction import KNOB, allow_moves, forbid_moves
from memguard.kernel.record import Records
from memguard.kernel.selfguard import keep_pages_in_place
from memguard.kernel.sweep import Swept, sweep


@pytest.fixture
def knob(tmp_path: Path) -> Path:
    file = tmp_path / "proc" / "sys" / KNOB
    file.parent.mkdir(parents=True)
    file.write_text("1\n")
    return file


@pytest.fixture
def run_dir(tmp_path: Path) -> str:
    (tmp_path / "run").mkdir()
    return str(tmp_path / "run")


def held(run_dir: str) -> list[str]:
    return [name for name in os.listdir(run_dir) if name != "holds"]


@pytest.mark.row("P3")
def test_it_is_set_and_put_back(tmp_path: Path, knob: Path, run_dir: str) -> None:
    assert keep_pages_in_place(f"{tmp_path}/proc/sys", run_dir).ok
    assert knob.read_text().strip() == "0"
    assert keep_pages_in_place(f"{tmp_path}/proc/sys", run_dir).ok, "asked again, what was found first stays noted"
    assert allow_moves(run_dir) == ""
    assert knob.read_text().strip() == "1"
    assert held(run_dir) == []
    assert allow_moves(run_dir) == ""


@pytest.mark.row("T1", "P3")
def test_whoever_sweeps_after_a_dead_guard_puts_it_back(tmp_path: Path, knob: Path, run_dir: str) -> None:
    forbid_moves(f"{tmp_path}/proc/sys", run_dir)
    records = Records(run_dir)
    assert sweep(str(tmp_path), records) == Swept()
    assert knob.read_text().strip() == "1"
    assert held(run_dir) == []
    records.close()


def test_what_was_forbidden_before_is_not_ours(tmp_path: Path, knob: Path, run_dir: str) -> None:
    knob.write_text("0\n")
    assert keep_pages_in_place(f"{tmp_path}/proc/sys", run_dir).ok
    assert held(run_dir) == []
    allow_moves(run_dir)
    assert knob.read_text() == "0\n"


def test_what_somebody_else_set_meanwhile_stays(tmp_path: Path, knob: Path, run_dir: str) -> None:
    forbid_moves(f"{tmp_path}/proc/sys", run_dir)
    knob.write_text("2\n")
    assert allow_moves(run_dir) == ""
    assert knob.read_text() == "2\n"


def test_a_kernel_without_compaction(tmp_path: Path, run_dir: str) -> None:
    assert keep_pages_in_place(f"{tmp_path}/none", run_dir).ok
    assert held(run_dir) == []


def test_where_it_may_not_be_set_it_says_what_it_needs(
    tmp_path: Path, knob: Path, run_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path == str(knob) and flags & os.O_WRONLY:
            raise OSError(30, "Read-only file system")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    applied = keep_pages_in_place(f"{tmp_path}/proc/sys", run_dir)
    assert not applied.ok
    assert applied.detail.startswith("Read-only file system: needs a writable /proc/sys/vm/compact_unevictable_allowed")
    assert held(run_dir) == [], "nothing is to be put back"
    assert knob.read_text() == "1\n"
