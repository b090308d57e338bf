"""The brake must not outlive its driver, and is not the only one who writes to cgroups; nor do these stand still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chaos.machine.judge import broken
from chaos.machine.seen import decode
from tests.images import seccomp
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted, Figures
from tests.kernel_files.trees import MIB

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

#: Of the hundreds that `python -m chaos machine` plays.
CHAOS = {seed: f"chaos machine {seed}" for seed in (0, 3, 15)}
SCENARIOS = (
    "deaths", "restart", "terminate", "foreign", "reload", "vanish", "notify", "letter", "soak", *CHAOS.values(),
)  # fmt: skip
PROFILE = Path(__file__).resolve().parents[2] / "deploy" / "seccomp" / "memguard-guard.json"
BOOTS = (Boot(scenarios=SCENARIOS, files=tuple((path.name, path) for path in (PROFILE, Path(seccomp.__file__)))),)
LEFT_SECONDS = 1.0
#: Files of two containers that were killed stay open as long as these exist.
KILL_DESCRIPTORS = 24


@pytest.mark.row("T1", "P3")
def test_nothing_of_a_guard_that_was_killed_lasts_for_a_second(booted: Booted, figures: Figures) -> None:
    """kill -9 with a line armed, rung, a hog frozen, just killed, and at odd moments in between."""
    deaths = booted.scenario("deaths")
    figures.note("seconds until all was lifted after kill -9", max(death["seconds"] for death in deaths))
    assert len(deaths) == 8
    for death in deaths:
        assert death["hit"], f"the moment never came: {death}"
        assert not death["movedBefore"]
        assert death["clean"], death
        assert death["held"] == {}
        assert death["seconds"] <= LEFT_SECONDS
    held = {death["moment"]: list(death["heldAtDeath"]) for death in deaths}
    assert any("memory.high" in path for path in held["line armed"]), "or nothing was proven"
    assert any("cgroup.freeze" in path for path in held["hog frozen"])


@pytest.mark.row("T1", "P3")
@pytest.mark.parametrize("what", ["line", "freeze"])
def test_when_guard_and_janitor_died_together_the_next_start_sweeps(booted: Booted, what: str) -> None:
    told = booted.scenario("restart")[what]
    assert told["hit"]
    assert told["left"], "or nothing was proven"
    assert told["swept"]["lifted" if what == "line" else "thawed"] == 1
    assert told["held"] == {}
    assert told["mayMove"] == [False, True], "the second guard only observes"
    assert told["exit"] == 0


@pytest.mark.row("T1", "P3")
def test_sigterm_leaves_nothing(booted: Booted) -> None:
    told = booted.scenario("terminate")
    assert [(end["moment"], end["hit"], end["exit"], end["held"]) for end in told] == [
        (moment, True, 0, {}) for moment in ("line armed", "line rung", "stop signal sent", "hog frozen")
    ]
    assert all(end["mayMove"] for end in told)


@pytest.mark.row("E4")
@pytest.mark.parametrize("when", ["before", "over"])
def test_somebody_elses_memory_high_is_respected_and_reported(booted: Booted, when: str) -> None:
    told = booted.scenario("foreign")[when]
    assert told["told"]
    assert told["told"][0]["verdict"] == "foreign"
    assert told["during"] == told["after"] == told["value"]
    assert told["exit"] == 0


@pytest.mark.row("E4")
@pytest.mark.parametrize(("how", "line_mib"), [("raised", 512 * 0.95), ("lowered", 192 - 16)])
def test_a_limit_that_was_changed_in_place_has_its_line_within_a_second(
    booted: Booted, how: str, line_mib: float
) -> None:
    told = booted.scenario("foreign")[how]
    assert told["ours"] == str(240 * MIB)
    assert told["followed"], told
    assert int(told["during"]) == pytest.approx(line_mib * MIB, abs=4096)
    assert (told["exit"], told["after"]) == (0, "max")


@pytest.mark.row("E4")
@pytest.mark.parametrize("how", ["max", "property"])
def test_a_line_that_was_reset_is_noticed_and_put_up_again(booted: Booted, how: str) -> None:
    """A direct write of "max", and systemd's set-property of any other property of the unit: within a second."""
    told = booted.scenario("foreign")[how]
    assert told["ours"] not in {None, "max"}
    assert told.get("reset", "max") in {"max", told["ours"]}, "the guard may have looked before we did"
    assert told["told"], told
    assert "had been reset" in told["told"][0]["reason"]
    assert told["during"] == told["ours"]
    assert told["after"] == "max"
    assert told["exit"] == 0


