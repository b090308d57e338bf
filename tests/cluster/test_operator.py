"""The operator against the real API server, with the rights that it has in a cluster; kubelet is what the test says."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.cluster.agents import withdraw
from tests.cluster.clients import wait_until
from tests.cluster.kinds import ROOT, thing
from tests.cluster.operators import (
    MIB,
    RESERVE,
    TOTAL,
    Decline,
    Node,
    OperatorProcess,
    Space,
    deploy_operator,
    entry,
    operating,
    stamp,
)

_numbers = itertools.count(1)
#: Of a kind that the API server here does not know.
MACHINE = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachineInstance",
    "name": "machine",
    "uid": "0-machine",
    "controller": True,
}
SHMEM_VOLUME: dict[str, Any] = {
    "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}],
    "containers": [{"name": "app", "image": "pause", "volumeMounts": [{"name": "memory", "mountPath": "/memory"}]}],
}
FOREIGN_TAINT = {"key": "example.com/gpu", "value": "yes", "effect": "NoExecute", "timeAdded": "2026-11-29T00:00:00Z"}


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture(scope="module")
def operator(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    with operating(plane, tmp_path_factory.mktemp("operator")) as process:
        process.wait_ready()
        process.wait_leading()
        yield process


def new_node(plane: ControlPlane) -> Node:
    """Labelled with its own name, by which a policy may choose it."""
    name = f"op-node-{next(_numbers)}"
    return Node(plane, name, scene=name)


@pytest.fixture
def node(plane: ControlPlane) -> Node:
    return new_node(plane)


@pytest.fixture
def space(node: Node) -> Space:
    return Space(node, f"of-{node.name}")


@contextmanager
def cluster_policy(node: Node, name: str = "", **spec: Any) -> Iterator[None]:
    """The administrators', for this node alone, or with a name for all."""
    chosen = {} if name else {"nodeSelector": {"matchLabels": {"scene": node.name}}}
    node.apply(thing("ClusterMemoryGuardPolicy", name or node.name, spec=chosen | spec))
    try:
        yield
    finally:
        node.plane.kubectl("delete", "cmgp", name or node.name)


def refusals(operator: OperatorProcess, cause: str) -> float:
    return operator.total(f'memguard_operator_refusals_total{{cause="{cause}"}}')


def refused_reports(operator: OperatorProcess, cause: str) -> float:
    return operator.total(f'memguard_operator_reports_refused_total{{cause="{cause}"}}')


# --- who goes


