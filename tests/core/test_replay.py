import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import (
    GIB,
    HOUR,
    MIB,
    changed,
    container,
    decisions,
    snapshot,
    story,
    watch,
    with_anon,
)
from tests.core.strategies import plans, populations, snapshots

from memguard.core import replay as replaying
from memguard.core.footprint import freed, unreclaimable
from memguard.core.model import Cgroup, Container, MemoryVolume, NumaNode, Owner, Snapshot
from memguard.core.policy import Match, Plan, Rule, Settings
from memguard.core.replay import LISTED, Report, without
from memguard.core.trace import LEARNING, Event, Header, Outcome, PlanChange, Reading, decode_lines, encode_line
from memguard.errors import InputError

#: What memguard guard uses: it reacts in milliseconds and need not act on forecasts (guard/config.py)
INSTANT = Plan(settings=Settings(horizon_seconds=0.1))
DATABASE = container("db", name="postgres", request_bytes=6 * GIB, file=0)
Curve = Callable[[float], float]


def steady(gib: float) -> Curve:
    return lambda _: gib * GIB


def ramp(start: float, per_second: float, top: float = 1e9) -> Curve:
    return lambda t: min(top, start + per_second * t) * GIB


def bump(base: float, top: float, at: float = 60, width: float = 30) -> Curve:
    return lambda t: (base + (top - base) * max(0.0, 1 - abs(t - at) / width)) * GIB


def leak(rate: float = 0.05, **facts: Any) -> list[Snapshot]:
    """A node of 16 GiB with a database of 5 GiB, 1 GiB for the system, and a leak."""
    leaking = container("leak", request_bytes=GIB, **facts)
    return story([(DATABASE, steady(5)), (leaking, ramp(1, rate))], rest=GIB, seconds=9 / rate + 20)


def written(looks: Iterable[Snapshot], plan: Plan | None = None) -> list[bytes]:
    head = [] if plan is None else [encode_line(Header(plan=plan))]
    return [*head, *(encode_line(Reading(snapshot=look)) for look in looks)]


def replay(lines: Iterable[bytes], source: str = "<trace>") -> Report:
    return replaying.replay(decode_lines(lines, source))


def bare(looks: Iterable[Snapshot]) -> list[bytes]:
    return [msgspec.json.encode(look) for look in looks]


# --- the same again ----------------------------------------------------------------------------------------------


@pytest.mark.row("G2")
def test_a_recorded_trace_replays_to_the_same_decisions() -> None:
    looks = leak()
    made = decisions(looks)
    assert [decision.victim for decision in made] == ["leak"]
    for trace in (written(looks), bare(looks), written(looks, Plan())):
        assert replay(trace).decisions == tuple(made)


@pytest.mark.row("G2")
@given(st.lists(snapshots, max_size=4), plans)
def test_any_trace_replays_to_the_same_decisions(looks: list[Snapshot], plan: Plan) -> None:
    made = decisions(looks, plan)
    report = replay(written(looks, plan))
    assert report.decisions == tuple(made)
    assert report == replay(written(looks, plan))
    assert (report.summary.snapshots, report.summary.decisions) == (len(looks), len(made))


@pytest.mark.row("G2")
def test_hash_seeds_and_time_zones_change_nothing(tmp_path: Path) -> None:
    crowd = [container(f"c{index}", anon=100 * MIB, labels={"app": str(index)}) for index in range(20)]
    looks = [changed(look, containers=(*crowd, *look.containers)) for look in leak(rate=0.2)]
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b"".join(written(looks, Plan(rules=(Rule(match=Match(labels={"app": "3"}), adjustment=9),)))))
    program = (
        "import sys, msgspec; from memguard.core.replay import replay; from memguard.core.trace import decode_lines;"
        "sys.stdout.buffer.write(msgspec.json.encode(replay(decode_lines(open(sys.argv[1], 'rb')))))"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", program, str(trace)],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4711", "America/New_York"))
    }
    assert len(results) == 1
    report = msgspec.json.decode(results.pop(), type=Report)
    assert [decision.victim for decision in report.decisions] == ["leak"]


@pytest.mark.row("G2")
@given(st.lists(snapshots, max_size=3), plans)
def test_events_and_outcomes_decide_nothing_by_themselves(looks: list[Snapshot], plan: Plan) -> None:
    noise = [encode_line(Event(kind="tick")), encode_line(Outcome(victim="a", freed_bytes=1)), b"\n", b"  \n"]
    plain = written(looks, plan)
    noisy = [line for reading in plain for line in (reading, *noise)]
    assert replay(noisy) == replay(plain)


