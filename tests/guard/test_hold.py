"""The hold: only those that may be acted on stand still, and everybody runs again whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.guard.conftest import MakeWard
from tests.guard.wards import plan
from tests.guard.world import Kernfs
from tests.kernel_files.trees import remove_cgroup

from memguard.core.policy import Plan
from memguard.guard.hold import Hold
from memguard.guard.ward import Ward
from memguard.kernel.record import Records


def frozen(ward: Ward) -> bool:
    return Path(f"{ward.cgroup}/cgroup.freeze").read_text().strip() == "1"


@pytest.fixture
def hold(records: Records) -> Hold:
    return Hold(records)


def test_suspects_stand_still_and_run_again(hold: Hold, make_ward: MakeWard, records: Records) -> None:
    wards = [make_ward(name) for name in "abc"]
    hold.take(wards[:2])
    assert [frozen(ward) for ward in wards] == [True, True, False]
    assert len(hold) == len(records.holds()) == 2
    hold.release()
    assert [frozen(ward) for ward in wards] == [False, False, False]
    assert (len(hold), records.holds()) == (0, [])
    hold.release()


def test_taking_twice_is_taking_once(hold: Hold, make_ward: MakeWard, records: Records) -> None:
    ward = make_ward("a")
    hold.take([ward, ward])
    hold.take([ward])
    assert len(records.holds()) == 1
    hold.release()
    assert not frozen(ward)


@pytest.mark.parametrize(
    "under",
    [
        Plan(),
        plan(mode="Observe"),
        plan(protected=True),
        plan(actions=("kill", "terminate")),
        plan(actions=("brake", "evict")),
        plan(actions=("notify",)),
    ],
    ids=["observing", "observed by rule", "protected", "no brake", "only evict", "no kill"],
)
def test_the_forbidden_never_do(hold: Hold, make_ward: MakeWard, records: Records, under: Plan) -> None:
    spared, suspect = make_ward("spared", under), make_ward("suspect")
    hold.take([spared, suspect])
    assert [frozen(spared), frozen(suspect)] == [False, True]
    assert [held.path for _, held in records.holds()] == ["suspect"]


def test_who_was_frozen_by_somebody_else_stays_so(hold: Hold, make_ward: MakeWard, records: Records) -> None:
    ward = make_ward("a", cgroup__freeze="1\n")
    hold.take([ward])
    assert len(hold) == 0
    hold.release()
    assert frozen(ward)
    assert records.holds() == []


@pytest.mark.usefixtures("kernfs")
def test_one_that_vanishes_while_held_keeps_nobody_else(hold: Hold, make_ward: MakeWard, records: Records) -> None:
    wards = [make_ward(name) for name in "abc"]
    hold.take(wards)
    remove_cgroup(Path(str(wards[0].cgroup)))
    hold.release()
    assert not frozen(wards[1])
    assert not frozen(wards[2])
    assert records.holds() == []


def test_one_that_vanished_before(hold: Hold, make_ward: MakeWard, kernfs: Kernfs, records: Records) -> None:
    gone, here = make_ward("gone"), make_ward("here")
    remove_cgroup(Path(str(gone.cgroup)))
    hold.take([gone, here])
    assert frozen(here)
    assert len(records.holds()) == 1


def test_a_thaw_that_is_refused_stays_recorded_for_the_janitor(
    hold: Hold, make_ward: MakeWard, kernfs: Kernfs, records: Records
) -> None:
    wards = [make_ward(name) for name in "ab"]
    hold.take(wards)
    kernfs.read_only.add(f"{wards[0].cgroup}/cgroup.freeze")
    hold.release()
    assert [frozen(ward) for ward in wards] == [True, False], "the others run"
    assert [held.path for _, held in records.holds()] == ["a"]
