"""The operator against the real API server, with the rights that it has in a cluster; kubelet is what the test says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.agents import withdraw
from tests.cluster.clients import wait_until
from tests.cluster.operators import MIB, Node, OperatorProcess, Space, deploy_operator, entry, operating

_numbers = itertools.count(1)


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


@pytest.fixture
def node(plane: ControlPlane) -> Node:
    return Node(plane, f"op-node-{next(_numbers)}")


@pytest.fixture
def space(node: Node) -> Space:
    return Space(node, f"of-{node.name}")


@pytest.mark.row("K3", "K6")
def test_a_slow_leak_is_evicted_with_manners(operator: OperatorProcess, node: Node, space: Space) -> None:
    space.policy(mode="Enforce")
    leak, other = space.pod("leak"), space.pod("other")
    node.shrink((leak, 400), others=((other, 300),))
    wait_until(lambda: space.ending("leak"))
    assert not space.ending("other")
    [(name, record)] = space.decisions().items()
    uid = node.get("pod", "leak", "-n", space.name)["metadata"]["uid"]
    assert name == f"evict-{uid}"
    assert (record["spec"]["action"], record["spec"]["mode"], record["spec"]["policy"]) == (
        "evict", "Enforce", f"{space.name}/all"
    )  # fmt: skip
    conditions = node.get("pod", "leak", "-n", space.name)["status"]["conditions"]
    assert {one["type"]: one.get("reason") for one in conditions}["DisruptionTarget"] == "EvictionByEvictionAPI"
    space.gone("leak")
    wait_until(lambda: operator.logged("decision"))
    node.report(900, entry(other, 300), level="Calm")
    wait_until(lambda: space.decisions()[name]["status"]["phase"] == "Done" or node.report(901, level="Calm"))
    assert space.decisions()[name]["status"]["freedBytes"] > 400 * MIB
