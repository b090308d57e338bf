"""Line: whose value memory.high is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.record import XATTRS, Records

PAGE = os.sysconf("SC_PAGE_SIZE")


def high(directory: Path) -> str:
    return (directory / "memory.high").read_text().strip()


def marks(directory: Path) -> list[str]:
    return [name for name in os.listxattr(directory) if name in XATTRS.values()]


@pytest.fixture
def line(cgroup: Cgroup, records: Records) -> Line:
    return Line(cgroup, records)


def test_arm_writes_and_lift_puts_back(line: Line, directory: Path, records: Records) -> None:
    assert line.arm(240 * MIB).verdict == "done"
    assert high(directory) == str(240 * MIB)
    assert line.armed
    [(_, hold)] = records.holds()
    assert (hold.found, hold.written) == (UNLIMITED, 240 * MIB)
    assert marks(directory) == [XATTRS["line"]]
    assert line.lift().verdict == "done"
    assert high(directory) == "max"
    assert not line.armed
    assert records.holds() == []
    assert marks(directory) == []


@given(wanted=st.integers(0, 1 << 50), current=st.integers(0, 1 << 40))
def test_a_line_is_page_aligned_and_never_below_current(
    tmp_path_factory: pytest.TempPathFactory, wanted: int, current: int
) -> None:
    base = tmp_path_factory.mktemp("line")
    directory = make_cgroup(base, "web", memory__current=f"{current}\n")
    cgroup, records = Cgroup("web", str(base)), Records(str(base / "run"))
    outcome = Line(cgroup, records).arm(wanted)
    assert outcome.ok
    written = int(high(directory))
    assert written == outcome.value_bytes
    assert written % PAGE == 0
    assert written >= current
    assert current > wanted - PAGE or written <= wanted
    records.close()
    cgroup.close()


def test_moving_a_line_skips_what_changes_nothing(line: Line, directory: Path) -> None:
    line.arm(240 * MIB)
    before = (directory / "memory.high").stat().st_mtime_ns
    assert line.arm(240 * MIB + 5).verdict == "unchanged"
    assert (directory / "memory.high").stat().st_mtime_ns == before
    assert line.arm(230 * MIB).verdict == "done"
    assert line.arm(250 * MIB).verdict == "done"
    line.lift()
    assert high(directory) == "max"


def test_a_limit_of_somebody_else_is_left_alone(line: Line, directory: Path, records: Records) -> None:
    (directory / "memory.high").write_text(f"{230 * MIB}\n")
    outcome = line.arm(220 * MIB)
    assert (outcome.verdict, outcome.value_bytes) == ("foreign", 230 * MIB)
    assert not line.armed
    assert records.holds() == []
    assert high(directory) == str(230 * MIB)


@pytest.mark.parametrize("use", ["arm", "check", "lift"])
def test_another_writer_wins_and_is_reported(line: Line, directory: Path, records: Records, use: str) -> None:
    line.arm(240 * MIB)
    (directory / "memory.high").write_text(f"{235 * MIB}\n")
    outcome = {"arm": lambda: line.arm(250 * MIB), "check": line.check, "lift": line.lift}[use]()
    assert (outcome.verdict, outcome.value_bytes) == ("foreign", 235 * MIB)
    assert high(directory) == str(235 * MIB)
    assert not line.armed
    assert records.holds() == []
    assert marks(directory) == []


def test_a_reset_is_written_again(line: Line, directory: Path) -> None:
    """Systemctl set-property resets the unit's memory.high to the unit's own value."""
    line.arm(240 * MIB)
    assert line.check().verdict == "unchanged"
    (directory / "memory.high").write_text("max\n")
    outcome = line.check()
    assert outcome.verdict == "done"
    assert "reset" in outcome.detail
    assert high(directory) == str(240 * MIB)


def test_lifting_after_a_reset_writes_nothing(line: Line, directory: Path, records: Records) -> None:
    line.arm(240 * MIB)
    (directory / "memory.high").write_text("max\n")
    assert line.lift().verdict == "unchanged"
    assert high(directory) == "max"
    assert records.holds() == []


@pytest.mark.parametrize("use", ["arm", "check", "lift"])
def test_a_vanished_cgroup_is_an_outcome(
    line: Line, cgroup: Cgroup, directory: Path, records: Records, use: str
) -> None:
    line.arm(240 * MIB)
    remove_cgroup(directory)
    cgroup.rest()
    assert {"arm": lambda: line.arm(1), "check": line.check, "lift": line.lift}[use]().verdict == "vanished"
    assert not line.armed
    assert records.holds() == []


def test_a_cgroup_that_vanishes_between_record_and_write(
    line: Line, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cgroup, "write", lambda *_: False)
    assert line.arm(240 * MIB).verdict == "vanished"
    assert records.holds() == []


def test_the_record_stands_before_the_write(
    line: Line, cgroup: Cgroup, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    write = Cgroup.write

    def watched(self: Cgroup, name: str, data: bytes) -> bool:
        seen.append([hold.written for _, hold in records.holds()])
        return write(self, name, data)

    monkeypatch.setattr(Cgroup, "write", watched)
    line.arm(240 * MIB)
    line.arm(230 * MIB)
    assert seen == [[240 * MIB], [230 * MIB]]
    assert records.holds()[0][1].before == 240 * MIB


def test_no_line_without_a_record(
    line: Line, directory: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Records, "note", lambda *_: None)
    assert line.arm(240 * MIB).verdict == "refused"
    assert high(directory) == "max"
    assert not line.armed


def test_a_refused_write_is_an_outcome(
    line: Line, cgroup: Cgroup, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroup.prepare()

    def fail(fd: int, data: bytes, offset: int) -> int:
        if len(data) < 100:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return pwrite(fd, data, offset)

    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", fail)
    outcome = line.arm(240 * MIB)
    assert outcome.verdict == "refused"
    assert "read-write" in outcome.detail
    assert records.holds() == []


def test_a_kernel_without_memory_high(root: Path, records: Records) -> None:
    make_cgroup(root, "v1", memory__high=None)
    assert Line(Cgroup("v1", str(root)), records).arm(1).verdict == "unsupported"
