"""A victim on its way out: how far it is, what is still expected of it, and when nothing more is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.conftest import MakeWard
from tests.guard.world import Kernfs
from tests.kernel_files.trees import MIB, remove_cgroup

from memguard.core.domain import Domain, Kind
from memguard.core.ladder import KILL_SECONDS
from memguard.guard.course import GIVE_UP_SECONDS, PENDING_SECONDS, RELEASE_SECONDS, Course
from memguard.guard.ward import Ward

EXPECTED = 150 * MIB
NODE = Domain(kind="node", name="", size_bytes=1 << 30, available_bytes=40 * MIB, reserve_bytes=64 * MIB)


def write(ward: Ward, **files: str) -> None:
    for name, text in files.items():
        Path(f"{ward.cgroup}/{name.replace('__', '.')}").write_text(text)


def empty(ward: Ward, left: int = 0) -> None:
    write(ward, cgroup__events="populated 0\nfrozen 0\n", memory__current=f"{left}\n")


@pytest.fixture
def course(make_ward: MakeWard) -> Course:
    """Holding 200 MiB, of which 150 are expected back; begun at 100."""
    return Course(make_ward("web"), NODE, EXPECTED, 100.0)


@pytest.mark.row("T1")
def test_a_kill_is_written_and_followed_to_its_end(course: Course) -> None:
    assert course.kill(100.0)
    assert Path(f"{course.ward.cgroup}/cgroup.kill").read_text() == "1"
    assert not course.advance(100.01)
    empty(course.ward, left=30 * MIB)
    assert course.advance(100.05)
    assert (course.stage, course.action, course.freed_bytes) == ("ended", "kill", 170 * MIB)
    assert course.seconds == pytest.approx(0.05)


@pytest.mark.row("T3")
def test_memory_that_stays_charged_is_not_called_freed(course: Course) -> None:
    """Tmpfs: everybody is dead and nothing came back."""
    course.kill(100.0)
    empty(course.ward, left=200 * MIB)
    assert course.advance(100.05)
    assert (course.stage, course.freed_bytes) == ("ended", 0)


@pytest.mark.usefixtures("kernfs")
def test_a_cgroup_that_is_gone_gave_back_what_was_expected(course: Course) -> None:
    course.kill(100.0)
    remove_cgroup(Path(str(course.ward.cgroup)))
    assert course.advance(100.05)
    assert (course.stage, course.freed_bytes) == ("ended", EXPECTED)


@pytest.mark.usefixtures("kernfs")
def test_one_that_vanished_before_its_kill_is_as_good_as_killed(course: Course) -> None:
    remove_cgroup(Path(str(course.ward.cgroup)))
    assert course.kill(100.0)
    assert course.advance(100.0)


def test_a_refused_kill_says_why(course: Course, kernfs: Kernfs) -> None:
    kernfs.read_only.add(f"{course.ward.cgroup}/cgroup.kill")
    assert not course.kill(100.0)
    assert "Read-only" in course.refusal


@pytest.mark.row("T4")
def test_a_refused_kill_protects_nobody_else(course: Course, kernfs: Kernfs) -> None:
    """After its grace, say: nothing comes of it, so nothing is waited for."""
    kernfs.read_only.add(f"{course.ward.cgroup}/cgroup.kill")
    course.stage = "terminating"
    assert not course.kill(100.0)
    assert course.advance(100.0)
    assert (course.stage, course.freed_bytes) == ("abandoned", 0)


# --- waiting


@pytest.mark.row("T4")
def test_what_is_expected_counts_and_fades(course: Course) -> None:
    course.kill(100.0)
    assert course.pending_bytes(100.0) == EXPECTED
    assert course.pending_bytes(100.0 + KILL_SECONDS) == EXPECTED
    half = course.pending_bytes(100.0 + KILL_SECONDS + PENDING_SECONDS / 2)
    assert half == pytest.approx(EXPECTED / 2, rel=0.01)
    assert course.pending_bytes(100.0 + KILL_SECONDS + PENDING_SECONDS) == 0


@pytest.mark.row("T4")
def test_no_more_is_expected_than_it_holds(course: Course) -> None:
    course.kill(100.0)
    write(course.ward, memory__current=f"{20 * MIB}\n")
    assert course.pending_bytes(100.1) == 20 * MIB
    empty(course.ward)
    assert course.pending_bytes(100.1) == 0


@pytest.mark.usefixtures("kernfs")
def test_nothing_is_expected_of_one_that_is_gone(course: Course) -> None:
    course.kill(100.0)
    remove_cgroup(Path(str(course.ward.cgroup)))
    assert course.pending_bytes(100.1) == 0


@pytest.mark.row("T4")
@given(grace=st.floats(0, 60), one=st.floats(0, 100), other=st.floats(0, 100))
def test_expectations_only_fade(grace: float, one: float, other: float) -> None:
    """Whenever it was struck: they are within 0 and what was expected, and never rise again."""
    course = Course.__new__(Course)
    course.ward = Ward.__new__(Ward)
    course.ward.cgroup = _Holder()  # type: ignore[assignment]
    course.expected_bytes, course.started, course.stage = EXPECTED, 100.0, "killing"
    course._struck = course._deadline = 100.0 + grace
    earlier, later = sorted((one, other))
    values = [course.pending_bytes(course._struck + seconds) for seconds in (earlier, later)]
    assert EXPECTED >= values[0] >= values[1] >= 0


class _Holder:
    def current(self) -> int:
        return 1 << 40


@pytest.mark.row("T4")
def test_a_stuck_one_is_given_up(course: Course) -> None:
    course.kill(100.0)
    assert not course.advance(100.0 + GIVE_UP_SECONDS)
    assert course.advance(100.1 + GIVE_UP_SECONDS)
    assert (course.stage, course.freed_bytes) == ("abandoned", 0)


@pytest.mark.row("T1", "T4")
def test_after_a_long_grace_the_clock_starts_at_the_kill(course: Course) -> None:
    """Else it would be abandoned at once, and the next one killed for what this one is about to give back."""
    course.stage = "terminating"
    late = 100.0 + 2 * GIVE_UP_SECONDS
    assert not course.advance(late)
    course.kill(late)
    assert not course.advance(late + 0.05)
    assert course.pending_bytes(late + 0.05) == EXPECTED
    empty(course.ward)
    assert course.advance(late + 0.1)
    assert course.stage == "ended"


def test_one_that_takes_long_is_helped_once(course: Course) -> None:
    course.kill(100.0)
    assert not course.needs_help(100.0 + RELEASE_SECONDS / 2)
    assert course.needs_help(100.01 + RELEASE_SECONDS)
    course.release_memory()
    course.helped = True
    assert not course.needs_help(101.0)


# --- a stop signal


@pytest.fixture
def process(course: Course, proc: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as one:
        (proc / str(one.pid)).symlink_to(f"/proc/{one.pid}")
        write(course.ward, cgroup__procs=f"{one.pid}\n")
        yield one
        one.kill()


@pytest.mark.row("T1")
def test_a_stop_signal_has_its_time(course: Course, process: subprocess.Popen[bytes], proc: Path) -> None:
    assert course.terminate(signal.SIGTERM, 0.3, str(proc))
    assert course.stage == "terminating"
    assert process.wait(30) == -signal.SIGTERM
    assert [course.overdue(now) for now in (100.0, 100.29, 100.3)] == [False, False, True]
    course.kill(100.3)
    assert not course.overdue(100.4)


def test_nobody_to_signal(course: Course, proc: Path) -> None:
    assert not course.terminate(signal.SIGTERM, 0.3, str(proc))


def test_one_that_goes_by_itself_needs_no_kill(course: Course) -> None:
    course.stage = "terminating"
    empty(course.ward)
    assert course.advance(100.1)
    assert course.stage == "ended"
    assert Path(f"{course.ward.cgroup}/cgroup.kill").read_text() == ""
    assert os.fstat(course.fd)


# --- how the memory came back


def follow(course: Course, *left: int, available: int = 70 * MIB) -> list[tuple[float, int, int | None]]:
    """It holds so much at each look, 10 ms apart, and nothing at the end; what was noted, in MiB.

    Of the 200 MiB it holds at first 88 are cache, which is not counted.
    """
    for look, held in enumerate(left):
        write(course.ward, memory__current=f"{held * MIB}\n")
        course.watched(100.0 + look / 100, lambda: available)
    empty(course.ward)
    assert course.advance(100.0 + len(left) / 100)
    course.over(lambda: available)
    return [
        (point.seconds, point.available_bytes // MIB, point.victim_bytes and point.victim_bytes // MIB)
        for point in course.timeline
    ]


@pytest.mark.row("T3")
def test_a_kill_is_followed_until_the_memory_is_back(course: Course) -> None:
    course.kill(100.0)
    assert follow(course, 200, 120) == [(0.0, 70, 112), (0.01, 70, 32), (0.02, 70, 0)]
    assert course.kill_seconds is None


@pytest.mark.row("E4")
@pytest.mark.parametrize("kind", ["kubepods", "numa", "pod", "container"])
def test_within_a_smaller_boundary_it_is_what_the_victim_gave_back(make_ward: MakeWard, kind: Kind) -> None:
    limit = Domain(kind=kind, name="0", size_bytes=256 * MIB, available_bytes=16 * MIB, reserve_bytes=16 * MIB)
    course = Course(make_ward("web"), limit, EXPECTED, 100.0)
    course.kill(100.0)
    assert follow(course, 200, 120) == [(0.0, 16, 112), (0.01, 96, 32), (0.02, 216, 0)]


@pytest.mark.row("T1", "T2")
def test_the_kill_after_a_stop_signal_has_its_time(course: Course) -> None:
    course.action, course.stage = "terminate", "terminating"
    assert course.kill_seconds is None
    course.kill(104.0)
    assert course.kill_seconds == 4.0
