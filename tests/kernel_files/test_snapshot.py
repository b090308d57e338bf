"""take_snapshot: one pass, in core's words; and what it costs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.core import model
from memguard.kernel.cgroup import SCAN, Cgroup
from memguard.kernel.numa import NumaFiles
from memguard.kernel.process import process
from memguard.kernel.readers import Readers
from memguard.kernel.reading import FirstProcesses
from memguard.kernel.snapshot import take_snapshot
from memguard.kernel.tree import Tree

UID = "3f0a1c52-7a9b-4c1d-8e2f-0123456789ab"
POD = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
CID, OTHER = "a" * 64, "b" * 64
WEB, CACHE = f"{POD}/cri-containerd-{CID}.scope", f"{POD}/cri-containerd-{OTHER}.scope"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def readers(root: Path) -> Iterator[Readers]:
    make_cgroup(root, "kubepods.slice")
    make_cgroup(root, POD, memory__max="max\n")
    make_cgroup(root, WEB, cgroup__procs=f"{os.getpid()}\n", cpu__weight__nice="0\n")
    make_cgroup(root, CACHE)
    found = Readers(str(root), node_name="node-a")
    tree = Tree(str(root))
    found.apply(tree.start())
    tree.close()
    yield found
    found.close()


IDENTITIES = {
    CID: model.Container(
        id=CID,
        namespace="shop",
        pod="cart-7d9",
        pod_uid=UID,
        name="app",
        memory=model.Memory(current_bytes=0),
        memory_volumes=(model.MemoryVolume(kind="emptyDir", bytes=5),),
    )
}


def test_a_snapshot_in_cores_words(readers: Readers) -> None:
    snapshot = take_snapshot(readers, IDENTITIES, lambda: NOON)
    assert snapshot.taken_at == NOON
    assert snapshot.node.name == "node-a"
    assert snapshot.node.memory.total_bytes > 0
    web, cache = snapshot.containers
    assert (web.title, web.cgroup, web.memory_volumes) == ("shop/cart-7d9/app", WEB, IDENTITIES[CID].memory_volumes)
    assert web.limit_bytes == 256 * MIB
    assert web.high_bytes is None
    assert web.memory.anon_bytes == 100 * MIB
    assert web.memory.peak_bytes == 210 * MIB
    assert web.memory.zswap_bytes == 3 * MIB
    assert web.memory.virtual_bytes is not None
    assert web.processes == model.Processes(count=1, running=1, sleeping=0, uninterruptible=0)
    assert web.numa_bytes == {"0": 110, "1": 21}
    assert web.cpuset_mems == "0-1"
    assert web.cpu == model.Cpu(total_seconds=2.5)
    assert (cache.id, cache.pod_uid, cache.qos, cache.mapped) == (OTHER, UID, "Burstable", False)
    assert [(found.kind, found.max_bytes) for found in snapshot.cgroups] == [("kubepods", 256 * MIB), ("pod", None)]
    assert snapshot.cgroups[0].unreclaimable_bytes == 129 * MIB
    assert snapshot.vmstat is not None


def test_it_is_the_public_format(readers: Readers) -> None:
    snapshot = take_snapshot(readers, IDENTITIES, lambda: NOON)
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=model.Snapshot) == snapshot


def test_a_numa_node_without_memory_is_none(readers: Readers, tmp_path: Path) -> None:
    """Its size of 0 could be written, but not be read back."""
    for node, kib in ((0, 4096), (1, 0)):
        directory = tmp_path / f"sys/devices/system/node/node{node}"
        directory.mkdir(parents=True)
        names = ("MemTotal", "MemFree", "Active(file)", "Inactive(file)")
        (directory / "meminfo").write_text("".join(f"Node {node} {name}: {kib} kB\n" for name in names))
    readers.numa = NumaFiles(str(tmp_path / "sys"))
    snapshot = take_snapshot(readers, IDENTITIES, lambda: NOON)
    assert [(found.node, found.total_bytes) for found in snapshot.node.numa] == [(0, 4 * MIB)]
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=model.Snapshot) == snapshot


def test_a_container_is_as_old_as_its_process_whatever_its_directory_says(readers: Readers, root: Path) -> None:
    """The guard's own mark changes the directory's times, and a nested cgroup does."""
    hour_ago = time.time() - 3600
    for path in (WEB, CACHE):
        os.utime(root / path, (hour_ago, hour_ago))
    web, cache = take_snapshot(readers, IDENTITIES, lambda: NOON).containers
    us = process(os.getpid())
    assert us is not None
    assert web.started_at is not None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - us.started_seconds
    assert (NOON - web.started_at).total_seconds() == pytest.approx(age, abs=5)
    assert cache.started_at is not None, "nothing else tells without a process"
    assert (NOON - cache.started_at).total_seconds() == pytest.approx(3600, abs=5)


def test_the_oldest_process_counts(tmp_path: Path) -> None:
    booted = time.clock_gettime(time.CLOCK_BOOTTIME)
    ages = {7: 60, 8: 3600, 9: 7200}
    for pid, age in ages.items():
        started = int((booted + 10_000 - age) * os.sysconf("SC_CLK_TCK"))
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (x) S {'0 ' * 18}{started} 0 0\n")
    first = FirstProcesses(list(ages), str(tmp_path), looked_at=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "clock_gettime", lambda _: booted + 10_000)  # this machine may have just booted
        assert first.age_seconds == pytest.approx(3600, abs=0.1)
    assert FirstProcesses([10], str(tmp_path), looked_at=2).age_seconds is None


def test_a_start_that_is_known_is_kept(readers: Readers) -> None:
    known = {CID: msgspec.structs.replace(IDENTITIES[CID], started_at=NOON - timedelta(days=3))}
    assert take_snapshot(readers, known, lambda: NOON).containers[0].started_at == NOON - timedelta(days=3)


def test_cores_used_lately_come_from_two_passes(readers: Readers, root: Path) -> None:
    take_snapshot(readers, {}, lambda: NOON)
    (root / WEB / "cpu.stat").write_text("usage_usec 5500000\n")
    later = take_snapshot(readers, {}, lambda: NOON + timedelta(seconds=2))
    assert [found.cpu and found.cpu.recent_cores for found in later.containers] == [1.5, 0.0]


def test_what_vanishes_is_left_out(readers: Readers, root: Path) -> None:
    remove_cgroup(root / CACHE)
    remove_cgroup(root / WEB)
    assert take_snapshot(readers, IDENTITIES, lambda: NOON).containers == ()
    remove_cgroup(root / "kubepods.slice")
    for boundary in readers.boundaries.values():
        boundary.rest()  # a plain file is readable while it is held open, a kernel file is not
    assert take_snapshot(readers, IDENTITIES, lambda: NOON).cgroups == ()


def test_removed_readers_hold_nothing(readers: Readers) -> None:
    before = len(os.listdir("/proc/self/fd"))
    take_snapshot(readers, {}, lambda: NOON)
    readers.remove(WEB)
    readers.remove(CACHE)
    readers.remove(POD)
    readers.remove("kubepods.slice")
    assert len(os.listdir("/proc/self/fd")) <= before
    assert take_snapshot(readers, {}, lambda: NOON).containers == ()


def test_unmapped_units_are_named_by_their_path(readers: Readers, root: Path) -> None:
    make_cgroup(root, "system.slice/db.service")
    readers.add("system.slice/db.service")
    found = take_snapshot(readers, {}, lambda: NOON).containers[-1]
    assert (found.id, found.title, found.mapped) == ("system.slice/db.service", "system.slice/db.service", False)


def test_a_thousand_passes_leak_nothing(root: Path) -> None:
    make_cgroup(root, "web")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        cgroup = Cgroup("web", str(root), kept=SCAN)
        assert cgroup.prepare()
        cgroup.pids()
        cgroup.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_pass_is_cheap(root: Path) -> None:
    """250 containers, six files each: Python's own share, since reading plain files costs the kernel next to nothing.

    The real comparison (at most twice a C program) is a benchmark in the virtual machine.
    """
    cgroups = []
    for number in range(250):
        make_cgroup(root, f"c{number}")
        cgroups.append(Cgroup(f"c{number}", str(root), kept=SCAN))
    passes = []
    for _ in range(5):
        start = time.perf_counter()
        for cgroup in cgroups:
            assert None not in (cgroup.current(), cgroup.stat(), cgroup.events(), cgroup.pressure())
            assert None not in (cgroup.swap_current(), cgroup.cpu_seconds())
        passes.append(time.perf_counter() - start)
    assert min(passes) < 0.1
    for cgroup in cgroups:
        cgroup.close()
