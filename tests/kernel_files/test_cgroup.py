"""Cgroup: every reading, and None for each when it is gone or the kernel has no such file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kernel_files.conftest import PATH
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.core.model import Events, Stall
from memguard.errors import KernelFileError
from memguard.kernel.cgroup import SCAN, Cgroup, Descendants
from memguard.kernel.files import UNLIMITED
from memguard.kernel.memory_stat import MemoryStat, unreclaimable

READINGS: dict[str, tuple[Callable[[Cgroup], object], object]] = {
    "current": (Cgroup.current, 200 * MIB),
    "unreclaimable": (Cgroup.unreclaimable, (200 - 40 - 30 + 2 + 1 - 4) * MIB),
    "events": (Cgroup.events, Events(low=0, high=3, max=2, oom=1, oom_kill=5, oom_group_kill=1)),
    "events_local": (Cgroup.events_local, Events(high=1)),
    "pressure": (Cgroup.pressure, Stall(some_total_seconds=1.5, full_total_seconds=0.5)),
    "max": (Cgroup.max, 256 * MIB),
    "high": (Cgroup.high, UNLIMITED),
    "min": (Cgroup.min, 0),
    "low": (Cgroup.low, 0),
    "peak": (Cgroup.peak, 210 * MIB),
    "swap_current": (Cgroup.swap_current, 3 * MIB),
    "swap_max": (Cgroup.swap_max, UNLIMITED),
    "zswap_current": (Cgroup.zswap_current, MIB),
    "oom_group": (Cgroup.oom_group, True),
    "cpu_seconds": (Cgroup.cpu_seconds, 2.5),
    "nice": (Cgroup.nice, 19),
    "populated": (Cgroup.populated, True),
    "frozen": (Cgroup.frozen, False),
    "freeze_requested": (Cgroup.freeze_requested, False),
    "descendants": (Cgroup.descendants, Descendants(0, 0)),
    "cpuset_mems": (Cgroup.cpuset_mems, "0-1"),
    "numa_bytes": (Cgroup.numa_bytes, {0: 110, 1: 21}),
    "pids": (Cgroup.pids, []),
}


@pytest.mark.parametrize("name", READINGS)
def test_reading(cgroup: Cgroup, name: str) -> None:
    read, expected = READINGS[name]
    assert read(cgroup) == expected
    assert read(cgroup) == expected


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.parametrize("opened", [False, True])
def test_a_vanished_cgroup_is_none(cgroup: Cgroup, directory: Path, name: str, *, opened: bool) -> None:
    read, expected = READINGS[name]
    if opened:
        assert cgroup.prepare()
        assert read(cgroup) == expected
    remove_cgroup(directory)
    cgroup.rest()
    assert read(cgroup) is None
    assert not cgroup.alive()
    assert not cgroup.prepare()


@pytest.mark.parametrize("name", READINGS)
def test_one_that_never_was_is_none(root: Path, name: str) -> None:
    cgroup = Cgroup("not/there", str(root))
    assert READINGS[name][0](cgroup) is None
    assert cgroup.inode is None
    assert not cgroup.write("memory.high", b"max")


@pytest.mark.parametrize(
    ("file", "reading"),
    [
        ("memory.peak", "peak"),
        ("memory.zswap.current", "zswap_current"),
        ("memory.swap.current", "swap_current"),
        ("memory.pressure", "pressure"),
        ("cpu.weight.nice", "nice"),
        ("memory.numa_stat", "numa_bytes"),
        ("cgroup.freeze", "freeze_requested"),
        ("memory.events.local", "events_local"),
    ],
)
def test_an_older_kernel_lacks_files(root: Path, file: str, reading: str) -> None:
    make_cgroup(root, "old", **{file.replace(".", "__"): None})
    cgroup = Cgroup("old", str(root))
    assert READINGS[reading][0](cgroup) is None
    assert cgroup.file(file).absence == "missing"
    assert cgroup.alive()


def test_the_root_cgroup_has_no_memory_current(root: Path) -> None:
    make_cgroup(root, "", memory__current=None)
    cgroup = Cgroup("", str(root))
    assert cgroup.current() is None
    assert cgroup.stat() is not None


def test_memory_stat_has_every_field(cgroup: Cgroup) -> None:
    stat = cgroup.stat()
    assert stat == MemoryStat(
        anon_bytes=100 * MIB,
        file_bytes=80 * MIB,
        kernel_bytes=8 * MIB,
        sock_bytes=4096,
        shmem_bytes=10 * MIB,
        zswapped_bytes=3 * MIB,
        file_dirty_bytes=2 * MIB,
        file_writeback_bytes=MIB,
        inactive_file_bytes=40 * MIB,
        active_file_bytes=30 * MIB,
        slab_reclaimable_bytes=4 * MIB,
    )


@given(current=st.integers(0, 1 << 40), sizes=st.lists(st.integers(0, 1 << 40), min_size=5, max_size=5))
def test_unreclaimable_stays_within_current(current: int, sizes: list[int]) -> None:
    """memory.stat lags behind memory.current: their difference must not leave the possible range."""
    names = (b"file_dirty", b"file_writeback", b"inactive_file", b"active_file", b"slab_reclaimable")
    data = b"".join(b"%b %d\n" % pair for pair in zip(names, sizes, strict=True))
    assert 0 <= unreclaimable(data, current, "memory.stat") <= current


def test_malformed_content_names_the_file(root: Path) -> None:
    make_cgroup(root, "bad", memory__current="lots\n", cgroup__procs="one two\n", cpu__weight__nice="soon\n")
    cgroup = Cgroup("bad", str(root))
    for read, name in ((cgroup.current, "memory.current"), (cgroup.pids, "cgroup.procs"), (cgroup.nice, "cpu.weight")):
        with pytest.raises(KernelFileError, match=name.replace(".", r"\.")):
            read()


def test_nested_cgroups_processes_are_the_containers(root: Path, directory: Path, cgroup: Cgroup) -> None:
    (directory / "cgroup.procs").write_text("10\n0\n11\n")
    assert cgroup.pids() == [10, 11]
    make_cgroup(root, f"{PATH}/init.scope", cgroup__procs="20\n")
    make_cgroup(root, f"{PATH}/system.slice/a.service", cgroup__procs="30\n31\n")
    (directory / "cgroup.stat").write_text("nr_descendants 3\nnr_dying_descendants 2\n")
    assert sorted(cgroup.pids() or ()) == [10, 11, 20, 30, 31]
    assert cgroup.descendants() == Descendants(3, 2)


def test_descriptors_are_counted_and_given_back(cgroup: Cgroup) -> None:
    assert cgroup.open_descriptors == 1
    cgroup.current()
    cgroup.max()
    assert cgroup.open_descriptors == 2, "memory.max is not read often enough to be kept open"
    assert cgroup.prepare()
    prepared = cgroup.open_descriptors
    cgroup.pids()
    cgroup.stat()
    assert cgroup.open_descriptors == prepared
    cgroup.rest()
    assert cgroup.open_descriptors == 1
    assert cgroup.current() is not None
    cgroup.close()
    assert cgroup.open_descriptors == 0
    assert cgroup.current() is None


def test_a_scan_keeps_more_open(root: Path, directory: Path) -> None:
    cgroup = Cgroup(PATH, str(root), kept=SCAN)
    assert cgroup.max() == 256 * MIB
    assert cgroup.pressure() is not None
    assert cgroup.open_descriptors == 3
    cgroup.close()


def test_prepared_files_need_no_open(cgroup: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between decision and cgroup.kill nothing is opened (braking.md)."""
    cgroup.prepare()
    cgroup.spend()

    def no_open(*_: object, **__: object) -> int:
        pytest.fail("opened a file")

    monkeypatch.setattr(os, "open", no_open)
    assert cgroup.pids() == []
    assert None not in (cgroup.current(), cgroup.stat(), cgroup.events(), cgroup.peak(), cgroup.swap_current())
    assert cgroup.freeze_requested() is False
    assert cgroup.write("cgroup.freeze", b"1")
    assert cgroup.write("cgroup.kill", b"1")
