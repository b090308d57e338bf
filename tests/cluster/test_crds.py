"""Our definitions on the real API server: taken as they are, explained, checked, and with the same defaults as ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.api.make import NOW, decision
from tests.cluster.kinds import NAMESPACE, install, made, refusal, thing
from tests.core.policies import CLUSTER, TENANT

from memguard.api.crd import kind_schema
from memguard.api.decision import MemoryGuardDecision, first_status, outcome_status, record
from memguard.api.definitions import DEFINITIONS, Definition
from memguard.api.meta import ObjectMeta, condition
from memguard.api.node_memory import NodeMemory, NodeMemoryStatus, TopContainer
from memguard.api.policies import (
    ClippedField,
    LastDecision,
    MemoryGuardPolicy,
    MemoryGuardPolicyStatus,
)
from memguard.api.wire import body
from memguard.core.advice import Advice, AdvisedOrder
from memguard.core.decision import Outcome, Ranked, Victim
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.core.score import Points
from memguard.core.timeline import TimelinePoint

IDS = [one.plural for one in DEFINITIONS]


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    install(control_plane)
    return control_plane


@pytest.fixture
def emptied(plane: ControlPlane) -> Iterator[ControlPlane]:
    """Nothing of the test stays."""
    yield plane
    for definition in DEFINITIONS:
        where = ("--namespace", NAMESPACE) if definition.namespaced else ()
        plane.kubectl("delete", definition.plural, "--all", *where)


# --- taken, named, explained


@pytest.mark.row("K2")
@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_the_server_takes_the_definition_without_a_word(plane: ControlPlane, definition: Definition) -> None:
    name = f"{definition.plural}.memguard.io"
    found = json.loads(plane.kubectl("get", "crd", name, "-o", "json"))
    status = {one["type"]: one["status"] for one in found["status"]["conditions"]}
    assert status == {"NamesAccepted": "True", "Established": "True"}  # NonStructuralSchema would be a third
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert (
        schema["properties"]["spec"]["properties"].keys()
        == kind_schema(definition.kind)["properties"]["spec"]["properties"].keys()
    )


def test_one_word_lists_them_all(plane: ControlPlane) -> None:
    listed = plane.kubectl("api-resources", "--categories=memguard", "--no-headers").splitlines()
    names = {line.split()[0]: (line.split()[1], line.split()[3]) for line in listed}
    assert names == {one.plural: (one.short, str(one.namespaced).lower()) for one in DEFINITIONS}


EXPLAINED = [
    ("memoryguardpolicies.spec.limit.guard", "Put a line under the container's"),
    ("memoryguardpolicies.status.clipped", "guard-rails do not grant"),
    ("clustermemoryguardpolicies.spec.tenants.adjustment.min", "No tenant's adjustment is below this."),
    ("clustermemoryguardpolicies.spec.settings.reserveCap", "never larger"),
    ("nodememories.spec.orders.expiresAt", "After this the order is refused."),
    ("memoryguarddecisions.spec.candidates.growthRatio", "share of the recent growth"),
]


@pytest.mark.parametrize(("path", "words"), EXPLAINED)
def test_kubectl_explains_a_field(plane: ControlPlane, path: str, words: str) -> None:
    assert words in " ".join(plane.kubectl("explain", path).split())


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_kubectl_explains_a_kind(plane: ControlPlane, definition: Definition) -> None:
    words = " ".join(plane.kubectl("explain", definition.plural).split())
    assert " ".join((definition.kind.__doc__ or "").split()) in words
    tree = plane.kubectl("explain", definition.plural, "--recursive")
    assert "<any>" not in tree.replace("x-kubernetes-int-or-string", "")
    for part in ("spec", "status"):
        for name in kind_schema(definition.kind)["properties"][part]["properties"]:
            assert re.search(rf"^ +{name}\t<", tree, re.MULTILINE), name


# --- what makes no sense is refused with a sentence

M, C, N, D = "MemoryGuardPolicy", "ClusterMemoryGuardPolicy", "NodeMemory", "MemoryGuardDecision"
IN = {"key": "app", "operator": "In", "values": ["web"]}


def selecting(**requirement: Any) -> dict[str, Any]:
    return {"selector": {"matchExpressions": [IN | requirement]}}


VALUES = "In and NotIn need values, Exists and DoesNotExist take none"
SIZES = "must be a size like 512Mi, 1.5Gi or 1073741824"
#: Kind, a spec that is good, one that is not, and what the author of it reads.
CHECKED = [
    (M, selecting(), selecting(values=[]), VALUES),
    (M, selecting(operator="Exists", values=[]), selecting(operator="DoesNotExist"), VALUES),
    (
        C,
        {"nodeSelector": {"matchExpressions": [IN]}},
        {"nodeSelector": {"matchExpressions": [IN | {"values": []}]}},
        VALUES,
    ),
    (
        M,
        {"notify": {"directory": "/run/app"}},
        {"notify": {"directory": "run/app"}},
        "must be an absolute path inside the container, like /run/app",
    ),
    (
        M,
        {"stop": {"graceMilliseconds": 1}},
        {"stop": {"graceMilliseconds": 1}, "actions": ["kill"]},
        "stop.graceMilliseconds needs the action terminate: without it there is no stop signal",
    ),
    (
        M,
        {"actions": ["terminate", "kill"]},
        {"actions": ["terminate", "evict"]},
        "the action terminate needs kill as well: it is what follows when the container does not end",
    ),
    (
        C,
        {"defaults": {"limit": {"guard": True}, "actions": ["brake", "kill"]}},
        {"defaults": {"limit": {"guard": True}, "actions": ["kill"]}},
        "limit.guard needs the action brake: the line under the limit slows down who crosses it",
    ),
    (
        M,
        {"limit": {"maximum": "1Gi"}, "actions": ["resize", "kill"]},
        {"limit": {"maximum": "1Gi"}, "actions": ["kill"]},
        "limit.maximum needs the action resize",
    ),
    (
        M,
        {"notify": {"signal": "SIGUSR1"}, "actions": ["notify", "kill"]},
        {"notify": {"signal": "SIGUSR1"}, "actions": ["kill"]},
        "notify needs the action notify",
    ),
    (
        M,
        {"budget": {"perContainer": 2, "perNamespace": 2}},
        {"budget": {"perContainer": 3, "perNamespace": 2}},
        "perContainer must not be above perNamespace, which holds it",
    ),
    (
        C,
        {"tenants": {"adjustment": {"min": 5, "max": 5}}},
        {"tenants": {"adjustment": {"min": 5, "max": 4}}},
        "min must not be above max",
    ),
    (C, {"settings": {"reserveCap": "1.5Gi"}}, {"settings": {"reserveCap": "-1Gi"}}, SIZES),
    (C, {"settings": {"reserveCap": 0}}, {"settings": {"reserveCap": -1}}, SIZES),
    (C, {"settings": {"margin": "1e9"}}, {"settings": {"margin": "1e1.5"}}, SIZES),
    (C, {"settings": {"margin": "7Ei"}}, {"settings": {"margin": "8Ei"}}, SIZES),
    (C, {"settings": {"weights": {"memory": 2}}}, {"settings": {"weights": {"size": 2}}}, "known names: cpu, excess,"),
    (
        M,
        {"selector": {"matchLabels": {"k" * 317: "web"}}},
        {"selector": {"matchLabels": {"k" * 318: "web"}}},
        "keys have 1 to 317 characters",
    ),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("kind", "good", "bad", "sentence"), CHECKED)
def test_a_check_takes_the_good_and_tells_why_it_refuses_the_bad(
    plane: ControlPlane, kind: str, good: dict[str, Any], bad: dict[str, Any], sentence: str
) -> None:
    made(plane, thing(kind, spec=good), "--dry-run=server")
    assert sentence in refusal(plane, thing(kind, spec=bad))


def test_every_check_of_a_spec_was_tried() -> None:
    def messages(schema: dict[str, Any]) -> Iterator[str]:
        yield from (check["message"] for check in schema.get("x-kubernetes-validations", []))
        inner = [*schema.get("properties", {}).values()]
        inner += [schema[word] for word in ("items", "additionalProperties") if word in schema]
        for one in inner:
            yield from messages(one)

    wanted = {
        message
        for one in DEFINITIONS
        if one.kind is not MemoryGuardDecision
        for message in messages(kind_schema(one.kind))
    }
    assert all(any(message.startswith(sentence) for *_, sentence in CHECKED) for message in wanted)


@pytest.mark.row("K2")
@pytest.mark.parametrize(("kind", "spec"), [*((M, spec) for spec in TENANT), *((C, spec) for spec in CLUSTER)])
def test_what_we_cannot_read_the_server_does_not_take(plane: ControlPlane, kind: str, spec: dict[str, Any]) -> None:
    """One definition: the same specs are no policies in tests/core/test_policies.py. A field that is null is absent."""
    if spec == {"selector": None}:
        assert made(plane, thing(kind, spec=spec), "--dry-run=server")["spec"]["selector"] == {
            "matchExpressions": [],
            "matchLabels": {},
        }
    else:
        assert f'The {kind} "a" is invalid' in refusal(plane, thing(kind, spec=spec))


def test_a_misspelt_field_is_named(plane: ControlPlane) -> None:
    assert 'unknown field "spec.modus"' in refusal(plane, thing(M, spec={"modus": "Enforce"}))


@pytest.mark.parametrize("kind", [M, C, D])
def test_an_object_without_a_spec_is_none(plane: ControlPlane, kind: str) -> None:
    assert "spec: Required value" in refusal(plane, thing(kind))


# --- defaults


DEFAULTS = [(M, MemoryGuardPolicySpec), (C, ClusterMemoryGuardPolicySpec), (N, Advice)]


@pytest.mark.row("K5")
@pytest.mark.parametrize(("kind", "spec"), DEFAULTS, ids=[row[0] for row in DEFAULTS])
def test_the_servers_defaults_are_ours(plane: ControlPlane, kind: str, spec: type[msgspec.Struct]) -> None:
    found = made(plane, thing(kind, spec={}), "--dry-run=server")["spec"]
    assert found == without_nulls(msgspec.to_builtins(spec()))
    assert msgspec.convert(found, spec) == spec()


def test_the_defaults_inside_are_ours_too(plane: ControlPlane) -> None:
    inside = {"defaults": {"stop": {"graceMilliseconds": 5}}, "tenants": {"adjustment": {"max": 5}}, "settings": {}}
    found = made(plane, thing(C, spec=inside), "--dry-run=server")["spec"]
    assert found == without_nulls(msgspec.to_builtins(msgspec.convert(inside, ClusterMemoryGuardPolicySpec)))


def without_nulls(value: Any) -> Any:
    """As JSON has it, where nothing is null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


