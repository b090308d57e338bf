"""Minutes ahead: who is to go and how, on reports that come every five seconds. What cannot wait is the guard's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, changed, container, snapshot, story
from tests.core.strategies import containers, plans, snapshots

from memguard.core.foresight import ahead, culprit, look, movable, remedy, settled
from memguard.core.history import History
from memguard.core.model import Container, MemoryVolume, Owner, Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.refusal import Refusal
from memguard.core.select import NO_REFUSALS, Candidate, Refusals

PLAN = ahead(Plan())
REPORT_SECONDS = 5.0
TOTAL = 2 * GIB
RESERVE = int(0.06 * TOTAL)

# --- how it is to go

POD = container("a", owner=Owner(kind="Deployment", name="web"))
IN_PLACE = ("notify", "terminate", "kill")


def of(kind: str | None, **facts: Any) -> Container:
    return changed(POD, owner=None if kind is None else Owner(kind=kind, name="x"), **facts)


def virtual_machine(**facts: Any) -> Container:
    return of("VirtualMachineInstance", **facts)


def in_memory(kind: str | None = "Deployment") -> Container:
    """Most of it is in a memory-backed emptyDir, which outlives it."""
    return of(kind, memory_volumes=(MemoryVolume(kind="emptyDir"),), anon=10 * MIB, shmem=GIB, current=GIB + 10 * MIB)


#: A label is a tenant's to write, and would exempt from every kill.
LABELLED = of("DaemonSet", labels={"kubevirt.io": "virt-launcher"})
GRACE, NO_EVICT = Rule(grace_seconds=30), Rule(actions=IN_PLACE, grace_seconds=30)
REMEDIES: list[tuple[str, Container, Rule, str | None]] = [
    ("a Deployment's pod is made anew elsewhere", of("Deployment"), Rule(), "evict"),
    ("a StatefulSet's too", of("StatefulSet"), Rule(), "evict"),
    ("a Job's too", of("Job"), GRACE, "evict"),
    ("with a grace it is evicted all the same", of("Deployment"), GRACE, "evict"),
    ("a DaemonSet's comes back here", of("DaemonSet"), Rule(), "kill"),
    ("with a grace, gently", of("DaemonSet"), GRACE, "terminate"),
    ("a static pod's node is its owner", of("Node"), Rule(), "kill"),
    ("nobody would make a bare pod anew", of(None), Rule(), "kill"),
    ("with a grace, gently too", of(None), GRACE, "terminate"),
    ("a clean exit would be its success", of(None, restart_policy="Never"), GRACE, "kill"),
    ("no eviction is allowed", of("Deployment"), NO_EVICT, "terminate"),
    ("nor a stop", of("Deployment"), Rule(actions=("kill",), grace_seconds=30), "kill"),
    ("a Job is never stopped gently in place", of("Job"), NO_EVICT, "kill"),
    ("only a stop", of("DaemonSet"), Rule(actions=("terminate", "evict"), grace_seconds=30), "terminate"),
    ("a machine migrates", virtual_machine(), GRACE, "evict"),
    ("a label makes no machine", LABELLED, GRACE, "terminate"),
    ("what outlives the container goes with the pod", in_memory(), GRACE, "evict"),
]
#: Who cannot be helped, and by what words.
NOTHING: list[tuple[str, Container, Rule, bool, str]] = [
    ("no kill", of("DaemonSet"), Rule(actions=("evict",)), False, "allows no kill"),
    ("no kill, no owner", of(None), Rule(actions=("notify", "evict")), False, "nobody would make the pod anew"),
    ("a stop without a grace is none", of(None), Rule(actions=("terminate",)), False, "allows no kill"),
    ("a machine is never killed", virtual_machine(), NO_EVICT, False, "it is a virtual machine"),
    ("its memory outlives it", in_memory(), NO_EVICT, False, "its memory outlives it"),
    ("it comes back to that", in_memory("DaemonSet"), Rule(), False, "a DaemonSet's pod comes back on the same node"),
    ("nobody makes it anew", in_memory(None), Rule(), False, "nobody would make the pod anew"),
    ("weary, and bound here", of("DaemonSet"), GRACE, True, "again and again, and a DaemonSet's pod comes back"),
    ("weary, and bare", of(None), GRACE, True, "again and again, and nobody would make the pod anew"),
    ("weary, and no eviction", of("Deployment"), NO_EVICT, True, "its policy does not allow to evict it"),
]


@pytest.mark.row("K6", "E3", "E7")
@pytest.mark.parametrize(("words", "one", "rule", "way"), REMEDIES, ids=[row[0] for row in REMEDIES])
def test_each_goes_its_own_way(words: str, one: Container, rule: Rule, way: str | None) -> None:
    assert remedy(one, rule) == way


@pytest.mark.row("K6", "E3", "E7")
@pytest.mark.parametrize(("words", "one", "rule", "weary", "reason"), NOTHING, ids=[row[0] for row in NOTHING])
def test_or_none_and_says_why(words: str, one: Container, rule: Rule, weary: bool, reason: str) -> None:
    found = remedy(one, rule, weary=weary)
    assert isinstance(found, Refusal)
    assert reason in found.words
    assert found.cause == ("policy" if "its policy" in found.words else "kind")


@pytest.mark.row("K6")
def test_who_is_weary_of_restarts_is_evicted() -> None:
    assert remedy(of("StatefulSet"), GRACE, weary=True) == "evict"


@pytest.mark.row("K6", "E3")
@given(containers, plans, st.booleans())
def test_nothing_is_done_that_the_policy_forbids(one: Container, plan: Plan, weary: bool) -> None:
    rule = plan.rule_for(one)
    found = remedy(one, rule, weary=weary)
    if isinstance(found, Refusal):
        return
    assert rule.allows(found)
    if found == "evict":
        assert movable(one)
    else:
        assert not weary
        assert one.owner is None or one.owner.kind != "VirtualMachineInstance"


# --- who is to go


def reports(
    leaks: dict[str, int],
    others: Sequence[tuple[str, int]] = (("big", 900), ("small", 200)),
    *,
    used: int = 1400,
    seconds: float = 900,
) -> list[Snapshot]:
    """Of a node of 2 GiB of which `used` MiB are in use; leaks by their bytes per second, from 100 MiB on each."""
    curves = [(container(name), _line(100 * MIB, rate)) for name, rate in leaks.items()]
    curves += [(container(name), _line(mib * MIB, 0)) for name, mib in others]
    rest = used - 100 * len(leaks) - sum(mib for _, mib in others)
    return story(curves, total=TOTAL, rest=rest * MIB, seconds=seconds, step=REPORT_SECONDS)


def _line(start: int, rate: int) -> Any:
    return lambda t: start + rate * t


def available(look: Snapshot) -> int:
    return look.node.memory.available_bytes


def first_act(looks: Iterable[Snapshot], refusals: Refusals = NO_REFUSALS) -> tuple[Snapshot, Candidate] | None:
    """The operator's eye: nothing while the node is calm (five reserves are left); the last report before its end."""
    history = History()
    for one in looks:
        if available(one) <= 0:
            return None
        if available(one) > 5 * RESERVE:
            history = History()
            continue
        history, ranking = look(history, one, PLAN, refusals)
        found = culprit(history, ranking)
        if found is not None:
            return one, found
    return None