@pytest.mark.row("K3", "K6")
def test_a_slow_leak_is_evicted_with_manners(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    leak, other = space.pod("leak"), space.pod("other")
    decline = Decline(node, operator, (entry(leak, 400), 25), (entry(other, 300), 0))
    decline.look_until(lambda: space.ending("leak"))
    assert not space.ending("other")
    [(name, record)] = space.decisions().items()
    assert name == f"evict-{space.uid('leak')}"
    assert (record["spec"]["action"], record["spec"]["mode"], record["spec"]["policy"]) == (
        "evict", "Enforce", f"{space.name}/all"
    )  # fmt: skip
    conditions = node.get("pod", "leak", "-n", space.name)["status"]["conditions"]
    assert {one["type"]: one.get("reason") for one in conditions}["DisruptionTarget"] == "EvictionByEvictionAPI"
    space.gone("leak")
    wait_until(lambda: node.report(900, entry(other, 300), level="Calm") or _phase(space, name) == "Done")
    assert space.decisions()[name]["status"]["freedBytes"] > 400 * MIB


def _phase(space: Space, name: str) -> str:
    return str(space.decisions()[name].get("status", {}).get("phase"))


@pytest.mark.row("K3")
def test_without_headroom_the_next_best_goes(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    worst, next_best = space.pod("worst"), space.pod("next-best")
    space.budget("worst", 0, app="worst")
    before = refusals(operator, "disruption_budget")
    decline = Decline(node, operator, (entry(worst, 400), 15), (entry(next_best, 350), 10))
    decline.look_until(lambda: space.ending("next-best"))
    decline.look_on()
    assert not space.ending("worst")
    assert list(space.decisions()) == [f"evict-{space.uid('next-best')}"]
    assert refusals(operator, "disruption_budget") > before


@pytest.mark.row("P2")
@pytest.mark.parametrize("policy", [{"mode": "Observe"}, None], ids=["observed", "without-policy"])
def test_nobody_goes_before_somebody_says_enforce(
    operator: OperatorProcess, node: Node, space: Space, policy: dict[str, Any] | None
) -> None:
    if policy is not None:
        space.policy(**policy)
    leak = space.pod("leak")
    decline = Decline(node, operator, (entry(leak, 400), 25))
    began = time.time()
    decline.look_until(space.decisions)
    decline.look_on()
    assert not space.ending("leak")
    records = space.decisions().values()
    assert 1 <= len(records) <= 1 + time.time() // 600 - began // 600  # once in ten minutes
    for record in records:
        assert (record["spec"]["mode"], record["spec"]["action"], record["status"]["phase"]) == (
            "Observe", "evict", "Observed"
        )  # fmt: skip
        assert record["spec"]["policy"] == ("cluster/default" if policy is None else f"{space.name}/all")


@pytest.mark.row("K3")
def test_an_emergency_stop_holds_and_ends(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    leak = space.pod("leak")
    node.advise(emergencyStop=True)
    decline = Decline(node, operator, (entry(leak, 400), 25))
    decline.look_on()
    assert not space.ending("leak")
    assert space.decisions() == {}
    node.advise(emergencyStop=False)
    decline.look_until(lambda: space.ending("leak"))


# --- in place


@pytest.mark.row("K3")
def test_a_bare_pod_is_ended_by_its_nodes_guard(operator: OperatorProcess, node: Node, space: Space) -> None:
    """One order at a time; whom the guard refused to end is not ordered again at once, and the next best is."""
    space.policy(mode="Enforce")
    first, second, third = (space.pod(name, owned=False) for name in ("first", "second", "third"))
    top = (entry(first, 450), 6), (entry(second, 400), 5), (entry(third, 350), 4)
    decline = Decline(node, operator, *top)
    decline.look_until(lambda: node.spec().get("orders"))
    [order] = node.spec()["orders"]
    for _ in range(6):  # enough for the next
        decline.look()
    assert node.spec()["orders"] == [order]
    assert (order["action"], order["podUid"], order["containerId"]) == ("kill", space.uid("first"), first)
    ends = datetime.fromisoformat(order["expiresAt"]) - datetime.now(UTC)
    assert timedelta(0) < ends <= timedelta(seconds=60)

    refused = {"id": order["id"], "accepted": False, "at": stamp(datetime.now(UTC)), "reason": "it is too young"}
    decline.look_until(lambda: node.spec()["orders"][0]["id"] != order["id"], orders=[refused])
    [another] = node.spec()["orders"]
    assert another["containerId"] == second

    done = {"id": another["id"], "accepted": True, "at": stamp(datetime.now(UTC)), "decision": "kill-1"}
    space.gone("second")
    decline.growing.pop(1)
    decline.look_until(lambda: node.spec()["orders"][0]["id"] != another["id"], orders=[refused, done])
    [last] = node.spec()["orders"]
    assert last["containerId"] == third
    assert not any(space.ending(name) for name in ("first", "third"))
    assert space.decisions() == {}  # that is the agent's to tell


@pytest.mark.row("K7")
def test_a_virtual_machine_is_evicted(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    machine = space.pod("machine", owner=MACHINE)
    decline = Decline(node, operator, (entry(machine, 400), 25))
    decline.look_until(lambda: space.ending("machine"))
    assert not node.spec().get("orders")


@pytest.mark.row("K7")
def test_memory_that_outlives_a_container_goes_with_its_pod(
    operator: OperatorProcess, node: Node, space: Space
) -> None:
    """Where nobody would make the pod anew it stays: a kill would free nothing."""
    space.policy(mode="Enforce")
    bare, owned = space.pod("bare", owned=False, **SHMEM_VOLUME), space.pod("owned", **SHMEM_VOLUME)
    before = refusals(operator, "kind")
    growing = (entry(bare, 450, shmemBytes=500 * MIB), 15), (entry(owned, 350, shmemBytes=400 * MIB), 10)
    decline = Decline(node, operator, *growing)
    decline.look_until(lambda: space.ending("owned"))
    assert refusals(operator, "kind") > before
    [record] = space.decisions().values()
    assert record["spec"]["expectedBytes"] > 350 * MIB
    assert not space.ending("bare")
    assert not node.spec().get("orders")


@pytest.mark.row("K3", "E3")
def test_a_pod_that_cannot_be_evicted_holds_up_nobody(operator: OperatorProcess, node: Node, space: Space) -> None:
    """With two PodDisruptionBudgets the API server answers 500, each time."""
    space.policy(mode="Enforce")
    worst, next_best = space.pod("worst"), space.pod("next-best")
    space.budget("one", 1, app="worst")
    space.budget("two", 1, app="worst")
    before = refusals(operator, "refused")
    decline = Decline(node, operator, (entry(worst, 400), 15), (entry(next_best, 350), 10))
    decline.look_until(lambda: space.ending("next-best"))
    assert not space.ending("worst")
    assert refusals(operator, "refused") > before


@pytest.mark.row("K5", "E3")
def test_who_is_only_observed_hides_nobody(operator: OperatorProcess, node: Node, space: Space) -> None:
    watched = Space(node, f"watched-{node.name}")
    watched.policy(mode="Observe")
    space.policy(mode="Enforce")
    worst, next_best = watched.pod("worst"), space.pod("next-best")
    decline = Decline(node, operator, (entry(worst, 400), 15), (entry(next_best, 350), 10))
    decline.look_until(lambda: space.ending("next-best"))
    assert not watched.ending("worst")
    assert [one["spec"]["mode"] for one in watched.decisions().values()] == ["Observe"]


@pytest.mark.row("K6", "E3")
def test_a_label_counts_from_when_it_is_there(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    space.policy("spared", mode="Observe", selector={"matchLabels": {"keep": "it"}}, precedence=900)
    worst, next_best = space.pod("worst"), space.pod("next-best")
    decline = Decline(node, operator, (entry(worst, 400), 15), (entry(next_best, 350), 10))
    decline.look()
    decline.look()
    node.plane.kubectl("label", "pod", "worst", "keep=it", "-n", space.name)
    decline.look_until(lambda: space.ending("next-best"))
    assert not space.ending("worst")


@pytest.mark.row("G2")
def test_restarts_in_place_end_in_an_eviction(
    operator: OperatorProcess, plane: ControlPlane, node: Node, space: Space
) -> None:
    """Three within half an hour, on one node: neither two, nor three of which one was elsewhere."""
    space.policy(mode="Enforce")
    storm, calm = space.pod("storm"), space.pod("calm")
    for number in range(3):
        space.decided("calm", calm, f"calm-{number}", node="elsewhere" if number else node.name)
    for number in range(2):
        space.decided("storm", storm, f"storm-{number}")
    node.report(400, entry(storm, 300), entry(calm, 300))
    wait_until(lambda: operator.total("memguard_operator_attended_nodes") > 0)
    assert not space.ending("storm")
    space.decided("storm", storm, "storm-2")
    wait_until(lambda: space.ending("storm"))
    record = space.decisions()[f"evict-{space.uid('storm')}"]
    assert (record["spec"]["trigger"], record["spec"]["action"], record["spec"]["mode"]) == (
        "storm",
        "evict",
        "Enforce",
    )
    assert not space.ending("calm")


# --- limits


def _limited(space: Space, name: str, limit: str, request: str = "64Mi") -> str:
    resources = {"requests": {"memory": request, "cpu": "10m"}, "limits": {"memory": limit, "cpu": "10m"}}
    return space.pod(name, containers=[{"name": "app", "image": "pause", "resources": resources}])


def _limit(space: Space, name: str) -> str:
    pod = space.node.get("pod", name, "-n", space.name)
    return str(pod["spec"]["containers"][0]["resources"]["limits"]["memory"])


@pytest.mark.row("K7")
def test_a_limit_is_raised_where_there_is_room(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce", actions=["resize", "kill", "evict"], limit={"maximum": "480Mi"})
    burstable, guaranteed = _limited(space, "burstable", "400Mi"), _limited(space, "guaranteed", "400Mi", "400Mi")
    near = {"limitBytes": 400 * MIB, "largestLimitBytes": 480 * MIB}
    decline = Decline(node, operator, (entry(guaranteed, 380, **near), 0), (entry(burstable, 380, **near), 0))
    decline.look(left_mib=5 * RESERVE // MIB + 50, level="Calm", exhaustion=None)
    assert (_limit(space, "burstable"), _limit(space, "guaranteed")) == ("400Mi", "400Mi")
    resized = operator.total('memguard_operator_decisions_total{action="resize"')
    for _ in range(3):  # kubelet is slow
        decline.look(left_mib=1500, level="Calm", exhaustion=None)
    assert (_limit(space, "burstable"), _limit(space, "guaranteed")) == (str(480 * MIB), "400Mi")
    [record] = space.decisions().values()
    assert (record["spec"]["action"], record["spec"]["mode"], record["spec"]["victim"]["pod"]) == (
        "resize", "Enforce", "burstable"
    )  # fmt: skip
    assert record["status"]["phase"] == "Done"
    assert operator.total('memguard_operator_decisions_total{action="resize"') == resized + 1


# --- budgets


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    ("budget", "where"),
    [
        ({"perContainer": 1, "perNamespace": 2, "perNode": 2}, "here"),
        ({"perContainer": 1, "perNamespace": 1, "perNode": 2, "perCluster": 2}, "elsewhere"),
    ],
    ids=["of-the-node", "of-the-cluster"],
)
def test_a_budget_is_spent(
    operator: OperatorProcess, node: Node, space: Space, budget: dict[str, int], where: str
) -> None:
    """By what is recorded, whoever did it."""
    others = Space(node, f"{space.name}-others")
    spent = others.pod("spent")
    for number in range(2):
        place = node.name if where == "here" else "elsewhere"
        others.decided("spent", spent, f"spent-{number}", node=place, action="evict")
    space.policy(mode="Enforce")
    leak = space.pod("leak")
    before = refusals(operator, "budget")
    with cluster_policy(node, budget=budget):
        decline = Decline(node, operator, (entry(leak, 400), 25))
        decline.look_until(lambda: refusals(operator, "budget") > before)
        decline.look_on()
    assert not space.ending("leak")
    assert space.decisions() == {}


@pytest.mark.row("G1")
def test_one_budget_is_lent_to_one_node(operator: OperatorProcess, plane: ControlPlane, node: Node) -> None:
    """Nobody else may spend it meanwhile, whoever leads."""
    other = new_node(plane)
    space, there = Space(node, f"of-{node.name}"), Space(other, f"of-{node.name}")
    here, beside = space.pod("here", labels={"app": "db"}), there.pod("beside", labels={"app": "db"})
    space.budget("db", 1, app="db")
    nodes = {one.name: one for one in (node, other)}
    declines = [Decline(node, operator, (entry(here, 400), 25)), Decline(other, operator, (entry(beside, 400), 25))]

    def lent() -> dict[str, int]:
        loans = {name: one.spec().get("disruptions", {}) for name, one in nodes.items()}
        return {name: sum(loan["count"] for loan in some.values()) for name, some in loans.items() if some}

    def looked() -> bool:
        for decline in declines:
            decline.look()
            assert sum(lent().values()) <= 1
        return len(lent()) == 2

    wait_until(looked)
    assert sum(lent().values()) == 1
    [loan] = node.spec()["disruptions"].values()
    assert loan["budget"] == f"{space.name}/db"


@pytest.mark.row("G1")
@pytest.mark.parametrize(("seconds", "count"), [(40, 0), (-1, 1)], ids=["while-it-lasts", "when-it-is-over"])
def test_what_another_lent_is_heeded(
    operator: OperatorProcess, node: Node, space: Space, seconds: int, count: int
) -> None:
    pod = space.pod("db")
    space.budget("db", 1, app="db")
    now = datetime.now(UTC)
    begun, until = stamp(now - timedelta(seconds=60)), stamp(now + timedelta(seconds=seconds))
    loan = {"count": 1, "since": begun, "until": until, "budget": f"{space.name}/db"}
    new_node(node.plane).advise(disruptions={f"{space.name}/ConfigMap/db/app": loan})
    decline = Decline(node, operator, (entry(pod, 400), 25))
    decline.look_until(lambda: node.spec().get("disruptions"))
    assert [one["count"] for one in node.spec()["disruptions"].values()] == [count]


# --- what is not to be believed


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    ("cause", "more"),
    [
        ("clock", {"hours": 5}),
        ("clock", {"hours": -5}),
        ("sizes", {"availableBytes": TOTAL + 1}),
        ("sizes", {"reserveBytes": TOTAL}),
        ("sizes", {"footprint": 17 * TOTAL}),
        ("containers", {"twice": True}),
    ],
    ids=["early", "late", "available", "reserve", "footprint", "twice"],
)
def test_a_report_that_makes_no_sense(
    operator: OperatorProcess, node: Node, space: Space, cause: str, more: dict[str, Any]
) -> None:
    """Each of these would have a leak evicted, were it believed."""
    space.policy(mode="Enforce")
    leak, other = space.pod("leak"), space.pod("other")
    hours, twice, footprint = more.pop("hours", 0), more.pop("twice", False), more.pop("footprint", 300 * MIB)
    beside = entry(leak if twice else other, 0, footprintBytes=footprint)
    before = refused_reports(operator, cause)
    begin = datetime.now(UTC) - timedelta(seconds=40) + timedelta(hours=hours)
    for look in range(1, 10):
        at, left = begin + timedelta(seconds=5 * look), 500 - 25 * look
        node.report(left, entry(leak, 400 + 25 * look), beside, exhaustion=left / 5, at=at, **more)
    wait_until(lambda: refused_reports(operator, cause) == before + 9)
    assert not space.ending("leak")
    assert space.decisions() == {}


@pytest.mark.row("S7")
def test_a_report_of_a_node_that_is_not_there(operator: OperatorProcess, plane: ControlPlane, node: Node) -> None:
    before = refused_reports(operator, "unknown_node")
    plane.kubectl("delete", "node", node.name, "--cascade=orphan")
    node.report(300, exhaustion=60)
    wait_until(lambda: refused_reports(operator, "unknown_node") > before)
    words = f"the report of {node.name} is not acted on"
    wait_until(lambda: any(line["reason"].startswith(words) for line in operator.logged("trouble")))


@pytest.mark.row("S7")
def test_only_a_nodes_own_containers_are_ended(
    operator: OperatorProcess, plane: ControlPlane, node: Node, space: Space
) -> None:
    space.policy(mode="Enforce")
    elsewhere = Space(new_node(plane), space.name).pod("elsewhere")
    decline = Decline(node, operator, (entry(elsewhere, 400), 20), (entry("f" * 64, 300), 5))
    decline.look_on()
    assert not space.ending("elsewhere")
    assert space.decisions() == {}
    assert not node.spec().get("orders")


# --- taints


@pytest.mark.row("K3")
def test_new_pods_are_kept_away(operator: OperatorProcess, node: Node) -> None:
    node.plane.kubectl("patch", f"node/{node.name}", "-p", json.dumps({"spec": {"taints": [FOREIGN_TAINT]}}))

    def foreign() -> list[dict[str, Any]]:
        return [one for one in node.get("node", node.name)["spec"]["taints"] if one["key"] == FOREIGN_TAINT["key"]]

    with cluster_policy(node, taint="NoSchedule"):
        decline = Decline(node, operator)
        for _ in range(3):  # it is put on after the look
            decline.look(exhaustion=600)
        assert node.taint() is None
        decline.look_until(lambda: node.taint() == "PreferNoSchedule", exhaustion=200)
        assert operator.total("memguard_tainted_nodes") >= 1
        decline.look(left_mib=100, level="Critical", exhaustion=None)
        wait_until(lambda: node.taint() == "NoSchedule")
        decline.look(exhaustion=200)
        decline.look(left_mib=1500, level="Calm", exhaustion=None)
        assert node.taint() == "NoSchedule"  # for five calm minutes
        assert foreign() == [FOREIGN_TAINT]
        node.report(100, level="Critical", at=datetime.now(UTC) - timedelta(seconds=90))  # nobody reports any more
        wait_until(lambda: node.taint() is None)
        assert foreign() == [FOREIGN_TAINT]


@pytest.mark.row("K3", "K5")
def test_where_nothing_is_enforced_nobody_is_kept_away(operator: OperatorProcess, node: Node) -> None:
    with cluster_policy(node, taint="NoSchedule"):
        decline = Decline(node, operator)
        decline.look_until(lambda: node.taint() == "NoSchedule", left_mib=100, level="Critical", exhaustion=None)
        decline.look_until(
            lambda: node.taint() is None, left_mib=100, level="Critical", exhaustion=None, mode="Observe"
        )


@pytest.mark.row("K3")
def test_the_default_policy_can_be_replaced(operator: OperatorProcess, node: Node, space: Space) -> None:
    leak = space.pod("leak")
    decline = Decline(node, operator, (entry(leak, 400), 25))
    with cluster_policy(node, "default", defaults={"mode": "Enforce"}, taint="PreferNoSchedule"):
        decline.look_until(lambda: space.ending("leak"))
        [record] = space.decisions().values()
        assert record["spec"]["policy"] == "cluster/default"
        wait_until(lambda: node.taint() == "PreferNoSchedule")
        wait_until(lambda: node.get("cmgp", "default").get("status", {}).get("matchedNodes", 0) >= 1)
    decline.look_until(lambda: node.taint() is None)


# --- what policies' authors are told


def conditions(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in status.get("conditions", ())}


def says(space: Space, policy: str = "all", **wanted: str) -> bool:
    """Does the status have these conditions, for the spec as it is now?"""
    found = space.node.get("mgp", policy, "-n", space.name)
    status, known = found.get("status", {}), conditions(found.get("status", {}))
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    return current and all(f"{known[kind]['status']} {known[kind]['reason']}" == what for kind, what in wanted.items())


@pytest.mark.row("G3")
def test_what_is_beyond_the_guard_rails_is_told(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce", adjustment=-900, protected=True)
    wait_until(lambda: says(space, Clipped="True BeyondGuardrails", Ready="True InForce"))
    before = space.status()
    clipped = {one["field"]: (one["asked"], one["granted"]) for one in before["clipped"]}
    assert clipped == {"adjustment": ("-900", "-300"), "protected": ("true", "false")}
    assert all("cluster/default" in one["reason"] for one in before["clipped"])
    assert "adjustment is -300 and not -900" in conditions(before)["Clipped"]["message"]

    wait_until(lambda: datetime.now(UTC) > datetime.fromisoformat(conditions(before)["Ready"]["lastTransitionTime"]))
    space.policy(mode="Enforce", adjustment=-800, protected=False)
    wait_until(lambda: says(space, Clipped="True BeyondGuardrails"))
    unflipped = space.status()
    assert [one["field"] for one in unflipped["clipped"]] == ["adjustment"]
    space.policy(mode="Enforce", adjustment=-200)
    wait_until(lambda: says(space, Clipped="False AsAsked"))
    after = space.status()
    assert not after.get("clipped")
    for kind in ("Ready", "Clipped"):
        since = [conditions(one)[kind]["lastTransitionTime"] for one in (before, unflipped, after)]
        assert since[0] == since[1]
        assert (since[1] == since[2]) == (kind == "Ready")


@pytest.mark.row("G3")
def test_protection_beyond_the_guard_rails_does_not_protect(
    operator: OperatorProcess, node: Node, space: Space
) -> None:
    space.policy(mode="Enforce", protected=True)
    leak = space.pod("leak")
    Decline(node, operator, (entry(leak, 400), 25)).look_until(lambda: space.ending("leak"))


@pytest.mark.row("G3")
def test_of_two_policies_both_say_who_comes_first(operator: OperatorProcess, node: Node, space: Space) -> None:
    both = space.pod("both", labels={"app": "a", "tier": "b"})
    for name in ("one", "two"):
        space.pod(name, labels={"tier": "b"})
    space.pod("neither")
    space.decided("both", both, "done-1", policy=f"{space.name}/alpha")
    latest = stamp(datetime.now(UTC) + timedelta(seconds=1))
    space.decided("both", both, "done-2", policy=f"{space.name}/alpha", takenAt=latest)
    space.policy("alpha", selector={"matchLabels": {"app": "a"}})
    space.policy("beta", selector={"matchLabels": {"tier": "b"}})
    wait_until(lambda: says(space, "beta", Conflict="True ByNameAlone", Ready="True InForce"))
    wait_until(lambda: says(space, "alpha", Conflict="False ComesFirst", Ready="True InForce"))
    assert f"{space.name}/alpha has the same precedence" in conditions(space.status("beta"))["Conflict"]["message"]
    assert f"it comes before {space.name}/beta" in conditions(space.status("alpha"))["Conflict"]["message"]
    wait_until(lambda: [space.status(name).get("matchedContainers") for name in ("alpha", "beta")] == [1, 2])
    last = space.status("alpha")["lastDecision"]
    assert (last["name"], last["action"], last["victim"]) == ("done-2", "kill", f"{space.name}/both/app")
    space.policy("zeta", precedence=9)  # selects all that both select
    wait_until(lambda: says(space, "alpha", Conflict="True NeverCounts", Ready="False NeverCounts"))
    wait_until(lambda: [space.status(name).get("matchedContainers") for name in ("alpha", "zeta")] == [0, 4])


@pytest.mark.row("G3", "E7")
def test_a_policy_that_cannot_be_read_stops_its_namespace(operator: OperatorProcess, node: Node, space: Space) -> None:
    """As one of a later version of its kind may be; it may have protected anybody."""
    leak = space.pod("leak")
    schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/precedence/maximum"
    relaxed = json.dumps([{"op": "remove", "path": schema}])
    node.plane.kubectl("patch", "crd", "memoryguardpolicies.memguard.io", "--type=json", "-p", relaxed)

    def accepted() -> bool:
        try:
            space.policy("later", precedence=5000)
        except LabError:
            return False
        return True

    try:
        wait_until(accepted)
        space.policy(mode="Enforce")
        wait_until(lambda: conditions(space.status("later")).get("Ready", {}).get("status") == "False")
        assert conditions(space.status("later"))["Ready"]["reason"] == "Unreadable"
        assert "precedence" in conditions(space.status("later"))["Ready"]["message"]
        decline = Decline(node, operator, (entry(leak, 400), 25))
        decline.look_until(space.decisions)
        assert {one["spec"]["mode"] for one in space.decisions().values()} == {"Observe"}
        assert not space.ending("leak")
    finally:
        node.plane.kubectl("delete", "mgp", "later", "-n", space.name, "--ignore-not-found")
        node.plane.kubectl("apply", "-f", str(ROOT / "crds" / "memoryguardpolicies.yaml"))


@pytest.mark.row("E3")
def test_the_scorecards_of_all_nodes_are_added_up(
    operator: OperatorProcess, plane: ControlPlane, node: Node, space: Space
) -> None:
    verdicts = ("hit", "false_alarm", "miss")
    before = [operator.total(f'memguard_operator_scorecard{{verdict="{one}"}}') for one in verdicts]
    tallies = {"hits": 3, "falseAlarms": 1, "misses": 2}, {"hits": 4, "falseAlarms": 0, "misses": 5}
    for one, tally in zip((node, new_node(plane)), tallies, strict=True):
        policies = [{"policy": f"{space.name}/all", **tally}, {"policy": "cluster/default", "hits": 1}]
        one.report(1500, level="Calm", scorecard=tally | {"hits": tally["hits"] + 1, "policies": policies})

    def total() -> list[float]:
        return [operator.total(f'memguard_operator_scorecard{{verdict="{one}"}}') for one in verdicts]

    wait_until(lambda: total() == [was + more for was, more in zip(before, (9, 1, 7), strict=True)])
    space.policy()
    wait_until(lambda: space.status().get("scorecard") == {"hits": 7, "falseAlarms": 1, "misses": 7})
