"""Objects that are stored, while our definitions go forward and back: read by us at each step, and nothing lost that
nobody wrote over.

`older/` holds the definitions of an earlier commit (6a6a81e), before timelines, scorecards, loans and raised limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.workloads import eventually
from tests.api.make import NOW
from tests.cluster.clients import client_of, connect
from tests.cluster.kinds import NAMESPACE, ROOT, install, made, thing
from tests.cluster.test_crds import FULL, write_status

from memguard.agent.resources import NODE_MEMORIES as OWN_NODE_MEMORIES
from memguard.agent.resources import written
from memguard.api.decision import MemoryGuardDecision, first_status, record
from memguard.api.definitions import DEFINITIONS
from memguard.api.wire import body
from memguard.core.compile import Cluster, Tenant, compile_plan
from memguard.kube.client import Client
from memguard.kube.resources import Selection
from memguard.service.resources import resource_of

OLDER, NEWER = Path(__file__).parent / "older", ROOT / "crds"
NAMES = {definition.kind.__name__: definition for definition in DEFINITIONS}
#: What the older definitions do not know, by kind.
TENANT = {"mode": "Enforce", "actions": ["brake", "kill", "resize"], "limit": {"guard": True, "maximum": "2Gi"}}
CLUSTER = {"tenants": {"adjustment": {"max": 5}}, "defaults": {"overrideDisruptionBudget": True}}
NODE = {"bias": {"shop/Deployment/cart/app": 20}, "disruptions": {}}
SCORES = {"scorecard": {"hits": 3, "misses": 1, "falseAlarms": 0}}


@pytest.fixture(scope="module")
def own_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """What the others' tests rely on is not the older definitions."""
    one = ControlPlane(tmp_path_factory.mktemp("versions"), nodes=("node-a",), scheduler=False)
    try:
        one.start()
        install(one)
        yield one
    finally:
        one.stop()


@pytest.fixture
def plane(own_plane: ControlPlane) -> ControlPlane:
    """Nothing is left of another test."""
    for definition in DEFINITIONS:
        where = ("--namespace", NAMESPACE) if definition.namespaced else ()
        own_plane.kubectl("delete", definition.plural, "--all", *where)
    return own_plane


@pytest.fixture
def reader(plane: ControlPlane) -> Iterator[Client]:
    with client_of(connect(plane)) as client:
        yield client


def go(plane: ControlPlane, where: Path) -> None:
    """To these definitions, in force: the server goes over to a schema some time after it took it."""
    plane.kubectl("apply", "-f", str(where))
    forward = where == NEWER
    one = msgspec.structs.replace(FULL, id="probe")
    probe = record(one, namespace=NAMESPACE, node="node-a", taken_at=NOW)

    def there() -> bool:
        found = plane.kubectl(
            "create", "--dry-run=server", "--validate=false", "-f", "-", "-o", "json", stdin=json.dumps(probe)
        )
        return ("timeline" in json.loads(found)["spec"]) == forward

    eventually(there, "the definitions are in force")


def store(plane: ControlPlane) -> None:
    """One of each kind, with all that is new."""
    made(plane, thing("MemoryGuardPolicy", spec=TENANT))
    made(plane, thing("ClusterMemoryGuardPolicy", spec=CLUSTER))
    made(plane, thing("NodeMemory", name="node-a", spec=NODE))
    made(plane, record(FULL, namespace=NAMESPACE, node="node-a", taken_at=NOW))
    write_status(plane, "MemoryGuardDecision", "d-1", body(first_status(FULL)))
    write_status(plane, "NodeMemory", "node-a", {"level": "Tight", **SCORES})


def plain(plane: ControlPlane) -> dict[str, Any]:
    """All of ours as the server tells it, without what it keeps count of itself."""
    found = {}
    for definition in DEFINITIONS:
        listed = json.loads(plane.kubectl("get", definition.plural, "--all-namespaces", "-o", "json"))
        for one in listed["items"]:
            found[definition.plural] = {"spec": one["spec"], "status": one.get("status")}
    return found


def read(reader: Client) -> dict[str, Any]:
    """All of ours as our programs read it: none is broken, and policies make a plan."""
    found = {}
    for definition in DEFINITIONS:
        page = reader.list_all(Selection(resource_of(definition, definition.kind)))
        assert not page.broken, page.broken
        [found[definition.kind.__name__]] = page.objects
    policy, cluster = found["MemoryGuardPolicy"], found["ClusterMemoryGuardPolicy"]
    plan = compile_plan(
        [Cluster(name="default", spec=cluster.spec)], [Tenant(namespace=NAMESPACE, name="a", spec=policy.spec)], {}
    ).plan
    assert plan.rules
    written(reader.get(OWN_NODE_MEMORIES, "node-a"))
    return found


@pytest.mark.row("K2", "K5")
def test_stored_objects_outlive_another_definition_and_come_back_whole(plane: ControlPlane, reader: Client) -> None:
    store(plane)
    whole, ours = plain(plane), read(reader)
    go(plane, OLDER)
    older = read(reader)
    assert "timeline" not in plain(plane)["memoryguarddecisions"]["spec"], "what it does not know is not told"
    assert older["MemoryGuardDecision"].spec.timeline == ()
    assert older["MemoryGuardPolicy"].spec.mode == "Enforce"
    assert older["NodeMemory"].spec.bias == ours["NodeMemory"].spec.bias
    assert older["MemoryGuardDecision"].spec.victim == ours["MemoryGuardDecision"].spec.victim
    go(plane, NEWER)
    assert plain(plane) == whole, "what nobody wrote over meanwhile is there again"
    assert read(reader) == ours


@pytest.mark.row("K2", "K5")
def test_what_is_written_under_older_definitions_is_read_under_newer_ones(plane: ControlPlane, reader: Client) -> None:
    """A newer program on an older cluster: what is not known there is left out, and nothing is refused."""
    go(plane, OLDER)
    told = record(FULL, namespace=NAMESPACE, node="node-a", taken_at=NOW)
    plane.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(told))
    for one in (
        thing("MemoryGuardPolicy", spec={"mode": "Enforce", "adjustment": 5, "actions": ["kill"]}),
        thing("ClusterMemoryGuardPolicy", spec={"tenants": {"adjustment": {"max": 5}}}),
        thing("NodeMemory", name="node-a", spec=NODE),
    ):
        plane.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(one))
    write_status(plane, "NodeMemory", "node-a", {"level": "Tight", **SCORES})
    before = read(reader)
    assert before["MemoryGuardDecision"].spec.timeline == ()
    go(plane, NEWER)
    after = read(reader)
    assert after["MemoryGuardDecision"].spec == msgspec.structs.replace(
        msgspec.convert(told, MemoryGuardDecision).spec, timeline=()
    )
    assert after["NodeMemory"].status.level == "Tight"
    assert after["MemoryGuardPolicy"].spec == before["MemoryGuardPolicy"].spec
    assert after["ClusterMemoryGuardPolicy"].spec == before["ClusterMemoryGuardPolicy"].spec