@pytest.mark.row("E4", "G2")
def test_a_crossed_line_starts_a_new_episode_in_the_replay_too() -> None:
    full = container("a", anon=GIB - 40 * MIB, limit_bytes=GIB)
    looks = [changed(snapshot([full]), taken_at=snapshot([], seconds=index * 0.1).taken_at) for index in range(12)]
    plan = Plan(rules=(Rule(guard_limit=True),))
    grown = [changed(look, containers=(with_anon(full, full.memory.current_bytes + index * 2 * MIB),))
             for index, look in enumerate(looks)]  # fmt: skip
    lines = written(grown, plan)
    again = [line for reading in lines for line in (encode_line(Event(kind="line", subject="container:a")), reading)]
    assert [decision.victim for decision in replay(lines).decisions] == ["a"]
    assert replay(again).decisions == (), "at each first look there is doubt"


@pytest.mark.row("G2")
def test_what_was_only_learned_from_is_only_learned_from() -> None:
    """The guard samples between its decisions: those readings make the history, and nobody's fate."""
    looks = leak()
    learned = [encode_line(Reading(snapshot=look, domain=LEARNING)) for look in looks]
    assert replay(learned).decisions == ()
    assert replay(learned).summary.snapshots == len(looks)
    fateful = decisions(looks)[0].taken_at
    until = [index for index, look in enumerate(looks) if look.taken_at < fateful]
    mixed = [learned[index] for index in until] + written(looks[len(until) :])
    assert replay(mixed).decisions == tuple(decisions(looks)), "the same history, the same decision"


@pytest.mark.row("G2", "C5")
def test_a_reading_of_one_domain_is_judged_there() -> None:
    looks = [
        snapshot([container("a", anon=GIB - left * MIB, limit_bytes=GIB)], available=0, seconds=second)
        for second, left in enumerate((25, 5))
    ]
    plan = Plan(rules=(Rule(guard_limit=True),))
    for domain in ("node", "container:a"):
        shown = looks[1:] if domain == "node" else looks
        lines = [
            encode_line(Header(plan=plan)),
            *(encode_line(Reading(snapshot=look, domain=domain)) for look in shown),
        ]
        assert [decision.domain for decision in replay(lines).decisions] == [domain]


@pytest.mark.row("G2")
def test_a_plan_holds_from_its_line_on() -> None:
    looks = leak()
    protect, release = Plan(rules=(Rule(protected=True),)), Plan()
    lines = written(looks)
    last = len(lines) - 3
    changing = [
        encode_line(PlanChange(plan=protect)),
        *lines[:last],
        encode_line(PlanChange(plan=release)),
        *lines[last:],
    ]
    assert replay(lines).decisions[0].taken_at < looks[last].taken_at
    assert [(found.victim, found.taken_at) for found in replay(changing).decisions] == [("leak", looks[last].taken_at)]


def test_a_line_that_cannot_be_read_is_named() -> None:
    lines = [*written(leak()[:3]), b"\n", b'{"takenAt": "2026-11-23T06:00:00Z"}']
    with pytest.raises(InputError) as caught:
        replay(lines, "incident.jsonl")
    assert (caught.value.source, caught.value.line, caught.value.field) == ("incident.jsonl", 5, "$.node")


# --- what a decision says ----------------------------------------------------------------------------------------


@pytest.mark.row("T2", "G3")
def test_a_decision_holds_all_that_led_to_it() -> None:
    looks = leak()
    decision = decisions(looks)[0]
    ranking = next(found for found in watch(looks) if found.victim)
    assert ranking.victim is not None
    assert decision.taken_at == ranking.taken_at
    assert (decision.domain, decision.action, decision.victim) == ("node", "kill", "leak")
    assert decision.score == ranking.victim.scored.score
    assert decision.freed_bytes == freed(ranking.victim.container, swap_counts=True)
    assert decision.need_bytes == ranking.pressure.need_bytes
    assert decision.reason.startswith("shop/pod-leak/app is chosen: ")
    assert [(listed.id, listed.score) for listed in decision.candidates] == [
        (c.container.id, c.scored.score) for c in ranking.candidates
    ]