@pytest.mark.row("K3", "A1")
@pytest.mark.parametrize(
    ("rate", "least", "most"),
    [
        (1_000_000, 45, 50),
        (2_000_000, 75, 80),
        (5_000_000, 80, 85),
        (10_000_000, 35, 40),
        # as soon as four reports have shown whose it is
        (20_000_000, 7, 10),
    ],
)
def test_a_slow_leak_is_acted_on_before_the_reserve(rate: int, least: float, most: float) -> None:
    """Seconds until the reserve is touched when the culprit is to go. With 80 s, the usual grace of 30 s fits twice."""
    found = first_act(reports({"leak": rate}))
    assert found is not None
    one, chosen = found
    assert chosen.container.id == "leak"
    assert least <= (available(one) - RESERVE) / rate <= most


@pytest.mark.row("C5", "E5")
@pytest.mark.parametrize("used", [1500, 1800, 1900, 1920, 1950, 2000, 2047])
def test_a_node_that_is_full_and_flat_is_left_alone(used: int) -> None:
    looks = reports({"hog": 0}, (("big", 800), ("small", 200)), used=used, seconds=3600)
    assert first_act(looks) is None


@pytest.mark.row("E5")
def test_growth_that_ends_in_time_is_left_alone() -> None:
    """5 MB/s for 25 s, which would be acted on after 30."""
    curves = [(container("build"), lambda t: 100 * MIB + 5_000_000 * min(t, 25.0)), (container("big"), _line(GIB, 0))]
    looks = story(curves, total=TOTAL, rest=276 * MIB, seconds=900, step=REPORT_SECONDS)
    assert min(map(available, looks)) < 5 * RESERVE
    assert first_act(looks) is None


