"""The emergency stop: with the operator and without it, of one node and of all, and nobody undoes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.agent.guards import ScriptedGuard
from tests.agent.pods import described, key
from tests.cluster.agents import Site, withdraw
from tests.cluster.clients import wait_until
from tests.cluster.kinds import thing
from tests.cluster.operators import Decline, Node, Space, deploy_operator, entry, operating
from tests.cluster.plugins import Plugin


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture
def kubectl(plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Iterator[Plugin]:
    yield Plugin(plane.kubeconfig(), capsys)
    plane.kubectl("delete", "mgp,cmgp,nmem", "--all", "--all-namespaces")


def guarded(plane: ControlPlane, name: str, directory: Path) -> Site:
    """A node with a pod, and a policy that says Enforce."""
    directory.mkdir()
    site = Site(plane, name, directory)
    namespace = site.namespace(f"of-{name}")
    one = thing("MemoryGuardPolicy", "strict", spec={"mode": "Enforce"})
    one["metadata"]["namespace"] = namespace
    site.apply(one)
    site.pod(described(), namespace)
    return site


def acting(guard: ScriptedGuard) -> bool:
    return guard.plan is not None and guard.plan.acts


def stopped(plugin: Plugin) -> dict[str, list[str]]:
    """What stops each node, as `top` shows it."""
    nodes = plugin.json("top", "--once")["nodes"]
    return {one["node"]: [stop["of"] for stop in one["stops"]] for one in nodes}


@pytest.mark.row("K8")
def test_all_nodes_are_stopped_without_an_operator_and_go_on_again(
    plane: ControlPlane, kubectl: Plugin, tmp_path: Path
) -> None:
    site = guarded(plane, "pause-a", tmp_path / "a")
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: acting(guard) and key("a") in guard.roster.known)
        agent.wait_ready()
        wait_until(lambda: site.condition("Acting") == ("True", "Enforce"))
        paused = kubectl("pause", "--all", "--reason", "incident 4711", "-o", "json")
        assert paused.code == 0, paused.out + paused.err
        assert not acting(guard)
        [node] = [one for one in paused.json["nodes"] if one["node"] == site.node]
        assert node["confirmed"]
        assert site.condition("Acting") == ("False", "EmergencyStop")
        assert stopped(kubectl)[site.node] == ["cluster/emergency-stop"]
        assert "PAUSED on 1 node by cluster/emergency-stop" in kubectl("top", "--once").out
        assert "incident 4711" in kubectl("doctor").out

        newcomer = guarded(plane, "pause-b", tmp_path / "b")  # comes later, and is stopped as well
        with newcomer.guard() as other, newcomer.agent():
            other.wait(lambda: other.plan)
            wait_until(lambda: newcomer.condition("Acting") == ("False", "EmergencyStop"))
            assert not acting(other)
            resumed = kubectl("resume", "--all")
            assert resumed.code == 0, resumed.out + resumed.err
            guard.wait(lambda: acting(guard))
            other.wait(lambda: acting(other))
    assert "cluster/emergency-stop" not in str(stopped(kubectl))


def test_one_node_is_stopped_and_the_others_go_on(plane: ControlPlane, kubectl: Plugin, tmp_path: Path) -> None:
    first, second = guarded(plane, "one-a", tmp_path / "a"), guarded(plane, "one-b", tmp_path / "b")
    with first.guard() as guard, first.agent(), second.guard() as other, second.agent():
        for one, site in ((guard, first), (other, second)):
            one.wait(lambda one=one: acting(one))
            wait_until(lambda site=site: site.condition("Acting")[0] == "True")
        assert kubectl("pause", "--node", first.node).code == 0
        assert not acting(guard)
        assert acting(other)
        assert stopped(kubectl) == {first.node: [f"node/{first.node}"], second.node: []}
        assert kubectl("resume", "--node", second.node).code == 0  # was not stopped
        assert not acting(guard)
        assert kubectl("resume", "--node", first.node).code == 0
        guard.wait(lambda: acting(guard))


def test_a_node_that_does_not_answer_is_named(plane: ControlPlane, kubectl: Plugin) -> None:
    node = Node(plane, "deaf")
    node.report(1800, level="Calm")
    ran = kubectl("pause", "--node", "deaf", "--wait", 0)
    assert ran.code == 1
    assert "0 of 1 node confirm it" in ran.out
    assert "kubectl memguard resume --node deaf" in ran.out
    again = kubectl("resume", "--node", "deaf", "-o", "json")
    assert again.code == 0
    assert not again.json["nodes"][0]["stops"]


def test_whoever_does_not_say_which_nodes_is_asked(kubectl: Plugin) -> None:
    for arguments in ((), ("--all", "--node", "x")):
        ran = kubectl("pause", *arguments)
        assert (ran.code, "--node NAME, or --all" in ran.err) == (2, True)
    unknown = kubectl("pause", "--node", "nowhere")
    assert (unknown.code, "no report" in unknown.err) == (1, True)


@pytest.mark.row("K8")
@pytest.mark.parametrize("everywhere", [True, False])
def test_an_operator_obeys_and_undoes_nothing(
    plane: ControlPlane, kubectl: Plugin, tmp_path: Path, everywhere: bool
) -> None:
    """It would evict a leak; stopped it does not, though it goes on telling the node what it learned."""
    name = f"stopped-{'all' if everywhere else 'one'}"
    node = Node(plane, name)
    space = Space(node, name)
    space.policy(mode="Enforce")
    leak, promise = space.pod("leak"), space.pod("promise")
    for number in range(2):
        space.decided("promise", promise, f"{name}-{number}", {"phase": "Done", "freedBytes": 10 << 20})
    which = ("--all",) if everywhere else ("--node", name)
    with operating(plane, tmp_path) as operator:
        operator.wait_ready()
        operator.wait_leading()
        kubectl("pause", *which, "--wait", 0)
        if everywhere:
            wait_until(lambda: matched(plane) > 0)  # it has heard of the stop
        decline = Decline(node, operator, (entry(leak, 400), 25), (entry(promise, 100), 0))
        decline.look_on()
        wait_until(lambda: node.spec().get("bias"))
        assert not space.ending("leak")
        assert not operator.total("memguard_operator_evictions_total")
        assert stopped(kubectl)[name] == (["cluster/emergency-stop"] if everywhere else [f"node/{name}"])
        operator.stop()
    kubectl("resume", *which, "--wait", 0)
    with operating(plane, tmp_path) as operator:  # whoever was refused is not asked again for half a minute
        operator.wait_ready()
        operator.wait_leading()
        decline = Decline(node, operator, (entry(leak, 400), 25), (entry(promise, 100), 0))
        decline.look_until(lambda: space.ending("leak"))


def matched(plane: ControlPlane) -> int:
    """On how many nodes the stop counts, by the operator."""
    found: dict[str, Any] = json.loads(plane.kubectl("get", "cmgp", "emergency-stop", "-o", "json"))
    return int(found.get("status", {}).get("matchedNodes", 0))