def test_at_most_twelve_are_listed_the_best_first() -> None:
    crowd = [container(f"c{index:02}", anon=GIB) for index in range(30)]
    decision = decisions([snapshot(crowd, total=32 * GIB, available=0)])[0]
    assert len(decision.candidates) == LISTED == 12
    assert decision.candidates[0].id == decision.victim


# --- the victim is gone ------------------------------------------------------------------------------------------


@pytest.mark.row("T4", "C4")
@given(st.lists(snapshots, min_size=1, max_size=5), plans)
def test_nobody_is_chosen_twice(looks: list[Snapshot], plan: Plan) -> None:
    victims = [decision.victim for decision in decisions(looks, plan)]
    assert len(victims) == len(set(victims))


@pytest.mark.row("T4")
@given(snapshots, st.data())
def test_without_them_their_memory_is_available(look: Snapshot, data: st.DataObject) -> None:
    ids = [one.id for one in look.containers]
    gone = data.draw(st.sets(st.sampled_from(ids)) if ids else st.just(set()))
    left = without(look, gone)
    assert {one.id for one in left.containers} == set(ids) - gone
    before, after = look.node.memory, left.node.memory
    back = sum(freed(one, swap_counts=False) for one in look.containers if one.id in gone)
    assert after.available_bytes == min(before.total_bytes, before.available_bytes + back)
    assert (after.swap_free_bytes or 0) <= (before.swap_total_bytes or 0)
    assert all(node.free_bytes <= node.total_bytes for node in left.node.numa)
    assert without(look, set()) == look
    assert without(left, gone) == left


@pytest.mark.row("T4", "P1")
def test_the_next_victim_comes_only_when_the_first_was_not_enough() -> None:
    one_is_enough = [container("big", anon=6 * GIB), container("small", anon=GIB, request_bytes=GIB)]
    looks = [snapshot(one_is_enough, available=0, seconds=index) for index in range(20)]
    assert [decision.victim for decision in decisions(looks)] == ["big"]
    both_are_needed = [container(name, anon=100 * MIB) for name in "ab"]
    looks = [snapshot(both_are_needed, available=0, seconds=index) for index in range(20)]
    assert [decision.victim for decision in decisions(looks)] == ["a", "b"]


@pytest.mark.row("E7", "T4")
def test_an_evicted_pod_gives_its_volumes_back_and_nobody_else_dies() -> None:
    volume = (MemoryVolume(kind="emptyDir"),)
    hog = container("hog", pod="tmp", memory_volumes=volume, anon=2 * MIB, shmem=9 * GIB, file=9 * GIB)
    helper = container("helper", pod="tmp", name="helper", anon=50 * MIB)
    looks = [snapshot([hog, helper, DATABASE], available=50 * MIB, seconds=index) for index in range(30)]
    made = decisions(looks)
    assert [(decision.action, decision.victim) for decision in made] == [("evict", "hog")]


@pytest.mark.row("S7", "T4")
def test_an_evicted_pod_is_gone_whole() -> None:
    tree = [container(name, pod="tree", name=name, anon=4 * GIB) for name in "ab"]
    looks = [snapshot([*tree, container("c", anon=GIB)], available=0, seconds=index) for index in range(30)]
    assert [(decision.action, decision.victim) for decision in decisions(looks)] == [("evict", "a")]


@pytest.mark.row("E3")
def test_a_virtual_machine_is_evicted() -> None:
    owner = Owner(kind="VirtualMachineInstance", name="windows")
    machine = container("vm", name="compute", owner=owner, request_bytes=GIB)
    looks = story([(machine, ramp(2, 0.1)), (DATABASE, steady(5))], rest=GIB, seconds=100)
    assert [(decision.action, decision.victim) for decision in decisions(looks)] == [("evict", "vm")]


@pytest.mark.row("T1", "E5")
def test_a_job_is_never_asked_to_end_by_itself() -> None:
    plan = Plan(rules=(Rule(grace_seconds=1.0),))
    for owner, action in ((None, "terminate"), (Owner(kind="Job", name="report"), "kill")):
        assert [decision.action for decision in decisions(leak(owner=owner), plan)] == [action]


# --- the right one -----------------------------------------------------------------------------------------------

