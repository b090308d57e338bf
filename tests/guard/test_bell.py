"""The bell's states: armed, ringing truly and falsely, on probation, resting, braking, off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.world import stat_text
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.core.domain import margin
from memguard.core.policy import Settings
from memguard.guard.bell import (
    LOOK_SECONDS,
    NEVER,
    PROBATION_LOOKS,
    PROBATION_SECONDS,
    REJUDGE_SECONDS,
    REST_SECONDS,
    SLACK_BYTES,
    Bell,
)
from memguard.guard.config import Tuning
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.record import Records

LIMIT = 256 * MIB
LINE = 240 * MIB
PATH = "kubepods.slice/web"


class Ringer:
    """A bell on a cgroup of files, whose readings are set here."""

    def __init__(self, root: Path, records: Records, limit: int = LIMIT) -> None:
        self.directory = make_cgroup(root, PATH)
        self.bell = Bell(Cgroup(PATH, str(root)), "container:web", limit, records, settings=Settings(), tuning=Tuning())
        self.holds(100 * MIB)

    def holds(self, anon: int, cache: int = 0) -> None:
        (self.directory / "memory.current").write_text(f"{anon + cache}\n")
        (self.directory / "memory.stat").write_text(stat_text(anon, cache))

    @property
    def high(self) -> str:
        return (self.directory / "memory.high").read_text().strip()


Make = Callable[..., Ringer]


@pytest.fixture
def make(root: Path, records: Records) -> Make:
    return lambda **facts: Ringer(root, records, **facts)


@pytest.fixture
def armed(make: Make) -> Ringer:
    ringer = make()
    assert ringer.bell.arm().ok
    return ringer


@pytest.fixture
def rung(armed: Ringer) -> Ringer:
    """On probation since 100.0."""
    armed.holds(LINE)
    assert armed.bell.ring(100.0)
    return armed


def test_it_begins_off(make: Make) -> None:
    ringer = make()
    assert (ringer.bell.state, ringer.bell.due, ringer.high) == ("off", NEVER, "max")


@pytest.mark.row("E4")
def test_armed_it_waits_for_nothing_but_the_ring(armed: Ringer) -> None:
    assert (armed.bell.state, armed.bell.due, armed.high) == ("armed", NEVER, str(LINE))
    assert armed.bell.fileno() >= 0


@given(st.integers(128 * MIB, 1 << 45))
def test_the_line_stands_a_margin_under_the_limit(limit: int) -> None:
    """No files are needed to know where."""
    bell = Bell(Cgroup("none", "/none"), "container:x", limit, _no_records(), settings=Settings(), tuning=Tuning())
    assert limit - bell.line_bytes == margin(limit, Settings()) >= 16 * MIB
    assert bell.line_bytes < bell.short_bytes < limit


def _no_records() -> Records:
    return Records.__new__(Records)


# --- ringing


@pytest.mark.row("E4")
def test_memory_that_stays_is_an_alarm(armed: Ringer) -> None:
    armed.holds(LINE)
    assert armed.bell.ring(100.0)
    assert (armed.bell.state, armed.bell.due) == ("probation", 100.0)
    assert armed.high == str(LINE), "the line is the brake now"


@pytest.mark.parametrize(("anon", "true"), [(LINE - SLACK_BYTES, True), (LINE - SLACK_BYTES - 1, False)])
def test_a_little_under_the_line_is_an_alarm_too(armed: Ringer, anon: int, true: bool) -> None:
    armed.holds(anon)
    assert armed.bell.ring(100.0) is true


@pytest.mark.row("A3", "E5")
def test_page_cache_is_a_false_one_and_the_line_is_lifted(armed: Ringer) -> None:
    armed.holds(100 * MIB, cache=140 * MIB)
    assert not armed.bell.ring(100.0)
    assert (armed.bell.state, armed.high) == ("resting", "max")
    assert armed.bell.due == 100.0 + LOOK_SECONDS


def test_a_second_ring_on_probation_is_no_new_one(rung: Ringer) -> None:
    rung.bell.due = 100.2
    assert rung.bell.ring(100.1)
    assert (rung.bell.state, rung.bell.due) == ("probation", 100.2)


@pytest.mark.parametrize("state", ["resting", "braking"])
def test_nobody_listens_while_it_rests_or_brakes(rung: Ringer, state: str) -> None:
    if state == "resting":
        rung.bell.rest(100.1)
    else:
        rung.bell.brake(100.1)
    assert not rung.bell.ring(100.2)
    assert rung.bell.state == state


# --- probation


@pytest.mark.row("E5")
def test_probation_is_looked_at_all_the_time_and_ends(rung: Ringer) -> None:
    now = 100.0
    while rung.bell.look(now):
        assert rung.bell.due == now + LOOK_SECONDS
        assert rung.high == str(LINE)
        now = rung.bell.due
    assert now == pytest.approx(100.0 + PROBATION_SECONDS, abs=2 * LOOK_SECONDS)
    assert (rung.bell.state, rung.high) == ("resting", "max"), "it is let go"


def test_a_shorter_probation(armed: Ringer) -> None:
    armed.bell.probation_seconds = 0.1
    armed.holds(LINE)
    armed.bell.ring(100.0)
    assert all(armed.bell.look(100.09 + 0.001 * step) for step in range(PROBATION_LOOKS)), "however slow they are"
    assert not armed.bell.look(100.1)


# --- resting


def rest(ringer: Ringer, anon: int, cache: int = 0) -> None:
    ringer.holds(ringer.bell.line_bytes)
    ringer.bell.ring(100.0)
    ringer.bell.rest(100.0)
    ringer.holds(anon, cache)


def test_it_comes_back_after_its_rest(armed: Ringer) -> None:
    rest(armed, 100 * MIB)
    now, looks = 100.0, 0
    while armed.bell.state == "resting":
        now = armed.bell.due
        assert not armed.bell.look(now)
        looks += 1
    assert now == pytest.approx(100.0 + REST_SECONDS, abs=0.5)
    assert (armed.bell.state, armed.bell.due, armed.high) == ("armed", NEVER, str(LINE))
    assert looks <= REST_SECONDS * 13e9 / (LINE - 100 * MIB) + 2


def test_it_does_not_come_back_while_cache_is_over_the_line(armed: Ringer) -> None:
    """The write itself would reclaim."""
    rest(armed, 100 * MIB, cache=150 * MIB)
    assert not armed.bell.look(100.0 + REST_SECONDS + 1)
    assert (armed.bell.state, armed.high) == ("resting", "max")
    armed.holds(100 * MIB, cache=100 * MIB)
    armed.bell.look(armed.bell.due)
    assert armed.bell.state == "armed"


@pytest.mark.row("E4")
def test_the_margin_is_watched_meanwhile(armed: Ringer) -> None:
    """Without a line only the tick is left: the nearer, the denser; and over the line it is judged."""
    rest(armed, 200 * MIB)
    assert not armed.bell.look(101.0)
    far = armed.bell.due - 101.0
    armed.holds(LINE - MIB)
    assert not armed.bell.look(101.0)
    near = armed.bell.due - 101.0
    assert near <= far <= max(LOOK_SECONDS, 40 * MIB / Tuning().fastest_fill_bytes_per_second) + 0.001
    armed.holds(LINE)
    assert armed.bell.look(101.0)
    assert armed.bell.due > 101.0
    assert not armed.bell.look(101.002), "it only sits there"
    armed.holds(LINE + MIB)
    assert armed.bell.look(101.004), "it rose"
    assert armed.bell.look(101.005 + REJUDGE_SECONDS), "it is not forgotten"


# --- braking


@pytest.mark.row("E4")
def test_a_brake_stands_also_where_the_line_was_lifted(armed: Ringer) -> None:
    """With the margin in use: it stands where memory is, and half of what is left is time enough."""
    rest(armed, LINE + 4 * MIB)
    assert armed.high == "max"
    armed.bell.brake(100.1)
    assert (armed.bell.state, armed.high) == ("braking", str(LINE + 4 * MIB))
    assert armed.bell.short_bytes == (LINE + 4 * MIB + LIMIT) // 2
    armed.bell.rest(100.0)
    assert armed.bell.short_bytes == (LINE + LIMIT) // 2


def test_a_brake_is_never_loosened(rung: Ringer) -> None:
    rung.holds(LINE + 4 * MIB)
    rung.bell.brake(100.1)
    assert rung.high == str(LINE)


@pytest.mark.row("E4")
def test_without_its_line_the_margin_is_watched_all_the_same(rung: Ringer) -> None:
    rung.bell.brake(100.1)
    (rung.directory / "memory.high").write_text(f"{200 * MIB}\n")
    assert rung.bell.check(100.0).verdict == "foreign"
    assert rung.bell.check(100.1).verdict == "unchanged", "told once"
    assert rung.bell.state == "braking"


def test_braking_keeps_the_line_and_asks_for_nothing(rung: Ringer) -> None:
    rung.bell.brake(100.1)
    assert (rung.bell.state, rung.bell.due, rung.high) == ("braking", NEVER, str(LINE))
    rung.bell.rest(100.3)
    assert rung.high == "max"


# --- somebody else


@pytest.mark.row("E4")
def test_a_reset_line_is_written_again(armed: Ringer) -> None:
    (armed.directory / "memory.high").write_text("max\n")
    assert armed.bell.check(100.0).verdict == "done"
    assert armed.high == str(LINE)
    assert armed.bell.check(100.0).verdict == "unchanged"


@pytest.mark.row("E4")
@pytest.mark.parametrize("state", ["armed", "resting"])
def test_somebody_elses_line_wins(rung: Ringer, armed: Ringer, state: str) -> None:
    if state == "resting":
        rest(armed, 100 * MIB)
    (armed.directory / "memory.high").write_text(f"{200 * MIB}\n")
    assert armed.bell.check(100.0).verdict == "foreign"
    assert (armed.bell.state, armed.bell.due) == ("off", NEVER)
    assert armed.bell.check(100.0).verdict == "unchanged", "said once"
    armed.bell.lift()
    assert armed.high == str(200 * MIB)


def test_a_foreign_line_in_the_rest_is_not_overwritten(armed: Ringer) -> None:
    rest(armed, 100 * MIB)
    (armed.directory / "memory.high").write_text(f"{200 * MIB}\n")
    armed.bell.look(100.0 + REST_SECONDS + 1)
    assert armed.high == str(200 * MIB)
    assert armed.bell.state == "resting"


# --- its end


@pytest.mark.parametrize("state", ["off", "armed", "probation", "braking", "resting"])
def test_lifting_leaves_nothing(make: Make, records: Records, state: str) -> None:
    ringer = make()
    bell = ringer.bell
    if state != "off":
        bell.arm()
    if state in ("probation", "braking", "resting"):
        ringer.holds(LINE)
        bell.ring(100.0)
    if state == "braking":
        bell.brake(100.1)
    if state == "resting":
        bell.rest(100.0)
    assert bell.state == state
    bell.lift()
    assert (bell.state, bell.due, ringer.high) == ("off", NEVER, "max")
    assert records.holds() == []


@pytest.mark.usefixtures("kernfs")
@pytest.mark.parametrize("use", ["arm", "check", "ring", "look", "rest", "lift", "brake", "fileno"])
@pytest.mark.parametrize("state", ["armed", "probation", "resting"])
def test_a_vanished_cgroup_is_a_normal_value(armed: Ringer, records: Records, state: str, use: str) -> None:
    bell = armed.bell
    if state != "armed":
        armed.holds(LINE)
        bell.ring(100.0)
    if state == "resting":
        bell.rest(100.0)
    remove_cgroup(armed.directory)
    uses: dict[str, Callable[[], object]] = {
        "arm": bell.arm,
        "check": lambda: bell.check(101.0),
        "ring": lambda: bell.ring(101.0),
        "look": lambda: bell.look(101.0),
        "rest": lambda: bell.rest(101.0),
        "lift": bell.lift,
        "brake": lambda: bell.brake(101.0),
        "fileno": bell.fileno,
    }
    uses[use]()
    for _ in range(3):
        bell.look(max(102.0, min(bell.due, 200.0)))
    bell.lift()
    assert bell.state == "off"
    assert records.holds() == []
