"""Whole turns of the guard on a machine of files: what it does, what it leaves alone, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.guard import exposition
from tests.guard.conftest import Inhabit, Serve
from tests.guard.world import Duty, Kernfs, Load, World, highs, identity, pod_path, stat_text
from tests.kernel_files.trees import MIB

from memguard.core.domain import margin
from memguard.core.policy import Budget, Settings
from memguard.guard.court import CANNOT_EVICT
from memguard.guard.discovery import LOOKED_AFTER
from memguard.guard.limits import TOUCH_SECONDS
from memguard.guard.loop import HOUSEKEEPING_SECONDS
from memguard.guard.report import REPEAT_SECONDS
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.touches import Touches

Process = Callable[[Load, str], "subprocess.Popen[bytes]"]

ENFORCE = 'mode = "Enforce"\n'
OBSERVE = 'mode = "Observe"\n'
TUNING = "[tuning]\npsi = false\n"
LIMITS = "[[rules]]\nguardLimit = true\n"
NO_KILLS = "[budget]\nperNode = 0\n"


def shop(world: World, *, rate: float = 200 * MIB) -> tuple[Load, Load]:
    """A big database within its request, and a small container that grows without end."""
    return world.container(1, anon=500 * MIB, cache=100 * MIB), world.container(2, anon=100 * MIB, rate=rate)


def names(*loads: Load, **facts: object) -> str:
    """Identities in namespace shop: the first asked for what it uses, the others for 64 MiB."""
    requests = [600 * MIB] + [64 * MIB] * len(loads)
    return "".join(
        identity(load, "shop", f"pod-{index}", **({"requestBytes": requests[index]} | facts))
        for index, load in enumerate(loads)
    )


def victims(duty: Duty) -> list[str]:
    return [line["victim"]["cgroup"] for line in duty.decisions()]


# --- the node


@pytest.mark.row("T1", "T2", "T3", "P1")
def test_the_grower_dies_whole_before_the_kernel_acts(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(20, until=lambda: not hog.alive)
    assert hog.content("cgroup.kill") == "1"
    assert hog.killed_by == "cgroup.kill"
    assert big.alive
    assert big.content("cgroup.kill") == ""
    assert world.kernel_kills == 0
    duty.run(1)
    [decision], [outcome] = duty.decisions(), duty.lines("outcome")
    assert (decision["mode"], decision["action"], decision["domain"]) == ("Enforce", "kill", "node")
    assert decision["victim"]["cgroup"] == hog.path
    assert outcome["id"] == decision["id"]
    assert outcome["complete"]
    assert outcome["freedBytes"] == pytest.approx(decision["expectedBytes"], rel=0.05)
    assert outcome["headroomBytes"] > 0


@pytest.mark.row("T1")
@pytest.mark.parametrize("rate_mib", [50, 200, 2000])
def test_at_every_rate_there_is_memory_left(world: World, serve: Serve, rate_mib: int) -> None:
    big, hog = shop(world, rate=rate_mib * MIB)
    duty = serve(ENFORCE + TUNING + names(big, hog))
    least = []
    world.hooks.append(lambda _: least.append(world.available))
    duty.run(30, until=lambda: not hog.alive)
    reserve = 0.06 * world.total
    assert min(least) > reserve - 0.02 * rate_mib * MIB, "overshoot: at most 20 ms worth of growth"
    assert (hog.killed_by, world.kernel_kills) == ("cgroup.kill", 0)


@pytest.mark.row("T1")
@pytest.mark.parametrize("rate_mib", [5, 10, 30, 100, 300])
@pytest.mark.parametrize("cache_mib", [0, 300])
def test_the_grower_is_found_though_others_are_larger(
    world: World, serve: Serve, rate_mib: int, cache_mib: int
) -> None:
    """Somebody is the largest, somebody the most over its request; the guilty one is neither, however slow it grows,
    and may hide behind its own page cache.
    """
    db = world.container(1, anon=500 * MIB)
    over = world.container(2, anon=300 * MIB)
    hog = world.container(3, anon=120 * MIB, cache=cache_mib * MIB)
    world.system = 2048 * MIB - 920 * MIB - 150 * MIB
    hog.rate, hog.hides = rate_mib * MIB, bool(cache_mib)
    world.meminfo()
    duty = serve(ENFORCE + TUNING + names(db, over, hog))
    duty.run(60, until=duty.decisions)
    assert victims(duty) == [hog.path]


@pytest.mark.row("T1")
def test_nothing_is_left_frozen_or_recorded(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(20, until=lambda: not hog.alive)
    assert "held" in duty.decisions()[0]["timing"], "it was held while the guard decided"
    duty.end()
    assert [load.content("cgroup.freeze") for load in (big, hog)] == ["0", "0"]
    assert highs([big, hog]) == ["max", "max"]
    assert duty.records.holds() == []


@pytest.mark.row("G4")
@pytest.mark.parametrize("kind", ["node", "container"])
def test_nothing_is_opened_between_the_wake_up_and_the_kill(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    big, hog = shop(world)
    if kind == "container":
        hog.limit = 256 * MIB
        hog.write("memory.max", f"{hog.limit}\n")
    duty = serve(ENFORCE + TUNING + LIMITS + names(big, hog))
    opened: list[str] = []
    killed: list[list[str]] = []
    real_open, real_pwrite, real_sleep = os.open, os.pwrite, duty.guard.ears.sleep

    def watched_open(path: str, flags: int, *rest: int, **named: int) -> int:
        opened.append(str(path))
        return real_open(path, flags, *rest, **named)

    def watched_pwrite(fd: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("cgroup.kill"):
            killed.append(list(opened))
        return real_pwrite(fd, data, offset)

    def watched_sleep(seconds: float) -> list[Callable[[float], None]]:
        heard = real_sleep(seconds)
        opened.clear()
        return heard

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, "pwrite", watched_pwrite)
    monkeypatch.setattr(duty.guard.ears, "sleep", watched_sleep)
    duty.run(20, until=lambda: not hog.alive)
    assert killed == [[]]


@pytest.mark.row("A4", "G4")
def test_a_quiet_node_costs_two_looks_a_second_and_no_write(world: World, serve: Serve) -> None:
    shop(world, rate=0)
    world.total *= 8
    world.meminfo()
    duty = serve(ENFORCE + TUNING + names(*world.loads))
    turns: list[int] = []
    duty.run(30, until=lambda: turns.append(1))
    assert len(turns) <= 2 * 30 + 2
    assert world.foreign_writes() == {}
    assert duty.lines() == []


@pytest.mark.row("E5")
@pytest.mark.parametrize("tuning", ["", "hold = false\n"])
def test_growth_that_ends_in_time_is_left_alone(world: World, serve: Serve, tuning: str) -> None:
    big, spike = shop(world)
    duty = serve(ENFORCE + TUNING + tuning + names(big, spike))
    duty.run(20, until=lambda: world.available < 200 * MIB)
    spike.rate = 0
    duty.run(5)
    assert duty.decisions() == []
    assert world.foreign_writes() == {}


@pytest.mark.row("T4", "P1")
def test_the_next_one_follows_if_that_was_not_enough(world: World, serve: Serve) -> None:
    big = world.container(1, anon=300 * MIB)
    hogs = [world.container(number, anon=100 * MIB, rate=rate * MIB) for number, rate in ((2, 200), (3, 150))]
    duty = serve(ENFORCE + TUNING + names(big, *hogs))
    duty.run(60, until=lambda: not any(hog.alive for hog in hogs))
    assert big.alive
    assert sorted(victims(duty)) == sorted(hog.path for hog in hogs)
    assert world.kernel_kills == 0


@pytest.mark.row("T4")
def test_nobody_else_dies_while_the_first_gives_back(world: World, serve: Serve) -> None:
    """A kill takes a while; what is coming counts, and the node's other growth is slow."""
    big, hog = shop(world)
    slow = world.container(3, anon=200 * MIB, rate=4 * MIB)
    hog.dies = False
    duty = serve(ENFORCE + TUNING + names(big, hog, slow))
    duty.run(20, until=lambda: not hog.alive)
    duty.run(0.5)
    assert victims(duty) == [hog.path]
    hog.empty()
    world.meminfo()
    duty.run(2)
    assert victims(duty) == [hog.path]
    assert slow.alive