QUIET = container("web", request_bytes=GIB)
CULPRITS = [
    ("a slow leak beside a bigger database", [(DATABASE, steady(5)), (QUIET, ramp(0.5, 0.01))], "web"),
    ("a fast leak", [(DATABASE, steady(5)), (QUIET, ramp(0.5, 1.0))], "web"),
    ("a growing container within its request", [(DATABASE, ramp(3, 0.01, top=5.9)), (QUIET, ramp(0.5, 0.02))], "web"),
    (
        "nobody grows, one is far over its request",
        [(DATABASE, steady(5.9)), (container("fat", request_bytes=GIB), steady(9.05))],
        "fat",
    ),
]


@pytest.mark.row("S10", "C4")
@pytest.mark.parametrize("plan", [Plan(), INSTANT], ids=["8 s ahead", "at once"])
@pytest.mark.parametrize(("words", "curves", "culprit"), CULPRITS, ids=[row[0] for row in CULPRITS])
def test_the_culprit_dies_and_nobody_else(
    words: str, curves: list[tuple[Container, Curve]], culprit: str, plan: Plan
) -> None:
    looks = story(curves, rest=GIB, seconds=1500, step=1.0)
    assert [decision.victim for decision in decisions(looks, plan)] == [culprit]


LEFT_ALONE = [
    ("a warm-up that ends far above the reserve", ramp(1, 0.2, top=8.0), Plan()),
    ("... with the reserve just kept, for who need not look ahead", ramp(1, 0.2, top=8.9), INSTANT),
    ("... however fast it came", ramp(1, 2.0, top=8.9), INSTANT),
    ("a slow one that ends at the reserve", ramp(1, 0.05, top=8.9), Plan()),
    ("a spike that recovers", bump(1, 8.0), Plan()),
    ("a spike to just above the reserve", bump(1, 8.9), INSTANT),
    ("a batch that ends in time", lambda t: (8.5 if 20 < t < 80 else 0.5) * GIB, INSTANT),
]


@pytest.mark.row("E5")
@pytest.mark.parametrize(("words", "curve", "plan"), LEFT_ALONE, ids=[row[0] for row in LEFT_ALONE])
def test_growth_that_ends_in_time_is_left_alone(words: str, curve: Curve, plan: Plan) -> None:
    for facts in ({}, {"age": 20.0}, {"owner": Owner(kind="Job", name="report"), "restart_policy": "Never"}):
        looks = story([(DATABASE, steady(5)), (container("busy", **facts), curve)], rest=GIB, seconds=400)
        assert decisions(looks, plan) == []


@pytest.mark.row("E5")
def test_the_same_growth_that_does_not_end_is_not() -> None:
    looks = story([(DATABASE, steady(5)), (container("busy"), ramp(1, 0.2))], rest=GIB, seconds=60)
    assert [decision.victim for decision in decisions(looks, INSTANT)] == ["busy"]


@pytest.mark.row("A3")
def test_page_cache_that_fills_the_node_kills_nobody() -> None:
    looks = []
    for second in range(120):
        reader = container("reader", anon=GIB, file=min(13, second) * GIB)
        looks.append(snapshot([reader, container("web", anon=GIB)], available=14 * GIB - second * MIB, seconds=second))
    assert decisions(looks) == []


# --- swap, zswap, zram -------------------------------------------------------------------------------------------


@pytest.mark.row("E6", "A2")
def test_who_lives_in_swap_is_found_there() -> None:
    """Little of the hog is in RAM; its swap is what fills the node up."""
    looks = []
    for second in range(200):
        swapped = min(8 * GIB, second * 50 * MIB)
        hog = container("hog", anon=GIB, swap=swapped, request_bytes=GIB)
        left = max(0, 2 * GIB - max(0, second - 160) * 200 * MIB)
        looks.append(snapshot([hog, DATABASE], available=left, seconds=second, swap=(8 * GIB, 8 * GIB - swapped)))
    assert [decision.victim for decision in decisions(looks)] == ["hog"]


@pytest.mark.row("E6")
def test_what_zswap_holds_is_not_promised_twice() -> None:
    """4 GiB of pages that take 1 GiB compressed: a kill frees that 1 GiB, and no slot on a device."""
    hog = container("hog", anon=GIB, swap=4 * GIB, zswap=4 * GIB, kernel=GIB + 50 * MIB)
    made = decisions([snapshot([hog, DATABASE], available=0, swap=(8 * GIB, 4 * GIB))])
    assert [(decision.victim, decision.freed_bytes) for decision in made] == [("hog", 2 * GIB + 50 * MIB)]