@pytest.mark.row("E5")
@pytest.mark.parametrize("jump", [100, 200, 300])
@pytest.mark.parametrize("jitter", [0, 1])
@pytest.mark.parametrize("size", [100, 1000])
def test_a_jump_between_two_reports_is_no_leak(size: int, jump: int, jitter: int) -> None:
    """It looks like one of 20 to 60 MB/s, and is over. `jitter`: MiB each minute from there."""
    curves = [
        (container("start"), lambda t: (size + (jump + jitter * t / 60 if t else 0)) * MIB),
        (container("other"), _line(200 * MIB, 0)),
    ]
    looks = story(curves, total=TOTAL, rest=(1300 - size) * MIB, seconds=300, step=REPORT_SECONDS)
    assert first_act(looks) is None


@pytest.mark.row("C3", "G1")
@given(st.integers(1_000_000, 600_000_000), st.lists(st.integers(1, 400), min_size=1, max_size=6), st.integers(0, 900))
def test_an_innocent_is_never_chosen_however_fast_the_leak(rate: int, others: list[int], rest: int) -> None:
    """At 500 MB/s a node of 2 GiB is gone within a report: then nobody is chosen here, and the guard acts."""
    named = [(f"other-{index}", mib) for index, mib in enumerate(others)]
    found = first_act(reports({"leak": rate}, named, used=100 + sum(others) + rest, seconds=1200))
    assert found is None or found[1].container.id == "leak"


@pytest.mark.parametrize("rate", [50_000_000, 100_000_000, 500_000_000])
def test_the_emergency_is_the_guards(rate: int) -> None:
    looks = reports({"leak": rate})
    assert next(index for index, one in enumerate(looks) if available(one) <= 0) <= 3
    assert first_act(looks) is None


@pytest.mark.row("C3")
def test_nor_at_the_last_moment() -> None:
    """The guard ends a bystander when half of the reserve is gone; here he stays, whatever the pressure."""
    looks = [
        snapshot([container("flat", anon=1500 * MIB)], total=TOTAL, available=left * MIB, seconds=5.0 * index)
        for index, left in enumerate((100, 80, 60, 40, 20, 1))
    ]
    history = History()
    for one in looks:
        history, ranking = look(history, one, PLAN)
        assert culprit(history, ranking) is None
    assert ranking.pressure.level > 0.9


@pytest.mark.row("T4", "K6")
def test_who_is_refused_leads_to_the_next_best_and_then_to_nobody() -> None:
    looks = reports({"worse": 4_000_000, "bad": 3_000_000}, (("big", 800), ("small", 200)))
    refused: dict[str, str] = {}
    order = []
    for _ in range(3):
        found = first_act(looks, refused)
        order.append(found and found[1].container.id)
        refused[order[-1] or ""] = "its PodDisruptionBudget allows no eviction now"
    assert order == ["worse", "bad", None]


@pytest.mark.row("T4")
def test_what_a_victim_gives_back_is_no_trend() -> None:
    history = History()
    looks = reports({"leak": 5_000_000})
    trusted = 0
    for one in looks[:10]:
        history, ranking = look(history, one, PLAN)
        trusted = ranking.sample_count
    history, ranking = look(settled(history, looks[9], foreign=False), looks[10], PLAN)
    assert (trusted, ranking.sample_count) == (10, 1)
    assert culprit(history, ranking) is None


@pytest.mark.row("G2")
@given(st.lists(snapshots, min_size=1, max_size=6), plans, st.randoms(use_true_random=False))
def test_the_same_reports_give_the_same_decision(looks: list[Snapshot], plan: Plan, random: Any) -> None:
    shuffled = []
    for one in looks:
        found = list(one.containers)
        random.shuffle(found)
        shuffled.append(changed(one, containers=tuple(found)))
    chosen = []
    for series in (looks, shuffled):
        history, names = History(), []
        for one in series:
            history, ranking = look(history, one, ahead(plan))
            names.append(culprit(history, ranking))
        chosen.append(names)
    assert chosen[0] == chosen[1]


def test_only_how_far_is_looked_differs_from_the_guards_plan() -> None:
    plan = Plan(mode="Enforce", rules=(GRACE,), bias={"x": 5})
    far = ahead(plan)
    assert (far.settings.horizon_seconds, far.settings.patience_seconds) == (900, 900)
    assert changed(far, settings=plan.settings) == plan