@pytest.mark.row("T4", "T3")
def test_what_never_comes_back_protects_nobody_for_ever(world: World, serve: Serve) -> None:
    """A victim in D state gives nothing back: after a while the next is taken, and the outcome says so."""
    big, stuck = shop(world)
    stuck.dies = False
    hog = world.container(3, anon=150 * MIB, rate=20 * MIB)
    duty = serve(ENFORCE + TUNING + names(big, stuck, hog))
    duty.run(30, until=lambda: not hog.alive)
    assert victims(duty) == [stuck.path, hog.path]
    duty.run(15)
    outcomes = {line["victim"]["cgroup"]: line for line in duty.lines("outcome")}
    assert not outcomes[stuck.path]["complete"]
    assert outcomes[stuck.path]["freedBytes"] == 0
    assert outcomes[hog.path]["complete"]


@pytest.mark.row("T4")
def test_no_innocent_dies_beside_a_culprit_that_takes_its_time(world: World, serve: Serve) -> None:
    """Most of the reserve is gone in a moment; the culprit is dying, and gives its memory back a little later."""
    big, hog = shop(world)
    hog.dies = False
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(1)
    hog.rate = 0.0
    hog.anon += world.available - 20 * MIB
    hog.show()
    world.meminfo()
    duty.run(1, until=duty.decisions)
    assert victims(duty) == [hog.path]
    duty.run(0.34)
    assert victims(duty) == [hog.path], "half of the reserve and more is gone, and it is worth waiting all the same"
    hog.empty()
    world.meminfo()
    duty.run(5)
    assert big.alive
    assert victims(duty) == [hog.path]


@pytest.mark.row("T4", "E7")
def test_nobody_dies_twice_for_memory_that_outlives_it(world: World, serve: Serve) -> None:
    """A file on a tmpfs: its writer is dead, its cgroup stays, and all that it is charged with."""
    big, hog = shop(world)
    held: list[int] = []
    hog.empty = lambda: held.append(hog.anon) or Load.empty(hog) or setattr(hog, "anon", held[0]) or hog.show()  # type: ignore[method-assign]
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(10, until=lambda: not hog.alive)
    big.rate = 10 * MIB
    duty.run(5)
    assert victims(duty) == [hog.path]
    duty.run(20, until=lambda: not big.alive)
    done = [line["victim"]["cgroup"] for line in duty.decisions() if line["mode"] == "Enforce"]
    assert done == [hog.path, big.path], "with half of the reserve gone, the one that grows"
    assert any("outlives" in line.get("notDoneBecause", "") for line in duty.decisions())


@pytest.mark.row("A1")
def test_a_limit_that_kubelet_sets_later_is_seen_with_the_next_housekeeping(world: World, serve: Serve) -> None:
    shop(world, rate=0)
    duty = serve(OBSERVE + TUNING)
    duty.run(1)
    free = duty.guard.lookout.headroom
    world.write(world.cgroup_root / "kubepods.slice" / "memory.max", f"{300 * MIB}\n")
    duty.run(2 * HOUSEKEEPING_SECONDS)
    assert 0 < duty.guard.lookout.headroom < 300 * MIB < free


def kubepods_charges(world: World, limit: int) -> None:
    """kubepods.slice has a limit, and is charged for all containers."""
    slice_ = world.cgroup_root / "kubepods.slice"
    world.write(slice_ / "memory.max", f"{limit}\n")

    def charge(_: World) -> None:
        anon, cache = sum(load.anon for load in world.loads), sum(load.cache for load in world.loads)
        world.write(slice_ / "memory.current", f"{anon + cache}\n")
        world.write(slice_ / "memory.stat", stat_text(anon, cache))

    world.hooks.append(charge)
    charge(world)


@pytest.mark.row("A1")
def test_kubepods_own_limit_is_a_boundary(world: World, serve: Serve) -> None:
    """The node has room; kubepods.slice has not."""
    big, hog = shop(world)
    kubepods_charges(world, 1200 * MIB)
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(20, until=lambda: not hog.alive)
    [decision] = duty.decisions()
    assert decision["domain"] == "kubepods:kubepods.slice"
    assert world.available > 400 * MIB


