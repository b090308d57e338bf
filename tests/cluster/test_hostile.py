"""A tenant that writes without end: what it costs everybody else, on the real API server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.agent.guards import ScriptedGuard
from tests.agent.pods import described, key, running
from tests.cluster.agents import Site, figure, withdraw
from tests.cluster.clients import client_of, connect, wait_until
from tests.cluster.kinds import thing
from tests.cluster.operators import deploy_operator, operating

from memguard.core.spelling import encode
from memguard.kube.resources import PODS
from memguard.service.resources import POLICIES

#: charts/memguard/values.yaml gives the agent 96 MiB and the operator 256.
MOST_AGENT_MIB, MOST_OPERATOR_MIB = 80, 160
#: The API server takes 256 KiB of annotations on an object.
ANNOTATED = {"note": "x" * 250_000}
MANY, LARGE = 10_000, 200
HOSTILE = "\x1b[2J\u202e\r\nmemguard_decisions_total 7"


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture
def site(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A node with a pod of a tenant that has one policy."""
    site = Site(plane, f"hostile-{len(request.node.name)}", tmp_path)
    plane.kubectl("delete", "mgp", "--all", "--all-namespaces")
    modest = site.namespace(f"modest-{site.node}")
    site.apply(policy(modest, "strict"))
    site.pod(described(), modest)
    yield site
    plane.kubectl("delete", "namespace", f"greedy-{site.node}", "--wait=false")


def policy(namespace: str, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    one = thing("MemoryGuardPolicy", name, spec={"mode": "Enforce"} | spec)
    one["metadata"] |= {"namespace": namespace, "annotations": annotations or {}}
    return one


def flood(site: Site, count: int, annotations: dict[str, str] | None = None, **spec: Any) -> None:
    greedy = site.namespace(f"greedy-{site.node}")

    def write(number: int) -> None:
        mine = {"selector": {"matchLabels": {"app": str(number)}}} | spec
        client.create(POLICIES, policy(greedy, f"p-{number}", annotations, **mine), greedy)

    with client_of(connect(site.plane), 60) as client, ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(count)))


def agent_goes_on(site: Site) -> float:
    """The other tenant's rule is in the plan, and follows its policy; the agent's most memory (MiB)."""
    modest = f"modest-{site.node}"
    with site.guard() as guard, site.agent() as agent, client_of(connect(site.plane)) as administrator:
        guard.wait(lambda: guard.plan and guard.plan.acts and key("a") in guard.roster.known)
        agent.wait_ready()
        for adjustment in (1, 2):
            administrator.merge_patch(POLICIES, "strict", {"spec": {"adjustment": adjustment}}, modest)
            guard.wait(lambda wanted=adjustment: (f"{modest}/strict", wanted) in adjusted(guard))
        return agent.memory_mib("VmHWM")


def adjusted(guard: ScriptedGuard) -> set[tuple[str, int]]:
    """By policy."""
    return {(rule.policy, rule.adjustment) for rule in guard.plan.rules} if guard.plan else set()


def operator_goes_on(site: Site, directory: Path) -> float:
    """The other tenant reads its status before the greedy one has all of its own; the operator's most memory (MiB)."""
    modest, greedy = (f"{who}-{site.node}" for who in ("modest", "greedy"))
    with operating(site.plane, directory) as operator:
        operator.wait_ready()
        wait_until(lambda: site.get("mgp", "strict", "-n", modest).get("status"))
        told = sum(bool(one.get("status")) for one in site.get("mgp", "-n", greedy)["items"])
        assert told < LARGE // 2
        return operator.memory_mib("VmHWM")


@pytest.mark.row("K2", "G4")
def test_large_policies_take_nobodys_memory_or_time(site: Site, tmp_path: Path) -> None:
    """Each has a quarter of a MiB of notes. What was kept of 600 made an agent 199 MiB, and the operator 777."""
    flood(site, LARGE, ANNOTATED)
    figures = {"agent": agent_goes_on(site), "operator": operator_goes_on(site, tmp_path)}
    for who, mib in figures.items():
        figure(f"{who}_most_mib_with_{LARGE}_large_policies", mib)
    assert figures["agent"] < MOST_AGENT_MIB
    assert figures["operator"] < MOST_OPERATOR_MIB


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_ten_thousand_policies_take_nobodys_memory_or_time(site: Site, tmp_path: Path) -> None:
    flood(site, MANY)
    figures = {"agent": agent_goes_on(site), "operator": operator_goes_on(site, tmp_path)}
    for who, mib in figures.items():
        figure(f"{who}_most_mib_with_{MANY}_policies", mib)
    assert figures["agent"] < MOST_AGENT_MIB
    assert figures["operator"] < MOST_OPERATOR_MIB


@pytest.mark.row("K1", "T2")
def test_what_a_pod_says_of_its_owner_is_no_more_than_a_name(site: Site) -> None:
    """The API server takes any text for an owner's kind and name, and a pod of 1.5 MB."""
    greedy = site.namespace(f"greedy-{site.node}")
    owner = {"apiVersion": "evil/v1", "kind": HOSTILE, "name": HOSTILE * 10_000, "uid": "u", "controller": True}
    meta = {"name": "evil", "ownerReferences": [owner], "annotations": {"kubernetes.io/config.hash": "x" * 200_000}}
    with client_of(connect(site.plane)) as administrator:
        spec = {"nodeName": site.node, "containers": [{"name": "app", "image": "pause"}]}
        administrator.create(PODS, {"metadata": meta, "spec": spec}, greedy)
    site.show("evil", greedy, {"containerStatuses": [running("app", "e")]})
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: {key("a"), key("e")} <= guard.roster.known.keys())
        assert guard.roster.known[key("e")].owner is None
        agent.wait_ready()
        assert HOSTILE not in agent.http("/metrics")[1]
        assert all(encode(line).decode().isprintable() for line in agent.log)
        assert agent.memory_mib("VmHWM") < MOST_AGENT_MIB
