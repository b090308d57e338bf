from typing import Any

import pytest
from tests.core.make import GIB, HOUR, MIB, changed, container, decisions, ranked, story

from memguard.core.ladder import choose_action, is_virtual_machine, may_terminate, relief_is_coming
from memguard.core.model import Container, MemoryVolume, Owner
from memguard.core.policy import Action, Plan, Rule
from memguard.core.select import Ranking

HOG = container("hog", anon=4 * GIB)
EMPTY_DIR = (MemoryVolume(kind="emptyDir"),)
SHARED = {"anon": GIB, "shmem": 3 * GIB, "file": 3 * GIB}
GRACE = Rule(grace_seconds=2.0)
NO_EVICTION = Rule(actions=("terminate", "kill"))
JOB = Owner(kind="Job", name="report")
MACHINE = Owner(kind="VirtualMachineInstance", name="vm")


def action(*found: Container, rule: Rule | None = None, left: float | None = None) -> Action:
    """What is done to the first that is chosen, with so many seconds left."""
    rule = rule or Rule()
    ranking: Ranking = ranked(*found, plan=Plan(rules=(rule,)))
    ranking = changed(ranking, pressure=changed(ranking.pressure, exhaustion_seconds=left))
    assert ranking.victim is not None
    return choose_action(ranking, ranking.victim, rule)


LITTLE = {"memory_volumes": EMPTY_DIR, "anon": 4 * GIB, "shmem": MIB}
NO_KILL = Rule(actions=("evict", "terminate"), grace_seconds=1)

ACTIONS: list[tuple[str, dict[str, Any], Rule, float | None, Action]] = [
    ("a plain container", {}, Rule(), None, "kill"),
    ("a grace period where there is time", {}, GRACE, 10.0, "terminate"),
    ("... or no end in sight", {}, GRACE, None, "terminate"),
    ("... but not where it would come too late", {}, GRACE, 2.3, "kill"),
    ("... nor where the policy forbids it", {}, Rule(grace_seconds=2, actions=("kill",)), 10.0, "kill"),
    ("a Job whose clean exit would count as success", {"owner": JOB}, GRACE, 10.0, "kill"),
    ("restartPolicy OnFailure", {"restart_policy": "OnFailure"}, GRACE, 10.0, "kill"),
    ("restartPolicy Never", {"restart_policy": "Never"}, GRACE, 10.0, "kill"),
    ("restartPolicy Always", {"restart_policy": "Always"}, GRACE, 10.0, "terminate"),
    ("a virtual machine, by its owner", {"owner": MACHINE}, Rule(), None, "evict"),
    ("... not by a label, which tenants write", {"labels": {"kubevirt.io": "virt-launcher"}}, Rule(), None, "kill"),
    ("... even where there is a grace period", {"owner": MACHINE}, GRACE, 10.0, "evict"),
    ("memory that outlives the container", {"memory_volumes": EMPTY_DIR} | SHARED, Rule(), None, "evict"),
    ("... unless eviction is forbidden", {"memory_volumes": EMPTY_DIR} | SHARED, NO_EVICTION, None, "kill"),
    ("shared memory of its own dies with it", SHARED, Rule(), None, "kill"),
    ("a volume that holds little", LITTLE, Rule(), None, "kill"),
    ("only eviction is allowed", {}, Rule(actions=("evict",)), None, "evict"),
    ("... and a grace period changes nothing", {}, NO_KILL, 9.0, "evict"),
]


@pytest.mark.row("T1", "C2", "E3", "E5", "E7")
@pytest.mark.parametrize(
    ("facts", "rule", "left", "expected"), [entry[1:] for entry in ACTIONS], ids=[entry[0] for entry in ACTIONS]
)
def test_the_gentlest_step_that_can_still_help(
    facts: dict[str, Any], rule: Rule, left: float | None, expected: Action
) -> None:
    assert action(changed(HOG, **facts), rule=rule, left=left) == expected