# --- what programs write


def write_status(plane: ControlPlane, kind: str, name: str, status: dict[str, Any]) -> dict[str, Any]:
    where = ("--namespace", NAMESPACE) if kind in (M, D) else ()
    patch = ("patch", kind.lower(), name, *where, "--subresource=status", "--type=merge")
    found: dict[str, Any] = json.loads(plane.kubectl(*patch, "-p", json.dumps({"status": status}), "-o", "json"))
    return found


FULL = decision(
    victim=Victim(
        id="f" * 64,
        namespace=NAMESPACE,
        pod="cart-7d9",
        pod_uid="uid",
        name="app",
        workload="w",
        cgroup="kubepods.slice/x",
    ),
    factors={"memory": Points(0.78, 1.8, 225)},
    candidates=tuple(
        Ranked(id="f" * 64, title="kinds/cart-7d9/app", score=712, badness=0.81, freed_bytes=1, excluded="no" * 400)
        for _ in range(20)
    ),
    wanted="evict",
    timing={"read": 0.0004},
    not_done_because="x" * 5000,
    timeline=tuple(TimelinePoint(seconds=at - 30.0, available_bytes=-at, victim_bytes=at) for at in range(30)),
    reason="shop/cart-7d9/app is chosen: " + "because " * 500,
    fall_bytes_per_second=-(2**40),
)


