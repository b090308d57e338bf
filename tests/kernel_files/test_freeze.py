"""Freeze: recorded, ours to thaw only if ours, never ourselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.kernel_files.conftest import PATH
from tests.kernel_files.trees import make_cgroup, remove_cgroup

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.freeze import Freeze
from memguard.kernel.record import XATTRS, Records


@pytest.fixture
def freeze(cgroup: Cgroup, records: Records) -> Freeze:
    return Freeze(cgroup, records)


def state(directory: Path) -> str:
    return (directory / "cgroup.freeze").read_text()[0]


def test_hold_and_release(freeze: Freeze, directory: Path, records: Records) -> None:
    assert freeze.hold().verdict == "done"
    assert freeze.held
    assert state(directory) == "1"
    assert [hold.kind for _, hold in records.holds()] == ["freeze"]
    assert XATTRS["freeze"] in os.listxattr(directory)
    assert freeze.hold().verdict == "unchanged"
    assert freeze.release().verdict == "done"
    assert state(directory) == "0"
    assert records.holds() == []
    assert freeze.release().verdict == "unchanged"


def test_somebody_elses_freeze_stays(freeze: Freeze, directory: Path) -> None:
    (directory / "cgroup.freeze").write_text("1\n")
    assert freeze.hold().verdict == "foreign"
    assert freeze.release().verdict == "unchanged"
    assert state(directory) == "1"


def test_never_our_own_cgroup(freeze: Freeze, root: Path, directory: Path, records: Records) -> None:
    make_cgroup(root, f"{PATH}/nested", cgroup__procs=f"{os.getpid()}\n")
    (directory / "cgroup.stat").write_text("nr_descendants 1\nnr_dying_descendants 0\n")
    assert freeze.hold().verdict == "refused"
    assert state(directory) == "0"
    make_cgroup(root, "")
    assert Freeze(Cgroup("", str(root)), records).hold().verdict == "refused"


def test_a_vanished_cgroup_is_an_outcome(freeze: Freeze, cgroup: Cgroup, directory: Path, records: Records) -> None:
    freeze.hold()
    remove_cgroup(directory)
    cgroup.rest()
    assert freeze.release().verdict == "vanished"
    assert records.holds() == []
    assert freeze.hold().verdict == "vanished"


def test_a_kernel_without_freezer(root: Path, records: Records) -> None:
    make_cgroup(root, "old", cgroup__freeze=None)
    assert Freeze(Cgroup("old", str(root)), records).hold().verdict == "unsupported"