# --- domains -----------------------------------------------------------------------------------------------------


@pytest.mark.row("C5", "A1", "E1")
@pytest.mark.parametrize("kind", ["kubepods", "pod", "container"])
def test_inside_a_breaking_domain_only(kind: str) -> None:
    """The one outside is bigger, grows faster and is over its request: it has nothing to do with this."""
    path = {"kubepods": "kubepods.slice", "pod": "kubepods.slice/p", "container": ""}[kind]
    inside = container("inside", pod="p", cgroup="kubepods.slice/p/inside", limit_bytes=2 * GIB)
    outside = container("outside", cgroup="system.slice/outside" if kind == "kubepods" else "kubepods.slice/q/outside")
    boundary = Cgroup(path=path, kind=kind, current_bytes=0, max_bytes=2 * GIB) if path else None  # type: ignore[arg-type]
    looks = [
        changed(look, cgroups=(boundary,) if boundary else ())
        for look in story([(inside, ramp(0.5, 0.05)), (outside, ramp(2, 0.06))], total=64 * GIB, seconds=40)
    ]
    made = decisions(looks, Plan(rules=(Rule(guard_limit=True),)))
    assert {decision.victim for decision in made} == {"inside"}
    assert {decision.domain.partition(":")[0] for decision in made} <= {kind, "container"}


@pytest.mark.row("C5", "E2", "A1")
def test_a_numa_node_that_runs_full_costs_somebody_who_lives_there() -> None:
    looks = []
    for second in range(60):
        local = container("local", anon=int((2 + 0.1 * second) * GIB), request_bytes=GIB, cpuset_mems="0",
                          numa_bytes={"0": int((2 + 0.1 * second) * GIB), "1": 0})  # fmt: skip
        remote = container("remote", anon=int((4 + 0.05 * second) * GIB), cpuset_mems="1",
                           numa_bytes={"0": 0, "1": int((4 + 0.05 * second) * GIB)})  # fmt: skip
        free = (8 * GIB - local.memory.current_bytes, 16 * GIB - remote.memory.current_bytes)
        numa = tuple(NumaNode(node=i, total_bytes=(8, 16)[i] * GIB, free_bytes=max(0, free[i])) for i in range(2))
        looks.append(snapshot([remote, local], total=24 * GIB, available=sum(free), seconds=second, numa=numa))
    made = decisions(looks)
    assert [(decision.domain, decision.victim) for decision in made] == [("numa:0", "local")]


@pytest.mark.row("C5", "T4")
@given(populations, st.data())
def test_a_slice_shrinks_with_those_who_left_it(found: tuple[Container, ...], data: st.DataObject) -> None:
    known = Cgroup(
        path="kubepods.slice", kind="kubepods", current_bytes=2**62, max_bytes=2**62, unreclaimable_bytes=2**62
    )
    ids = [one.id for one in found]
    gone = data.draw(st.sets(st.sampled_from(ids)) if ids else st.just(set()))
    after = without(snapshot(found, cgroups=(known,)), gone).cgroups[0]
    left = [one for one in found if one.id in gone and one.cgroup.startswith("kubepods.slice/")]
    assert after.unreclaimable_bytes == max(0, 2**62 - sum(unreclaimable(one.memory) for one in left))


@pytest.mark.row("F3", "S10")
def test_a_crash_loop_is_not_young_for_ever() -> None:
    """Every minute a new container of the same pod grows again: what the last one held speaks against it."""
    looks = []
    for second in range(180):
        life = second // 60
        grown = container(f"loop-{life}", pod="crashy", age=None, anon=int((0.5 + 0.03 * (second % 60)) * GIB))
        looks.append(snapshot([grown, DATABASE], available=8 * GIB, seconds=second))
    last = watch(looks)[-1]
    assert {c.container.id for c in last.candidates} == {"loop-2", "db"}


def test_an_empty_trace_is_an_empty_report() -> None:
    assert replay([]).decisions == ()
    assert replay([b"\n"]).summary.snapshots == 0


def test_a_story_is_what_it_says() -> None:
    looks = leak(rate=1.0)
    assert looks[0].node.memory.available_bytes == 9 * GIB
    assert looks[-1].seconds - looks[0].seconds == 29
    assert HOUR == 3600