@pytest.mark.row("T2")
def test_a_decision_is_written_once_and_says_all(emptied: ControlPlane) -> None:
    written = record(FULL, namespace=NAMESPACE, node="node-a", taken_at=NOW, policy="kinds/carts")
    found = msgspec.convert(made(emptied, written), MemoryGuardDecision)
    assert found.spec == msgspec.convert(written, MemoryGuardDecision).spec
    assert found.status == MemoryGuardDecision(metadata=ObjectMeta(), spec=found.spec).status
    outcome = Outcome(
        id="d-1", victim=FULL.victim, action="kill", complete=True, seconds=0.04, expected_bytes=1,
        freed_bytes=901775360, headroom_bytes=0, kill_seconds=0.01,
        timeline=(TimelinePoint(seconds=0.003, available_bytes=1, victim_bytes=None),),
    )  # fmt: skip
    for status in (first_status(FULL), outcome_status(outcome, NOW)):
        after = msgspec.convert(write_status(emptied, D, "d-1", body(status)), MemoryGuardDecision)
        assert after.status == status
        assert after.spec == found.spec
    with pytest.raises(LabError, match="AlreadyExists"):
        made(emptied, written)
    change = ("patch", "mgd", "d-1", "--namespace", NAMESPACE, "--type=merge", "-p", '{"spec": {"score": 1}}')
    with pytest.raises(LabError, match="a decision is a record: it is written once and never changed"):
        emptied.kubectl(*change)