@pytest.mark.row("A1", "T1")
def test_half_of_kubepods_reserve_ends_the_waiting_there(world: World, serve: Serve, process: Process) -> None:
    """The node's reserve is larger, and none of kubepods' business."""
    limit, most = 800 * MIB, [0]
    hog = world.container(1, anon=650 * MIB, rate=8 * MIB)
    process(hog, "trap '' TERM")
    kubepods_charges(world, limit)
    world.hooks.append(lambda _: most.append(hog.anon))
    duty = serve(ENFORCE + TUNING + "[[rules]]\ngraceSeconds = 3\n" + identity(hog, "shop", "hog"))
    duty.run(60, until=duty.decisions)
    assert duty.decisions()[0]["action"] == "terminate"
    hog.rate = 80 * MIB
    duty.run(5, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    assert max(most) < limit


@pytest.mark.row("A3")
def test_stalls_wake_it(world: World, serve: Serve) -> None:
    """Memory is there, and nothing moves: PSI rings, and stall with failing reclaim is pressure."""
    big, hog = shop(world, rate=0)
    hog.rate = 4 * MIB
    world.system = 1100 * MIB
    world.meminfo()
    duty = serve(ENFORCE + "[settings]\nreserveRatio = 0.01\n" + "[tuning]\npsi = true\n" + names(big, hog))
    world.stall(0)
    stalled = []

    def thrash(_: World) -> None:
        stalled.append(1)
        if len(stalled) % 25 == 0:
            world.stall(len(stalled) * 0.0019)
            world.vmstat(scanned=len(stalled))

    world.hooks.append(thrash)
    duty.run(3, until=duty.lines)
    lines = duty.lines()
    assert all(line.get("trigger", "psi") == "psi" for line in lines if line["kind"] == "decision")
    assert world.kernel_kills == 0


# --- observing


@pytest.mark.row("T2")
def test_observing_writes_nothing_at_all(world: World, serve: Serve) -> None:
    big = world.container(1, anon=500 * MIB, limit=700 * MIB)
    hog = world.container(2, anon=100 * MIB, rate=200 * MIB, limit=256 * MIB, pod_limit=300 * MIB)
    other = world.container(3, anon=100 * MIB, rate=300 * MIB)
    duty = serve(OBSERVE + TUNING + LIMITS + names(big, hog, other))
    duty.run(20, until=lambda: world.kernel_kills == 2)
    duty.run(1)
    assert world.foreign_writes() == {}
    assert duty.decisions()
    assert {line["mode"] for line in duty.decisions()} == {"Observe"}
    assert {line["notDoneBecause"] for line in duty.decisions()} == {"its mode is Observe"}


def test_observing_is_said_once_in_a_while_for_each(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    duty = serve(OBSERVE + "[settings]\npatienceSeconds = 60\n" + TUNING + names(big, hog))
    duty.run(20, until=lambda: world.available < 90 * MIB)
    hog.rate = 3 * MIB
    duty.run(2.5 * REPEAT_SECONDS)
    assert len([line for line in duty.decisions() if line["victim"]["cgroup"] == hog.path]) == 3


def test_the_kernel_comes_no_later_than_without_us(world: World, serve: Serve) -> None:
    """Observing, and a spent budget: the same growth meets the kernel's killer at the same moment."""
    big, hog = shop(world)
    start = world.time
    duty = serve(ENFORCE + TUNING + NO_KILLS.replace("[budget]", "[budget]") + names(big, hog))
    duty.run(20, until=lambda: world.kernel_kills)
    expected = (2048 - 400 - 500 - 100) / 200
    assert world.time - start == pytest.approx(expected, abs=0.1)


# --- who is never touched

FORBIDDEN = {
    "another mode": ('[[rules]]\nmode = "Observe"\n', {}),
    "protected by a rule": ("[[rules]]\nprotected = true\n", {}),
    "a protected namespace": ("[settings]\nprotectedNamespaces = ['shop']\n", {}),
    "static": ("", {"static": True}),
    "the system's priority": ("", {"priority": 2_000_000_000}),
    "neither kill nor evict": ('[[rules]]\nactions = ["notify", "reclaim", "brake", "terminate"]\n', {}),
    "only evict": ('[[rules]]\nactions = ["notify", "reclaim", "brake", "terminate", "evict"]\n', {}),
    "no budget": (NO_KILLS, {}),
    "no budget of its own": ("[budget]\nperContainer = 0\n", {}),
}


@pytest.mark.row("T4", "E4")
@pytest.mark.parametrize("why", FORBIDDEN)
def test_the_forbidden_are_never_touched(world: World, serve: Serve, why: str) -> None:
    """Not killed, not frozen, not braked at their own limit or their pod's; and said to be spared."""
    text, facts = FORBIDDEN[why]
    text = text.replace("[[rules]]\n", LIMITS) if "[[rules]]" in text else text + LIMITS
    hog = world.container(1, anon=100 * MIB, rate=100 * MIB, limit=300 * MIB, pod_limit=320 * MIB)
    wide = world.container(2, anon=100 * MIB, rate=300 * MIB)
    duty = serve(ENFORCE + TUNING + text + names(hog, wide, **facts))
    duty.run(20, until=lambda: world.kernel_kills >= 2)
    assert world.foreign_writes() == {}
    assert world.kernel_kills == 2
    assert {line["mode"] for line in duty.decisions()} <= {"Observe"}


def test_whoever_cannot_be_named_is_never_touched(world: World, serve: Serve) -> None:
    hog = world.container(1, anon=600 * MIB, rate=200 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS)
    duty.run(20, until=lambda: world.kernel_kills)
    assert hog.killed_by == "the kernel"
    assert world.foreign_writes() == {}


def test_what_holds_next_to_nothing_and_has_no_name_is_in_no_list(world: World, serve: Serve) -> None:
    """A pod's sandbox says nothing to a person; a container that is not known yet, and large, does."""
    world.container(1, anon=300 * MIB)
    world.container(2, anon=300 << 10)
    hog = world.container(3, anon=100 * MIB, rate=200 * MIB)
    duty = serve(ENFORCE + TUNING + names(hog))
    duty.run(20, until=duty.decisions)
    listed = {line["id"] for line in duty.decisions()[0]["candidates"]}
    assert listed == {f"{number:064x}" for number in (1, 3)}


def test_unkillable_processes_are_never_touched(world: World, serve: Serve) -> None:
    hog = world.container(1, anon=100 * MIB, limit=300 * MIB, pod_limit=400 * MIB)
    unkillable(world, hog)
    duty = serve(ENFORCE + TUNING + LIMITS + names(hog))
    hog.rate = 200 * MIB
    duty.run(20, until=lambda: world.kernel_kills)
    assert world.foreign_writes() == {}


def test_processes_that_come_later_count_too(world: World, serve: Serve) -> None:
    """A runtime makes the directory first; who is in it, and what is set for it, shows a moment later."""
    hog = world.container(1, anon=100 * MIB, limit=300 * MIB, pod_limit=400 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(hog))
    unkillable(world, hog)
    duty.run(HOUSEKEEPING_SECONDS + 2)
    assert hog.content("memory.high") == "max"
    hog.rate = 200 * MIB
    duty.run(20, until=lambda: world.kernel_kills)
    assert hog.content("cgroup.kill") == ""


def test_a_newcomer_is_known_though_somebody_is_ending(world: World, serve: Serve, process: Process) -> None:
    """A grace may last for long: who came meanwhile is studied all the same, and its limit guarded."""
    slow = world.container(1, anon=100 * MIB, rate=30 * MIB, limit=256 * MIB)
    process(slow, "trap '' TERM")
    rules = '[[rules]]\nmatch = { pod = "slow" }\nguardLimit = true\ngraceSeconds = 60\n' + LIMITS
    later = "".join(
        f'[[containers]]\ncgroup = "*{number:064x}.scope"\nnamespace = "shop"\nname = "later{number}"\n'
        for number in (5, 6)
    )
    duty = serve(ENFORCE + TUNING + rules + identity(slow, "shop", "slow") + later)
    duty.run(60, until=duty.decisions)
    assert duty.decisions()[0]["action"] == "terminate"
    slow.rate = 0
    critical, limited = world.container(5, anon=MIB), world.container(6, anon=MIB)
    duty.run(0.1)
    unkillable(world, critical)
    limited.limit = 300 * MIB
    limited.write("memory.max", f"{300 * MIB}\n")
    duty.run(10)
    assert duty.guard.court.courses
    assert "unkillable" in (duty.guard.watch.wards[critical.path].forbidden or "")
    assert limited.content("memory.high") == str(284 * MIB)


def unkillable(world: World, load: Load) -> None:
    load.write("cgroup.procs", "7\n")
    stat = Path(f"/proc/{os.getpid()}/stat").read_text().partition(" ")[2]
    world.write(world.proc_root / "7" / "stat", f"7 {stat}")
    world.write(world.proc_root / "7" / "oom_score_adj", "-1000\n")


def test_the_others_pay_before_the_forbidden(world: World, serve: Serve) -> None:
    """A protected hog: another container that is over its request goes, and the hog is not held meanwhile."""
    hog = world.container(1, anon=100 * MIB, rate=200 * MIB)
    cart = world.container(2, anon=400 * MIB)
    rule = '[[rules]]\nmatch = { pod = "hog" }\nprotected = true\n'
    duty = serve(
        ENFORCE + TUNING + rule + identity(hog, "shop", "hog") + identity(cart, "shop", "cart", requestBytes=0)
    )
    duty.run(20, until=lambda: not cart.alive)
    assert victims(duty) == [cart.path]
    duty.end()
    assert hog.content("cgroup.kill") == ""
    assert not [name for name in world.foreign_writes() if hog.path in name]


@pytest.mark.row("E7")
def test_an_eviction_is_nobodys_to_give_here(world: World, serve: Serve) -> None:
    big, machine = shop(world)
    owned = {"kind": "VirtualMachineInstance", "name": "vm"}
    table = f'owner = {{ kind = "{owned["kind"]}", name = "{owned["name"]}" }}\n'
    duty = serve(ENFORCE + TUNING + identity(big, "shop", "db", requestBytes=600 * MIB)
                 + identity(machine, "shop", "vm") + table)  # fmt: skip
    duty.run(20, until=lambda: world.kernel_kills)
    assert machine.content("cgroup.kill") == ""
    assert duty.decisions()[0]["notDoneBecause"] == CANNOT_EVICT


# --- the budget


@pytest.mark.row("T4")
def test_a_budget_ends_the_killing_and_its_window_passes(world: World, serve: Serve) -> None:
    hogs = [world.container(number, anon=100 * MIB, rate=100 * MIB) for number in (1, 2)]
    duty = serve(ENFORCE + TUNING + "[budget]\nperNode = 1\nwindowSeconds = 60\n" + names(*hogs))
    duty.run(30, until=lambda: not all(hog.alive for hog in hogs))
    [first] = [hog for hog in hogs if not hog.alive]
    [second] = [hog for hog in hogs if hog.alive]
    assert first.killed_by == "cgroup.kill"
    duty.run(30, until=lambda: not second.alive)
    assert second.killed_by == "the kernel"
    third = world.container(3, anon=100 * MIB)
    duty.run(60)
    third.rate = 300 * MIB
    duty.hangup(
        configured(world, ENFORCE + TUNING + "[budget]\nperNode = 1\nwindowSeconds = 60\n" + names(*hogs, third))
    )
    duty.run(30, until=lambda: not third.alive)
    assert third.killed_by == "cgroup.kill"
    assert Budget().per_node > 1


@pytest.mark.row("T4", "K6")
def test_a_guard_has_what_the_one_before_it_spent(world: World, serve: Serve) -> None:
    """One that dies after each kill would have a new budget for each."""
    hogs = [world.container(number, anon=100 * MIB, rate=100 * MIB) for number in (1, 2)]
    text = ENFORCE + TUNING + "[budget]\nperNode = 1\nwindowSeconds = 60\n" + names(*hogs)
    serve(text).run(30, until=lambda: not all(hog.alive for hog in hogs))
    [second] = [hog for hog in hogs if hog.alive]
    serve(text).run(30, until=lambda: not second.alive)
    assert second.killed_by == "the kernel"


def configured(world: World, text: str) -> Path:
    """The configuration as a file, for SIGHUP."""
    head = f'cgroupRoot = "{world.cgroup_root}"\nprocRoot = "{world.proc_root}"\nrunDirectory = "{world.run}"\n'
    path = world.run.parent / "guard.toml"
    path.write_text(head + text)
    return path


# --- limits


@pytest.mark.row("E4", "C5")
@pytest.mark.parametrize("rate_mib", [20, 100, 1000])
@pytest.mark.parametrize("kind", ["container", "pod"])
def test_a_limit_is_guarded_before_it_is_hit(world: World, serve: Serve, kind: str, rate_mib: int) -> None:
    limits = {"limit": 256 * MIB} if kind == "container" else {"pod_limit": 256 * MIB}
    other = world.container(1, anon=500 * MIB)
    hog = world.container(2, anon=100 * MIB, rate=rate_mib * MIB, **limits)
    duty = serve(ENFORCE + TUNING + LIMITS + names(other, hog))
    if kind == "pod":
        pod_charges(world, hog)
    else:
        assert hog.content("memory.high") == str(240 * MIB)
    duty.run(20, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    [decision] = duty.decisions()
    assert decision["trigger"] == "line"
    assert decision["domain"].startswith(f"{kind}:")
    assert [line["id"] for line in decision["candidates"]] == [f"{2:064x}"]
    duty.run(5)
    duty.end()
    assert set(highs(world.loads)) == {"max"}


def pod_charges(world: World, load: Load) -> None:
    """The pod is charged for its only container; the line stands on the pod, and rings there."""
    pod = world.cgroup_root / Path(load.path).parent
    rings = []

    def charge(_: World) -> None:
        high = (pod / "memory.high").read_text().strip()
        if high != "max" and load.current > int(high):
            load.anon = int(high)
            load.show()
            rings.append(1)
            world.write(pod / "memory.events.local", f"low 0\nhigh {len(rings)}\nmax 0\noom 0\noom_kill 0\n")
        world.write(pod / "memory.current", f"{load.current}\n")
        world.write(pod / "memory.stat", (load.directory / "memory.stat").read_text())

    charge(world)
    world.hooks.append(charge)


@pytest.mark.row("E5", "A3")
def test_cache_that_fills_a_limit_kills_nobody(world: World, serve: Serve) -> None:
    """A file reader at its limit for a minute: the line rings, rests, comes back; nobody dies, nothing crawls."""
    reader = world.container(1, anon=50 * MIB, cache=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(reader))
    rang = []

    def churn(_: World) -> None:
        high = reader.content("memory.high")
        reader.cache = min(reader.cache + MIB, 256 * MIB - reader.anon)
        if high != "max" and reader.current > int(high):
            rang.append(world.time)
            reader.cache = int(high) - reader.anon
            reader.write("memory.events.local", f"low 0\nhigh {len(rang)}\nmax 0\noom 0\noom_kill 0\n")
            reader.cache -= 4 * MIB
        reader.show()

    world.hooks.append(churn)
    duty.run(60)
    assert duty.decisions() == []
    assert reader.alive
    assert 1 <= len(rang) <= 0.6 * 60, "0.5 wake-ups a second"


@pytest.mark.row("E5")
def test_a_plateau_just_under_the_limit_is_let_go(world: World, serve: Serve) -> None:
    jvm = world.container(1, anon=100 * MIB, rate=50 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(jvm))
    plateau = 242 * MIB

    def warm(_: World) -> None:
        if jvm.anon >= plateau:
            jvm.rate = 0

    world.hooks.append(warm)
    duty.run(30)
    assert jvm.alive
    assert duty.decisions() == []
    assert jvm.throttled_seconds <= 1, "a probation, and then it runs free"


@pytest.mark.row("E4")
def test_a_limit_that_comes_after_the_cgroup_is_guarded(world: World, serve: Serve) -> None:
    """Runtimes make the directory first, and write memory.max a moment later: inotify is faster than they are."""
    for number in range(10, 40):
        world.container(number, anon=20 * MIB)
    old = list(world.loads)
    rules = '[[containers]]\ncgroup = "*"\nnamespace = "shop"\n'
    duty = serve(ENFORCE + TUNING + LIMITS + rules)
    duty.run(1)
    hog = world.container(1, anon=20 * MIB)
    duty.run(0.01)
    hog.limit = 256 * MIB
    hog.write("memory.max", f"{hog.limit}\n")
    duty.run(2)
    assert hog.content("memory.high") == str(240 * MIB)
    hog.rate = 200 * MIB
    duty.run(10, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    assert all(load.alive for load in old)


@pytest.fixture(params=[True, False], ids=["heard", "no inotify"])
def noticed_seconds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How soon the guard knows that somebody wrote a limit or a line: at once, or with the next housekeeping."""
    if request.param:
        return 0.1
    monkeypatch.setattr(Touches, "attend", lambda *_: None)
    return HOUSEKEEPING_SECONDS + 2


@pytest.mark.row("E4")
@pytest.mark.parametrize("limit", [192 * MIB, 512 * MIB])
def test_a_limit_that_is_changed_is_followed(world: World, serve: Serve, noticed_seconds: float, limit: int) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    duty.run(1)
    web.limit = limit
    web.write("memory.max", f"{limit}\n")
    duty.run(noticed_seconds)
    assert int(web.content("memory.high")) == (limit - margin(limit, Settings())) // 4096 * 4096


@pytest.mark.row("E4")
def test_a_foreign_line_stays_and_is_reported(world: World, serve: Serve, noticed_seconds: float) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    assert web.content("memory.high") == str(240 * MIB)
    duty.run(1)
    web.write("memory.high", f"{200 * MIB}\n")
    duty.run(noticed_seconds)
    [line] = duty.lines("line")
    assert line["verdict"] == "foreign"
    assert web.content("memory.high") == str(200 * MIB)
    duty.end()
    assert web.content("memory.high") == str(200 * MIB)


@pytest.mark.row("E4")
def test_a_foreign_line_that_rings_first_stays_and_is_reported(world: World, serve: Serve) -> None:
    """Somebody else's lower line makes ours ring before the next check."""
    web = world.container(1, anon=100 * MIB, cache=50 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    web.write("memory.high", f"{150 * MIB}\n")
    web.write("memory.events.local", "low 0\nhigh 1\nmax 0\noom 0\noom_kill 0\n")
    duty.run(HOUSEKEEPING_SECONDS + 2)
    assert web.content("memory.high") == str(150 * MIB)
    assert {line["verdict"] for line in duty.lines() if line["kind"] in ("line", "unarmed")} == {"foreign"}


@pytest.mark.row("E4")
def test_a_line_that_was_reset_is_put_up_again(world: World, serve: Serve, noticed_seconds: float) -> None:
    """Systemctl set-property."""
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    duty.run(1)
    web.write("memory.high", "max\n")
    duty.run(noticed_seconds)
    assert web.content("memory.high") == str(240 * MIB)
    assert [line["verdict"] for line in duty.lines("line")] == ["done"]


def test_a_line_that_was_there_before_us_is_reported(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    web.write("memory.high", f"{200 * MIB}\n")
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    [line] = duty.lines("unarmed")
    assert (line["verdict"], line["domain"]) == ("foreign", f"container:{1:064x}")
    assert web.content("memory.high") == str(200 * MIB)


@pytest.mark.row("E4")
def test_a_pods_limit_that_is_changed_is_followed_at_once(world: World, serve: Serve) -> None:
    pod = world.charged_pod(1, 256 * MIB)
    web = world.container(1, anon=100 * MIB, pod=1, pod_limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    duty.run(1)
    high, limit = world.cgroup_root / pod.path / "memory.high", world.cgroup_root / pod.path / "memory.max"
    assert high.read_text().strip() == str(240 * MIB)
    pod.limit = 192 * MIB
    world.write(limit, f"{pod.limit}\n")
    duty.run(0.1)
    assert high.read_text().strip() == str(176 * MIB)


@pytest.mark.row("E4", "G4")
def test_lines_that_nobody_touches_are_not_read(world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: only those whose turn it is."""
    loads = [world.container(number, anon=20 * MIB, limit=256 * MIB) for number in range(1, 41)]
    duty = serve(ENFORCE + TUNING + LIMITS + '[[containers]]\ncgroup = "*"\nnamespace = "shop"\n')
    duty.run(1)
    asked: list[str] = []
    high = Cgroup.high
    monkeypatch.setattr(Cgroup, "high", lambda cgroup: (asked.append(cgroup.path), high(cgroup))[1])
    duty.run(HOUSEKEEPING_SECONDS)
    assert len(asked) == LOOKED_AFTER
    assert all(load.content("memory.high") == str(240 * MIB) for load in loads)


@pytest.mark.row("A4")
def test_who_writes_its_own_line_again_and_again_is_heard_twenty_times_a_second(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    duty.run(1)
    world.hooks.append(lambda _: web.write("memory.high", "max\n"))
    before = duty.guard.turns
    duty.run(5)
    assert duty.guard.turns - before < 5 * 2.5 / TOUCH_SECONDS
    world.hooks.clear()
    duty.run(0.1)
    assert web.content("memory.high") == str(240 * MIB)


@pytest.mark.parametrize("limit_mib", [64, 127])
def test_small_limits_have_no_line(world: World, serve: Serve, limit_mib: int) -> None:
    world.container(1, anon=MIB, limit=limit_mib * MIB)
    serve(ENFORCE + TUNING + LIMITS + names(*world.loads))
    assert highs(world.loads) == ["max"]


def test_without_lines_there_are_none(world: World, serve: Serve) -> None:
    world.container(1, anon=MIB, limit=256 * MIB)
    text = ENFORCE + TUNING + "lines = false\n" + LIMITS + names(*world.loads)
    duty = serve(text)
    duty.run(HOUSEKEEPING_SECONDS + 1)
    duty.hangup(configured(world, text))
    duty.run(HOUSEKEEPING_SECONDS + 1)
    assert duty.lines("reload")[0]["ok"]
    assert highs(world.loads) == ["max"]


@pytest.mark.row("E4", "E5")
def test_who_sits_just_under_its_limit_from_the_start_is_left_alone(world: World, serve: Serve) -> None:
    flat = world.container(1, anon=1016 * MIB, limit=1024 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(flat, requestBytes=0))
    duty.run(5)
    assert duty.decisions() == []
    flat.rate = MIB
    duty.run(60, until=lambda: not flat.alive)
    assert flat.killed_by == "cgroup.kill"


@pytest.mark.row("E4")
def test_a_margin_for_large_containers_does_not_condemn_small_ones(world: World, serve: Serve) -> None:
    web = world.container(1, anon=340 * MIB, limit=512 * MIB, rate=4 * MIB)
    duty = serve(ENFORCE + "[settings]\nmarginBytes = 1073741824\n" + TUNING + LIMITS + names(web, requestBytes=0))
    duty.run(8)
    assert duty.decisions() == []
    duty.run(60, until=lambda: not web.alive)
    assert duty.decisions()[0]["availableBytes"] <= 128 * MIB


@pytest.mark.row("K5", "E4")
@pytest.mark.parametrize("rule", ["protected = true", 'mode = "Observe"'])
def test_no_line_on_a_pod_brakes_somebody_who_may_not_be_touched(world: World, serve: Serve, rule: str) -> None:
    app = world.container(1, anon=50 * MIB, pod_limit=300 * MIB)
    side = world.container(2, anon=50 * MIB, pod=1)
    rules = f'[[rules]]\nmatch = {{ container = "side" }}\n{rule}\n' + LIMITS
    duty = serve(ENFORCE + TUNING + rules + identity(app, "shop", "p", "app") + identity(side, "shop", "p", "side"))
    duty.run(1)
    assert (world.cgroup_root / pod_path(1) / "memory.high").read_text().strip() == "max"
    assert "may not be touched" in duty.lines("unarmed")[0]["reason"]


# --- stop signals


@pytest.fixture
def process(world: World, inhabit: Inhabit) -> Process:
    """A real process in a container of this machine."""

    def start(load: Load, traps: str) -> subprocess.Popen[bytes]:
        one = inhabit(load.directory, world.proc_root, traps)
        load.write("cgroup.procs", f"{one.pid}\n")
        load.pids = [one.pid]
        return one

    return start


GRACE = "[[rules]]\nguardLimit = true\ngraceSeconds = {}\n"


@pytest.mark.row("T1", "E4")
def test_a_stop_signal_first_and_it_goes_by_itself(world: World, serve: Serve, process: Process) -> None:
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    one = process(hog, "trap 'exit 0' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(2) + names(hog))
    duty.run(60, until=duty.decisions)
    assert duty.decisions()[0]["action"] == "terminate"
    assert one.wait(30) == 0
    duty.run(3)
    assert hog.killed_by == "a signal"
    assert hog.content("cgroup.kill") == ""
    [outcome] = duty.lines("outcome")
    assert outcome["action"] == "terminate"
    assert outcome["complete"]
    duty.end()
    assert hog.content("memory.high") == "max"


@pytest.mark.row("T1")
@pytest.mark.parametrize("grace", [0.3, 15])
def test_who_does_not_heed_it_is_killed_when_its_time_is_up(
    world: World, serve: Serve, process: Process, grace: float
) -> None:
    """Also after a long grace the kill is followed to its end: it is not given up for having begun long ago."""
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap '' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(grace) + names(hog))
    duty.run(60, until=duty.decisions)
    at = world.time
    hog.rate = 0
    hog.dies = False
    duty.run(grace + 1, until=lambda: not hog.alive)
    assert world.time - at == pytest.approx(grace, abs=0.05)
    duty.run(0.2)
    hog.empty()
    duty.run(1)
    [outcome] = duty.lines("outcome")
    assert outcome["complete"]
    assert outcome["freedBytes"] > 300 * MIB
    steps = {step: count for step, count in duty.guard.report.steps.items() if count}
    assert steps == {"brake": 1, "terminate": 1, "kill": 1}


@pytest.mark.row("T1", "E4")
@pytest.mark.parametrize("rate_mib", [5, 10, 20, 30, 60, 200, 500])
def test_at_any_rate_there_is_a_grace_and_a_brake(world: World, serve: Serve, process: Process, rate_mib: int) -> None:
    """A slow one is decided on when its line has been lifted and half of the margin is gone."""
    hog = world.container(1, anon=100 * MIB, rate=rate_mib * MIB, limit=256 * MIB)
    process(hog, "trap '' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(0.3) + names(hog))
    duty.run(200, until=duty.decisions)
    at = world.time
    assert duty.decisions()[0]["action"] == "terminate"
    assert hog.content("memory.high") != "max"
    duty.run(2, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    assert 0.25 <= world.time - at <= 0.32, "the fastest has half of the margin used up before"


@pytest.mark.row("E4")
def test_a_brake_that_was_reset_is_put_up_again_at_once(world: World, serve: Serve, process: Process) -> None:
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap '' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(15) + names(hog))
    duty.run(60, until=duty.decisions)
    hog.rate = 0
    duty.run(0.1)
    stood = int(hog.content("memory.high"))
    hog.write("memory.high", "max\n")
    duty.run(0.1)
    assert hog.content("memory.high") == str(max(stood, -(-hog.current // 4096) * 4096)), "never below what is used"
    assert [line["verdict"] for line in duty.lines("line")] == ["done"]


@pytest.mark.row("T1", "K5")
def test_an_emergency_stop_ends_a_grace_without_a_kill(world: World, serve: Serve, process: Process) -> None:
    """The stop signal cannot be taken back; the brake goes at once, and nothing follows."""
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap '' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(15) + names(hog))
    duty.run(60, until=duty.decisions)
    assert hog.content("memory.high") != "max"
    hog.rate, plan = 0, duty.guard.plan
    rules = tuple(msgspec.structs.replace(rule, mode="Observe") for rule in plan.rules)
    duty.guard.adopt(msgspec.structs.replace(plan, mode="Observe", rules=rules))
    duty.run(1)
    assert hog.content("memory.high") == "max"
    assert duty.lines("outcome")[-1]["complete"] is False
    assert "its mode is Observe" in duty.lines("abandoned")[-1]["reason"]
    duty.run(30)
    assert hog.alive


@pytest.mark.row("T1", "E7")
def test_where_nobody_can_evict_there_is_a_grace_all_the_same(world: World, serve: Serve, process: Process) -> None:
    """Two of one pod are to blame: an eviction would be best."""
    app, side = (world.container(number, anon=300 * MIB, rate=25 * MIB, pod=1) for number in (1, 2))
    for load in (app, side):
        process(load, "trap 'exit 0' TERM")
    identities = identity(app, "shop", "p", "app") + identity(side, "shop", "p", "side")
    duty = serve(ENFORCE + TUNING + "[[rules]]\ngraceSeconds = 0.3\n" + identities)
    duty.run(60, until=duty.decisions)
    [decision] = duty.decisions()
    assert (decision["wanted"], decision["action"]) == ("evict", "terminate")


@pytest.mark.row("T1", "E4")
def test_half_of_the_margin_ends_the_waiting(world: World, serve: Serve, process: Process) -> None:
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap '' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(10) + names(hog))
    duty.run(60, until=duty.decisions)
    at = world.time
    hog.rate = 400 * MIB
    duty.run(10, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    assert world.time - at < 5


@pytest.mark.row("T1")
@pytest.mark.parametrize("facts", [{"restartPolicy": "Never"}, {"restartPolicy": "OnFailure"}])
def test_a_job_gets_no_chance_to_succeed(
    world: World, serve: Serve, process: Process, facts: dict[str, object]
) -> None:
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap 'exit 0' TERM")
    duty = serve(ENFORCE + TUNING + GRACE.format(2) + names(hog, **facts))
    duty.run(60, until=duty.decisions)
    assert duty.decisions()[0]["action"] == "kill"


# --- telling


@pytest.mark.row("P2")
def test_a_container_that_asks_is_told_before_anybody_dies(world: World, serve: Serve, process: Process) -> None:
    big, hog = shop(world, rate=50 * MIB)
    one = process(big, "trap 'exit 9' USR1")
    rule = '[[rules]]\nmatch = { pod = "pod-0" }\nnotifySignal = "SIGUSR1"\n'
    duty = serve(ENFORCE + TUNING + rule + names(big, hog))
    duty.run(60, until=lambda: duty.lines("notice"))
    assert duty.decisions() == []
    assert one.wait(30) == 9
    assert 0 < duty.lines("notice")[0]["headroomBytes"] < 0.06 * world.total
    assert duty.guard.report.steps["notify"] == 1


@pytest.mark.row("P3")
def test_a_critical_process_that_died_is_an_alarm(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    with subprocess.Popen(["sleep", "600"]) as kubelet:
        (world.proc_root / str(kubelet.pid)).symlink_to(f"/proc/{kubelet.pid}")
        duty = serve('critical = ["sleep"]\n' + ENFORCE + TUNING + names(big, hog))
        duty.run(20, until=duty.decisions)
        kubelet.kill()
        kubelet.wait()
        duty.run(20, until=lambda: duty.lines("outcome"))
    [alarm] = duty.lines("alarm")
    assert "sleep is gone" in alarm["reason"]
    assert alarm["decision"] == duty.decisions()[0]["id"]


# --- what comes and goes


@pytest.mark.row("A4")
def test_who_comes_is_seen_and_who_goes_is_forgotten(world: World, serve: Serve) -> None:
    duty = serve(ENFORCE + TUNING)
    assert len(duty.guard.watch) == 0
    load = world.container(1, anon=MIB)
    duty.guard.turn()
    assert list(duty.guard.watch.wards) == [load.path]
    load.vanish()
    duty.guard.turn()
    assert len(duty.guard.watch) == 0


@pytest.mark.row("G4")
def test_churn_leaves_no_descriptor_and_no_line(world: World, serve: Serve) -> None:
    """Pods come and go, with limits and without, asked for and not."""
    duty = serve(ENFORCE + TUNING + LIMITS + '[[containers]]\ncgroup = "*"\nnamespace = "shop"\n')
    counts = []
    for number in range(1, 25):
        limits = {"limit": 256 * MIB, "pod_limit": 512 * MIB} if number % 2 else {}
        load = world.container(number, anon=MIB, **limits)
        duty.run(HOUSEKEEPING_SECONDS + 1 if number % 4 == 0 else 0.1)
        load.vanish()
        (world.cgroup_root / pod_path(number) / "gone").touch()
        for file in (world.cgroup_root / pod_path(number)).iterdir():
            file.unlink()
        (world.cgroup_root / pod_path(number)).rmdir()
        duty.run(0.1)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[-1] <= counts[3]
    assert duty.records.holds() == []
    assert len(duty.guard.watch) == 0
    assert duty.guard.limits.bells == {}


@pytest.mark.row("G4")
def test_time_leaves_no_descriptor(world: World, serve: Serve) -> None:
    for number in range(1, 5):
        world.container(number, anon=MIB, limit=None if number % 2 else 256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + '[[containers]]\ncgroup = "*"\nnamespace = "shop"\n')
    duty.run(HOUSEKEEPING_SECONDS + 1)
    before = len(os.listdir("/proc/self/fd"))
    duty.run(10 * HOUSEKEEPING_SECONDS)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("step", range(0, 120, 6))
def test_a_cgroup_that_vanishes_at_any_moment_ends_nothing(world: World, serve: Serve, step: int) -> None:
    """The one that is about to be killed goes by itself, in the midst of things; the guard goes on, and acts again."""
    big, hog = shop(world, rate=300 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(big, hog, world.container(3, anon=100 * MIB)))
    duty.run(20, until=lambda: world.available < 125 * MIB)
    reads = []

    def pread(fd: int, size: int, offset: int) -> bytes:
        reads.append(fd)
        if len(reads) == step + 1:
            hog.vanish()
            world.meminfo()
        return kernfs(fd, size, offset)

    kernfs = os.pread
    os.pread = pread
    try:
        duty.run(2)
    finally:
        os.pread = kernfs
    other = world.loads[-1]
    other.rate = 300 * MIB
    duty.run(20, until=lambda: not other.alive)
    assert other.killed_by == "cgroup.kill"
    assert big.alive


def test_a_unit_that_restarts_while_its_victim_dies_is_watched_again(world: World, serve: Serve) -> None:
    """A service's cgroup has the same path again; a container's never has."""
    world.cgroup("app.slice")
    hog = world.container(1, anon=100 * MIB, rate=300 * MIB, path="app.slice/web.service")
    world.container(2, anon=600 * MIB)
    duty = serve(ENFORCE + TUNING + '[[containers]]\ncgroup = "app.slice/*"\n')
    hog.dies = False
    duty.run(20, until=lambda: not hog.alive)
    hog.vanish()
    again = world.container(1, anon=100 * MIB, path="app.slice/web.service")
    world.meminfo()
    duty.run(2)
    again.rate = 300 * MIB
    duty.run(20, until=lambda: not again.alive)
    assert again.killed_by == "cgroup.kill"


def test_a_name_that_is_no_text_is_nobodys(world: World, serve: Serve) -> None:
    """Cgroup names are bytes. What cannot be written down is not acted on, and ends nothing."""
    world.cgroup("app.slice")
    path = os.fsdecode(b"app.slice/\xff.service")
    hog = world.container(1, anon=100 * MIB, rate=300 * MIB, path=path)
    trace = world.run.parent / "trace.jsonl"
    duty = serve(f'trace = "{trace}"\n' + ENFORCE + TUNING + '[[containers]]\ncgroup = "app.slice/*"\n')
    duty.run(20, until=lambda: world.kernel_kills)
    duty.end()
    assert hog.content("cgroup.kill") == ""


# --- its own affairs


@pytest.mark.row("G4")
def test_the_textfile_says_how_things_stand(world: World, serve: Serve, tmp_path: Path) -> None:
    big, hog = shop(world)
    world.container(9, anon=MIB, limit=256 * MIB)
    path = tmp_path / "memguard.prom"
    duty = serve(f'textfile = "{path}"\n' + ENFORCE + TUNING + LIMITS + names(big, hog))
    duty.run(20, until=lambda: duty.lines("outcome"))
    duty.run(HOUSEKEEPING_SECONDS + 1)
    found = exposition.parse(path.read_text())
    assert found["memguard_decisions_total"].value(mode="Enforce", action="kill", namespace="shop") == 1
    assert found["memguard_containers"].value() == 3
    assert found["memguard_unmapped_containers"].value() == 1
    assert found["memguard_kernel_oom_kills_total"].value() == 0
    assert found["memguard_node_headroom_bytes"].value() == pytest.approx(world.available - 0.06 * world.total, abs=8)


def test_kernel_kills_are_counted_and_never_hidden(world: World, serve: Serve, tmp_path: Path) -> None:
    _, hog = shop(world)
    path = tmp_path / "memguard.prom"
    duty = serve(f'textfile = "{path}"\n' + OBSERVE + TUNING + names(hog))
    duty.run(20, until=lambda: world.kernel_kills)
    duty.run(HOUSEKEEPING_SECONDS + 1)
    assert exposition.parse(path.read_text())["memguard_kernel_oom_kills_total"].value() == 1


@pytest.mark.row("G4")
def test_a_node_that_stays_full_is_kept_house_for(world: World, serve: Serve, tmp_path: Path) -> None:
    """Observing inside the reserve for minutes: metrics stay fresh, the trace is written, nothing piles up."""
    big, hog = shop(world, rate=0)
    path, trace = tmp_path / "memguard.prom", tmp_path / "trace.jsonl"
    duty = serve(f'textfile = "{path}"\ntrace = "{trace}"\n' + OBSERVE + TUNING + names(big, hog))
    hog.anon = 980 * MIB
    hog.show()
    world.meminfo()
    duty.run(1)
    before = trace.stat().st_size
    duty.run(120)
    age = duty.clock.now().timestamp()
    assert age - exposition.parse(path.read_text())["memguard_last_look_timestamp_seconds"].value() < 60
    assert trace.stat().st_size > before


@pytest.mark.parametrize("key", ["textfile", "trace"])
def test_a_full_disk_is_said_and_no_reason_to_stop(world: World, serve: Serve, tmp_path: Path, key: str) -> None:
    big, hog = shop(world)
    target = Path("/dev/full") if key == "trace" else tmp_path / "gone" / "memguard.prom"
    duty = serve(f'{key} = "{target}"\n' + ENFORCE + TUNING + names(big, hog))
    duty.run(20, until=lambda: not hog.alive)
    duty.run(HOUSEKEEPING_SECONDS + 1)
    assert hog.killed_by == "cgroup.kill"
    lines = duty.lines("unavailable")
    assert lines
    assert all(line["what"] == str(target) and line["reason"] for line in lines)
    assert len(lines) <= 3


def test_a_kill_that_the_kernel_refuses_is_said_now_and_then(world: World, serve: Serve, kernfs: Kernfs) -> None:
    big, hog = shop(world)
    kernfs.read_only.add(str(hog.directory / "cgroup.kill"))
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.run(20, until=lambda: world.available < 60 * MIB)
    assert duty.lines("refused")
    hog.rate = MIB / 4
    duty.run(20)
    assert len(duty.lines("refused")) <= 4
    assert duty.decisions() == []
    assert hog.content("cgroup.freeze") == "0"


# --- a new configuration


def test_a_good_one_is_followed_and_a_broken_one_is_not(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    hog.rate = 0
    duty = serve(OBSERVE + TUNING + names(big, hog))
    duty.hangup(configured(world, "mode = 'Enforced'\n"))
    duty.run(1)
    [line] = duty.lines("reload")
    assert not line["ok"]
    assert "guard.toml" in line["reason"]
    assert "mode" in line["reason"]
    assert "stays in force" in line["reason"]
    assert duty.guard.config.mode == "Observe"
    duty.hangup(configured(world, ENFORCE + TUNING + names(big, hog)))
    hog.rate = 200 * MIB
    duty.run(20, until=lambda: not hog.alive)
    assert duty.lines("reload")[1]["ok"]
    assert hog.killed_by == "cgroup.kill"


@pytest.mark.parametrize(
    "content", [b"\xff", b"a = " + b"[" * 100_000, b"", b"[tuning]\nfastestFillBytesPerSecond = 0\n"]
)
def test_no_file_ends_the_guard(world: World, serve: Serve, tmp_path: Path, content: bytes) -> None:
    duty = serve(OBSERVE + TUNING)
    path = tmp_path / "guard.toml"
    path.write_bytes(content)
    duty.hangup(path)
    duty.run(1)
    assert len(duty.lines("reload")) == 1


def test_lines_follow_a_new_configuration(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB, pod_limit=512 * MIB)
    pod = world.cgroup_root / pod_path(1) / "memory.high"
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    assert web.content("memory.high") != "max"
    assert pod.read_text().strip() != "max"
    duty.hangup(configured(world, OBSERVE + TUNING + LIMITS + names(web)))
    duty.run(1)
    assert (web.content("memory.high"), pod.read_text().strip()) == ("max", "max")
    duty.hangup(configured(world, ENFORCE + TUNING + LIMITS + names(web)))
    duty.run(1)
    assert "max" not in (web.content("memory.high"), pod.read_text().strip())
    assert web.content("memory.high") == str(240 * MIB)


def test_a_new_reserve_is_kept(world: World, serve: Serve) -> None:
    big, hog = shop(world)
    duty = serve(ENFORCE + TUNING + names(big, hog))
    duty.hangup(configured(world, ENFORCE + "[settings]\nreserveRatio = 0.3\n" + TUNING + names(big, hog)))
    duty.run(20, until=lambda: not hog.alive)
    assert duty.decisions()[0]["reserveBytes"] == int(0.3 * world.total)
    assert duty.decisions()[0]["availableBytes"] > 0.25 * world.total


def test_a_new_identity_is_known_in_full(world: World, serve: Serve) -> None:
    big, _ = shop(world, rate=0)
    duty = serve(OBSERVE + TUNING)
    facts = {"requestBytes": 7, "priority": 3, "privileged": True, "static": True, "restartPolicy": "Never"}
    text = OBSERVE + TUNING + identity(big, "shop", "db", **facts) + 'labels = { a = "b" }\n'
    duty.hangup(configured(world, text))
    duty.run(1)
    found = duty.guard.watch.wards[big.path].container
    known = (found.namespace, found.request_bytes, found.priority, found.privileged, found.static)
    assert known == ("shop", 7, 3, True, True)
    assert found.restart_policy == "Never"
    assert found.labels == {"a": "b"}


# --- its end


def test_it_leaves_nothing_behind(world: World, serve: Serve) -> None:
    for number in range(1, 4):
        world.container(number, anon=100 * MIB, limit=256 * MIB, pod_limit=512 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(*world.loads))
    assert "max" not in highs(world.loads)
    duty.end()
    assert set(highs(world.loads)) == {"max"}
    assert duty.records.holds() == []
    padded = {name: text.strip() for name, text in world.foreign_writes().items()}
    assert set(padded.values()) <= {"max"}, "no mark and no value of ours"


class BrokenError(Exception):
    """Nothing that the guard knows."""


def test_a_failure_leaves_nothing_behind_either(world: World, serve: Serve) -> None:
    """Whatever goes wrong in a turn, the lines are lifted on the way out."""

    def fail(_: World) -> None:
        raise BrokenError

    world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(*world.loads))
    assert highs(world.loads) != ["max"]
    world.hooks.append(fail)
    with pytest.raises(BrokenError):
        duty.guard.run()
    assert highs(world.loads) == ["max"]
    world.hooks.clear()


GARBAGE = "anon x\nhigh x\nusage_usec x\n"


@pytest.mark.parametrize("name", ["memory.stat", "memory.current", "memory.max", "cpu.stat", "memory.events.local"])
@pytest.mark.parametrize("when", ["at the start", "as it comes", "later"])
def test_one_containers_garbage_ends_nothing(world: World, serve: Serve, name: str, when: str) -> None:
    """Its trouble is said; the others are guarded as ever."""
    odd = world.container(1, anon=MIB, limit=256 * MIB)
    if when == "at the start":
        odd.write(name, GARBAGE)
    big, hog = world.container(2, anon=500 * MIB), world.container(3, anon=500 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(big, hog, odd))
    duty.run(1)
    if when == "as it comes":
        odd = world.container(4, anon=MIB, limit=256 * MIB)
    odd.write(name, GARBAGE)
    late = world.container(5, anon=200 * MIB)
    duty.run(HOUSEKEEPING_SECONDS + 3)
    hog.rate = 200 * MIB
    duty.run(20, until=lambda: not hog.alive)
    assert hog.killed_by == "cgroup.kill"
    assert late.path in duty.guard.watch.wards
    troubles = duty.lines("trouble")
    assert all(name in line["reason"] for line in troubles)
    assert len(troubles) <= 3
    assert troubles or name == "memory.events.local", "which is read when it rings"


def test_a_signal_ends_its_sleep(world: World, serve: Serve) -> None:
    duty = serve(OBSERVE + TUNING)
    duty.guard.stop()
    os.write(duty.wakeup, bytes([signal.SIGTERM]))
    before = world.time
    duty.guard.run()
    assert world.time - before < 0.1
