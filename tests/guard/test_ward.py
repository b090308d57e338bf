"""One container under watch: what is read of it, and that its end at any moment is a normal value."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.guard.conftest import MakeWard
from tests.guard.wards import NOW, plan
from tests.guard.world import stat_text
from tests.kernel_files.trees import MIB, remove_cgroup

from memguard.core.footprint import footprint
from memguard.core.model import Container, Memory, Owner
from memguard.core.policy import Plan, Settings
from memguard.guard.ward import Terms, Ward
from memguard.kernel.files import KernelFile

CGROUP = "kubepods.slice/web"


def write(ward: Ward, **files: str) -> None:
    for name, text in files.items():
        Path(f"{ward.cgroup}/{name.replace('__', '.')}").write_text(text)


def holds(ward: Ward, anon: int, cache: int = 0) -> None:
    write(ward, memory__current=f"{anon + cache}\n", memory__stat=stat_text(anon, cache))


# --- readings


def test_a_study_reads_all_that_a_score_looks_at(make_ward: MakeWard) -> None:
    found = make_ward(CGROUP).container
    unknown = {"owner", "qos", "priority", "privileged", "static", "restart_policy", "restart_count", "request_bytes"}
    unknown |= {"pod_uid", "labels", "high_bytes", "pressure", "numa_bytes", "cpuset_mems", "oom_score_adj"}
    missing = {name for name in found.__struct_fields__ if getattr(found, name) is None}
    assert missing <= unknown
    assert found.limit_bytes == 256 * MIB
    assert found.events is not None
    assert found.events.oom_kill == 5
    assert found.memory.current_bytes == 200 * MIB
    assert found.cpu is not None
    assert (found.cpu.total_seconds, found.cpu.recent_cores) == (2.5, None)


def test_it_is_as_old_as_its_oldest_process(make_ward: MakeWard, proc: Path) -> None:
    """Not as its directory, which our own mark makes younger."""
    ward = make_ward(CGROUP, cgroup__procs=f"{os.getpid()}\n")
    (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    ward.container = replace(ward.container, started_at=None)
    ward.study(NOW, 101.0, str(proc), swap=False)
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    assert ward.container.started_at is not None
    assert (NOW - ward.container.started_at).total_seconds() == pytest.approx(age, abs=2)


def test_an_unlimited_one_has_no_limit(make_ward: MakeWard) -> None:
    assert make_ward(CGROUP, memory__max="max\n").container.limit_bytes is None


def test_numa_is_read_where_there_is_some(make_ward: MakeWard, proc: Path) -> None:
    ward = make_ward(CGROUP)
    ward.study(NOW, 101.0, str(proc), swap=False, numa=True)
    assert ward.container.numa_bytes == {"0": 110, "1": 21}
    assert ward.container.cpuset_mems == "0-1"


def test_swap_is_read_where_there_is_some(make_ward: MakeWard, proc: Path) -> None:
    ward = make_ward(CGROUP)
    assert ward.container.memory.swap_bytes is None
    ward.study(NOW, 101.0, str(proc), swap=True)
    assert ward.container.memory.swap_bytes == 3 * MIB


def test_cpu_use_is_a_rate_between_two_studies(make_ward: MakeWard, proc: Path) -> None:
    ward = make_ward(CGROUP)
    write(ward, cpu__stat="usage_usec 4500000\n")
    ward.study(NOW, 104.0, str(proc), swap=False)
    assert ward.container.cpu is not None
    assert ward.container.cpu.recent_cores == pytest.approx(0.5)


def test_a_reading_counts_as_the_score_does(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP)
    assert ward.footprint_bytes == footprint(ward.container.memory)
    assert ward.current_bytes == 200 * MIB
    assert ward.discount_bytes == 200 * MIB - ward.footprint_bytes
    assert ward.excess_bytes == ward.footprint_bytes


def test_a_glance_takes_the_cache_for_unchanged(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP)
    holds(ward, 100 * MIB, cache=50 * MIB)
    ward.read()
    write(ward, memory__current=f"{160 * MIB}\n")
    assert ward.glance()
    assert ward.footprint_bytes == 110 * MIB
    assert ward.container.memory.anon_bytes == 100 * MIB, "a glance is no reading"


def test_growth_behind_the_cache_shows_in_a_reading(make_ward: MakeWard) -> None:
    """Its cache goes as its memory comes: memory.current says nothing."""
    ward = make_ward(CGROUP)
    holds(ward, 100 * MIB, cache=80 * MIB)
    ward.read()
    holds(ward, 150 * MIB, cache=30 * MIB)
    assert ward.glance()
    assert ward.footprint_bytes == 100 * MIB
    assert ward.read()
    assert ward.footprint_bytes == 150 * MIB


def test_growth_counts_from_the_sweep_before_the_last(make_ward: MakeWard) -> None:
    """However often it is looked at in between."""
    ward = make_ward(CGROUP)
    holds(ward, 100 * MIB)
    ward.base_bytes = 90 * MIB
    for _ in range(3):
        ward.glance()
        ward.read()
    assert ward.risen_bytes == 10 * MIB


def test_a_footprint_is_never_negative(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP)
    holds(ward, 1 * MIB, cache=100 * MIB)
    ward.read()
    write(ward, memory__current=f"{5 * MIB}\n")
    ward.glance()
    assert ward.footprint_bytes == 0


@pytest.mark.row("E4")
def test_a_resized_limit_is_seen_by_the_next_reading(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP, plan(guard_limit=True))
    write(ward, memory__max=f"{512 * MIB}\n")
    ward.read()
    assert ward.container.limit_bytes == 512 * MIB


# --- whether it may be touched


@pytest.mark.parametrize(
    ("under", "words"),
    [
        (plan(), None),
        (Plan(), "Observe"),
        (plan(mode="Observe"), "Observe"),
        (plan(protected=True), "protects"),
        (plan(actions=("notify",)), "neither"),
        (plan(actions=("evict",)), "evicts nobody"),
        (Plan(mode="Enforce", settings=Settings(protected_namespaces=("shop",))), "namespace shop"),
    ],
)
def test_why_it_may_not_be_touched(make_ward: MakeWard, under: Plan, words: str | None) -> None:
    ward = make_ward(CGROUP, under)
    assert (ward.forbidden is None) if words is None else (words in (ward.forbidden or ""))


def test_a_new_identity_replaces_the_old_and_keeps_the_readings(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP)
    before = ward.container
    identity = Container(
        id=before.id, memory=Memory(current_bytes=0), namespace="kube-system", pod="p", name="n", priority=5,
        owner=Owner(kind="Job", name="j"), privileged=True, static=True, request_bytes=7, restart_policy="Never",
        labels={"a": "b"},
    )  # fmt: skip
    ward.assume(identity, Terms(plan()))
    for name in identity.__struct_fields__:
        told = getattr(identity, name)
        if told not in (None, (), "", "container") and name not in ("id", "memory"):
            assert getattr(ward.container, name) == told, name
    assert (ward.id, ward.container.memory) == (before.id, before.memory)
    assert ward.forbidden is not None


# --- its end

USES: dict[str, Callable[[Ward, str], bool]] = {
    "glance": lambda ward, _: ward.glance(),
    "read": lambda ward, _: ward.read(),
    "study": lambda ward, proc: ward.study(NOW, 105.0, proc, swap=True, numa=True),
}
#: no use reads more files than this
MOST_READS = 30


@pytest.mark.usefixtures("kernfs")
@pytest.mark.parametrize("reads", range(MOST_READS))
@pytest.mark.parametrize("use", USES)
def test_it_may_vanish_between_any_two_reads(
    make_ward: MakeWard, proc: Path, monkeypatch: pytest.MonkeyPatch, use: str, reads: int
) -> None:
    """Whatever was read until then, the next one finds nothing: no exception, and at last it is known to be gone."""
    ward = make_ward(CGROUP, plan(guard_limit=True))
    directory = Path(str(ward.cgroup))
    (directory / "inner").mkdir()
    (directory / "inner" / "cgroup.procs").write_text(f"{os.getpid()}\n")
    write(ward, cgroup__procs="7\n8\n", cgroup__stat="nr_descendants 1\nnr_dying_descendants 0\n")
    done = 0
    read = KernelFile.read

    def vanishing(file: KernelFile) -> bytes | None:
        nonlocal done
        if done == reads and directory.exists():
            remove_cgroup(directory)
        done += 1
        return read(file)

    monkeypatch.setattr(KernelFile, "read", vanishing)
    here = USES[use](ward, str(proc))
    assert done < MOST_READS
    if reads == 0:
        assert not here
    if directory.exists():
        remove_cgroup(directory)
    assert not ward.glance()
    assert not ward.read()
    assert not ward.study(NOW, 106.0, str(proc), swap=True, numa=True)
    ward.close()
    assert not ward.glance()


def test_a_closed_one_gives_its_descriptors_back(make_ward: MakeWard) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ward = make_ward(CGROUP)
    assert len(os.listdir("/proc/self/fd")) > before
    ward.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.row("T4")
def test_who_was_emptied_is_left_alone_until_something_runs_in_it_again(make_ward: MakeWard) -> None:
    ward = make_ward(CGROUP, cgroup__procs="", cgroup__events="populated 0\nfrozen 0\n")
    ward.emptied = True
    ward.adopt(Terms(plan()))
    assert ward.read()
    assert ward.forbidden == "nothing runs in it any more, and its memory outlives it"
    write(ward, cgroup__procs="4711\n", cgroup__events="populated 1\nfrozen 0\n")
    assert ward.read()
    assert ward.forbidden is None