@pytest.mark.row("A4")
def test_cgroups_that_vanish_under_its_hands_never_end_it(booted: Booted) -> None:
    told = booted.scenario("vanish")
    assert told["problem"] == ""
    assert told["rounds"] >= 5
    assert told["alive"]
    assert told["noise"] == []
    assert told["victims"] == told["wanted"]
    before, after = told["descriptors"]
    assert after <= before + KILL_DESCRIPTORS
    assert told["exit"] == 0


@pytest.mark.row("A4")
def test_a_reload_takes_force_and_a_broken_one_does_not(booted: Booted) -> None:
    told = booted.scenario("reload")
    assert (told["observing"], told["good"][0]["ok"]) == ("max", True)
    assert told["enforcing"] != "max"
    for wrong in ("syntax", "unknown", "type", "missing"):
        assert [line["ok"] for line in told[wrong]] == [False], wrong
        assert "last good configuration" in told[wrong][0]["reason"]
    assert told["victims"] == ["hog"]
    assert (told["observe again"][0]["ok"], told["lifted"]) == (True, "max")
    assert (told["noise"], told["exit"]) == ([], 0)


@pytest.mark.row("P2")
def test_survivors_are_told_that_memory_is_short(booted: Booted) -> None:
    told: dict[str, Any] = booted.scenario("notify")["notified"]
    assert told["victims"] == ["hog"]
    assert told["web"]
    assert told["heard"] != []


@pytest.mark.row("P3")
def test_the_loss_of_a_critical_process_is_an_alarm(booted: Booted) -> None:
    told = booted.scenario("notify")["critical"]
    assert any("kubelet" in alarm["reason"] for alarm in told["alarms"]), told
    assert told["exit"] == 0


def test_it_makes_no_call_that_its_seccomp_profile_does_not_allow(booted: Booted) -> None:
    """To the letter: the first one would end it (SIGSYS), janitor and supervisor too."""
    told = booted.scenario("letter")
    for place in ("limit", "node"):
        assert (told[place]["gone"], told[place]["victims"]) == (True, ["hog"]), told[place]
        assert (told[place]["noise"], told[place]["exit"]) == ([], 0), told[place]
    assert told["limit"]["reloads"] == [True, False]
    assert told["limit"]["written"] == ["memguard.prom", "trace.jsonl"]
    assert told["death"] == {"stood": True, "lifted": True}
    assert told["supervisor"] == {"there": True, "exit": 0}


@pytest.mark.row("A4", "T1", "P3")
@pytest.mark.parametrize("seed", CHAOS)
def test_faults_by_chance_break_no_invariant(booted: Booted, seed: int) -> None:
    seen = decode(booted.scenario(CHAOS[seed]))
    assert broken(seen) == [], sorted(seen.faults)


@pytest.mark.row("A4", "G4")
def test_a_long_time_with_many_containers_leaves_it_as_it_was(booted: Booted, figures: Figures) -> None:
    """1,500 containers with lines came and went, 400 of them between the first sample and the last.

    What the kernel remembers of removed cgroups (a dentry each, reclaimable slab) is its own to take back.
    """
    told = booted.scenario("soak")
    early, late = told["samples"][0], told["samples"][-1]
    figures.note("soak: early, late", [early, late])
    assert late["descriptors"] <= early["descriptors"]
    assert late["watches"] <= early["watches"]
    held = [sample["cgroupBytes"] - sample["slab_reclaimable"] for sample in (early, late)]
    assert held[1] <= held[0] * 1.02
    assert late["rssKib"] <= early["rssKib"] * 1.02
    assert (told["held"], told["noise"], told["exit"]) == ({}, [], 0)