def sibling(name: str, anon: int, **facts: Any) -> Container:
    return container(name, pod="tree", name=name, anon=anon, **facts)


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    ("words", "siblings", "expected"),
    [
        ("two guilty containers of a pod", [sibling("b", 3 * GIB)], "evict"),
        ("a small helper is no second culprit", [sibling("b", 50 * MIB)], "kill"),
        ("nor is a big one within its request", [sibling("b", 3 * GIB, request_bytes=4 * GIB)], "kill"),
        ("nor is one that may not be touched", [sibling("b", 3 * GIB, oom_score_adj=-1000)], "kill"),
        ("nor another pod's", [container("b", anon=3 * GIB)], "kill"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whole_trees_end_together_when_that_is_right(words: str, siblings: list[Container], expected: str) -> None:
    assert action(sibling("a", 4 * GIB), *siblings) == expected


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    ("main_per_second", "expected"), [(0.0, "kill"), (0.02, "kill"), (0.1, "evict")], ids=["still", "slow", "growing"]
)
def test_the_big_one_beside_a_leaking_sidecar_is_spared_unless_it_grows_too(
    main_per_second: float, expected: Action
) -> None:
    main, sidecar = sibling("main", 0, request_bytes=4 * GIB), sibling("sidecar", 0)
    looks = story(
        [
            (main, lambda t: (6 + main_per_second * t) * GIB),
            (sidecar, lambda t: (1 + 0.2 * t) * GIB),
        ],
        rest=2 * GIB,
    )
    first = decisions(looks)[0]
    assert (first.victim, first.action) == ("sidecar", expected)


@pytest.mark.row("S7")
def test_a_tree_is_not_evicted_where_that_is_forbidden() -> None:
    assert action(sibling("a", 4 * GIB), sibling("b", 3 * GIB), rule=NO_EVICTION) == "kill"


@pytest.mark.row("E3")
@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, False),
        ({"owner": JOB}, False),
        ({"owner": MACHINE}, True),
        ({"labels": {"kubevirt.io": "virt-launcher"}}, False),
    ],
)
def test_is_virtual_machine(facts: dict[str, Any], expected: bool) -> None:
    assert is_virtual_machine(container(**facts)) == expected


@pytest.mark.row("E3")
def test_the_whole_machine_counts_not_a_process_in_it() -> None:
    """Its guest's memory is the launcher's: the container is charged for all of it, and only the pod can be ended."""
    machine = container("vm", anon=6 * GIB, owner=MACHINE, age=HOUR)
    ranking = ranked(machine, container("web", anon=GIB))
    assert ranking.victim is not None
    assert ranking.victim.container.id == "vm"
    assert ranking.victim.freed_bytes == 6 * GIB
    assert action(machine, container("web", anon=GIB)) == "evict"


@pytest.mark.row("E5")
@pytest.mark.parametrize(
    ("owner", "restart_policy", "expected"),
    [(None, None, True), (None, "Always", True), (JOB, "Always", False), (JOB, None, False), (None, "Never", False)],
)
def test_may_terminate(owner: Owner | None, restart_policy: str | None, expected: bool) -> None:
    assert may_terminate(container(owner=owner, restart_policy=restart_policy)) == expected


RELIEF = [
    # pending, deficit, reserve (MiB), enough
    ("nothing is coming", 0, 10, 100, False),
    ("what is coming covers it", 20, 10, 100, True),
    ("what is coming does not", 5, 10, 100, False),
    ("half of the reserve is gone: no more waiting", 90, 60, 100, False),
    ("there is no deficit", 1, 0, 100, True),
]


@pytest.mark.row("T4", "P1")
@pytest.mark.parametrize(("words", "pending", "deficit", "reserve", "enough"), RELIEF, ids=[row[0] for row in RELIEF])
def test_pending_relief_counts(words: str, pending: int, deficit: int, reserve: int, enough: bool) -> None:
    assert relief_is_coming(pending * MIB, deficit * MIB, reserve * MIB) == enough