def test_a_decision_is_named_after_its_id(plane: ControlPlane) -> None:
    written = record(FULL, namespace=NAMESPACE, node="node-a", taken_at=NOW)
    written["metadata"]["name"] = "another"
    assert "a decision is named after its spec.id" in refusal(plane, written)


@pytest.mark.row("T2")
def test_kubectl_get_answers_why(emptied: ControlPlane) -> None:
    for name, node, mode in (("d-1", "node-a", "Enforce"), ("d-2", "node-b", "Observe")):
        one = msgspec.structs.replace(FULL, id=name, mode=mode)
        made(emptied, record(one, namespace=NAMESPACE, node=node, taken_at=NOW))
        write_status(emptied, D, name, body(first_status(one)))
    head, *lines = emptied.kubectl("get", "mgd", "--namespace", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "POD", "CONTAINER", "ACTION", "MODE", "PHASE", "FREED", "WHY", "AGE"]
    assert re.split(r"  +", lines[0])[:6] == ["d-1", "cart-7d9", "app", "kill", "Enforce", "Acted"]
    assert "node has 58 MiB left, score 712" in lines[0]
    assert max(map(len, lines)) < 120
    there = ("get", "mgd", "--namespace", NAMESPACE, "-o", "name", "--field-selector")
    assert emptied.kubectl(*there, "spec.node=node-b").split() == ["memoryguarddecision.memguard.io/d-2"]
    assert emptied.kubectl(*there, "spec.mode=Enforce").split() == ["memoryguarddecision.memguard.io/d-1"]
    assert len(emptied.kubectl(*there, "spec.victim.pod=cart-7d9").split()) == 2


FINE = condition("Ready", holds=True, reason="Fresh", now=NOW, message="the guard looked 0.2 s ago", generation=1)


@pytest.mark.row("K1")
def test_a_node_reports_and_is_advised(emptied: ControlPlane) -> None:
    advice = Advice(
        bias={"shop/Deployment/cart/app": 20},
        orders=(AdvisedOrder(id="o-1", action="kill", pod_uid="u", container_id="c", expires_at=NOW),),
    )
    made(emptied, body(NodeMemory(metadata=ObjectMeta(name="node-a"), spec=advice)))
    top = tuple(TopContainer(pod=f"p{n}", score=700 - n, footprint_bytes=n) for n in range(15))
    status = NodeMemoryStatus(
        observed_at=NOW, conditions=(FINE,), level="Tight", pressure=0.4, headroom="1Gi", headroom_bytes=-5, top=top
    )
    found = msgspec.convert(write_status(emptied, N, "node-a", body(status)), NodeMemory)
    assert found.spec == advice
    assert found.status == msgspec.structs.replace(status, top=top[:10])
    head, line = emptied.kubectl("get", "nmem").splitlines()
    assert head.split() == ["NAME", "LEVEL", "PRESSURE", "HEADROOM", "MODE", "READY", "FIT", "SEEN", "WORST"]
    assert line.split()[:4] == ["node-a", "Tight", "0.4", "1Gi"]
    assert line.split()[-1] == "p0"
    emptied.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "nmem/node-a")


def test_the_status_of_a_policy(emptied: ControlPlane) -> None:
    made(emptied, thing(M, spec={"mode": "Enforce", "adjustment": -500}))
    status = MemoryGuardPolicyStatus(
        conditions=(FINE, condition("Clipped", holds=True, reason="Adjustment", now=NOW)),
        observed_generation=1,
        matched_containers=3,
        last_decision=LastDecision(
            name="d-1", namespace=NAMESPACE, at=datetime(2026, 11, 28, 6, 1, tzinfo=UTC), action="kill", mode="Enforce"
        ),
        clipped=(ClippedField(field="adjustment", asked="-500", granted="-300", reason="by tenants.adjustment"),),
    )
    found = msgspec.convert(write_status(emptied, M, "a", body(status)), MemoryGuardPolicy)
    assert found.status == status
    assert found.metadata.generation == 1
    head, line = emptied.kubectl("get", "mgp", "--namespace", NAMESPACE).splitlines()
    assert head.split() == ["NAME", "MODE", "PRECEDENCE", "MATCHED", "READY", "CLIPPED", "LAST", "AGE"]
    assert line.split()[:6] == ["a", "Enforce", "0", "3", "True", "True"]
    made(emptied, thing(C, spec={}))
    head, line = emptied.kubectl("get", "cmgp").splitlines()
    assert head.split() == ["NAME", "MODE", "TENANTS", "PRECEDENCE", "NODES", "READY", "LAST", "AGE"]
    assert line.split()[:4] == ["a", "Observe", "true", "0"]
