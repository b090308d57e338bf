"""What may be done with the token of one node's agent, with the very rights that the chart gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.api.make import decision
from tests.cluster.agents import ACCOUNT, deploy, withdraw
from tests.cluster.clients import connect, wait_until
from tests.cluster.kinds import NAMESPACE, SYSTEM_NAMESPACE
from tests.cluster.test_admission import HERE, STATUS, THERE, Writer, complaint, decided, pod, report

from memguard.api.decision import first_status
from memguard.api.definitions import DEFINITIONS
from memguard.api.wire import body
from memguard.errors import ForbiddenError, UnauthorizedError
from memguard.kube.answers import Request
from memguard.kube.connection import FixedToken
from memguard.kube.wire import Wire

#: Everything, beside what everybody may (ask who one is, and what one may).
MAY = {
    ("", "pods"): {"list", "watch"},
    ("", "nodes"): {"get"},
    ("memguard.io", "memoryguardpolicies"): {"list", "watch"},
    ("memguard.io", "clustermemoryguardpolicies"): {"list", "watch"},
    ("memguard.io", "nodememories"): {"list", "watch", "create"},
    ("memguard.io", "nodememories/status"): {"patch"},
    ("memguard.io", "memoryguarddecisions"): {"create"},
    ("memguard.io", "memoryguarddecisions/status"): {"patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
EVERYBODYS = {"authorization.k8s.io", "authentication.k8s.io"}
OURS, CORE = "/apis/memguard.io/v1alpha1", "/api/v1"
DECISIONS = f"{OURS}/namespaces/{NAMESPACE}/memoryguarddecisions"
SYSTEM = f"{CORE}/namespaces/{SYSTEM_NAMESPACE}"


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy(control_plane)
    for node in (HERE, THERE):
        stand(control_plane, node)
    thief = Writer(control_plane, token(control_plane))
    wait_until(lambda: "memguard-node-memory" in complaint(thief, report(THERE)))
    wait_until(lambda: "memguard-decisions-of-a-node" in complaint(thief, decided("probe", THERE)))
    yield control_plane
    control_plane.kubectl("delete", "nodememories", "--all")
    control_plane.kubectl("delete", "memoryguarddecisions", "--all", "--namespace", NAMESPACE)
    withdraw(control_plane)


def stand(plane: ControlPlane, node: str) -> None:
    """The node with its agent's pod."""
    for one in ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}, pod(node)):
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))


def token(plane: ControlPlane, node: str = HERE) -> str:
    return plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT, pod=f"agent-{node}")


class Thief:
    """Whoever has the token, and speaks to the server without kubectl, which looks before it writes."""

    def __init__(self, plane: ControlPlane, node: str = HERE) -> None:
        self._wire = Wire(connect(plane, token=FixedToken(token(plane, node))))

    def ask(self, verb: str, path: str, one: object = None, **query: str) -> Any:
        data = None if one is None else json.dumps(one).encode()
        kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        return json.loads(
            self._wire.send(Request(verb=verb, path=path, query=query, body=data, content_type=kind)).body
        )

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def thief(plane: ControlPlane) -> Iterator[Thief]:
    with closing(Thief(plane)) as found:
        yield found


@pytest.mark.parametrize("namespace", [NAMESPACE, SYSTEM_NAMESPACE])
def test_it_may_what_the_security_model_says_and_no_more(thief: Thief, namespace: str) -> None:
    """As the server itself tells it, by verb and kind, in a tenant's namespace and in our own."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    told = thief.ask(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {**review, "spec": {"namespace": namespace}},
    )
    assert not told["status"]["incomplete"]
    found: dict[tuple[str, str], set[str]] = {}
    for rule in told["status"]["resourceRules"]:
        assert "resourceNames" not in rule
        for group in set(rule["apiGroups"]) - EVERYBODYS:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    assert found == MAY


#: What it would be good for, by verb and address.
DEEDS: dict[str, tuple[str, str, object]] = {
    "reads Secrets": ("GET", f"{CORE}/secrets", None),
    "reads ConfigMaps": ("GET", f"{CORE}/configmaps", None),
    "deletes a pod": ("DELETE", f"{SYSTEM}/pods/agent-{THERE}", None),
    "evicts a pod": (
        "POST",
        f"{SYSTEM}/pods/agent-{THERE}/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": f"agent-{THERE}"}},
    ),
    "changes a pod": ("PATCH", f"{SYSTEM}/pods/agent-{THERE}", {"metadata": {"labels": {"a": "b"}}}),
    "resizes a pod": ("PATCH", f"{SYSTEM}/pods/agent-{THERE}/resize", {"spec": {}}),
    "makes a pod": ("POST", f"{CORE}/namespaces/{NAMESPACE}/pods", pod(HERE)),
    "looks into a pod": ("POST", f"{SYSTEM}/pods/agent-{THERE}/exec", None),
    "reads a log": ("GET", f"{SYSTEM}/pods/agent-{THERE}/log", None),
    "takes another token": ("POST", f"{SYSTEM}/serviceaccounts/{ACCOUNT}/token", {"spec": {}}),
    "changes a node": ("PATCH", f"{CORE}/nodes/{HERE}", {"spec": {"unschedulable": True}}),
    "reads through kubelet": ("GET", f"{CORE}/nodes/{HERE}/proxy/pods", None),
    "writes a cluster's policy": (
        "POST",
        f"{OURS}/clustermemoryguardpolicies",
        {"apiVersion": "memguard.io/v1alpha1", "kind": "ClusterMemoryGuardPolicy", "metadata": {"name": "default"}},
    ),
    "deletes the cluster's policies": ("DELETE", f"{OURS}/clustermemoryguardpolicies", None),
    "writes a tenant's policy": (
        "POST",
        f"{OURS}/namespaces/{NAMESPACE}/memoryguardpolicies",
        {"apiVersion": "memguard.io/v1alpha1", "kind": "MemoryGuardPolicy", "metadata": {"name": "a"}, "spec": {}},
    ),
    "reads one report": ("GET", f"{OURS}/nodememories/{HERE}", None),
    "changes its own report's spec": ("PATCH", f"{OURS}/nodememories/{HERE}", {"spec": {"emergencyStop": True}}),
    "replaces its own report": ("PUT", f"{OURS}/nodememories/{HERE}", report(HERE)),
    "replaces its own status": ("PUT", f"{OURS}/nodememories/{HERE}/status", report(HERE)),
    "deletes its own report": ("DELETE", f"{OURS}/nodememories/{HERE}", None),
    "deletes all reports": ("DELETE", f"{OURS}/nodememories", None),
    "writes another's report": ("POST", f"{OURS}/nodememories", report(THERE)),
    "writes another's status": ("PATCH", f"{OURS}/nodememories/{THERE}/status", {"status": STATUS}),
    "advises itself": ("POST", f"{OURS}/nodememories", {**report(HERE), "spec": {"emergencyStop": True}}),
    "reads decisions": ("GET", DECISIONS, None),
    "writes another's decision": ("POST", DECISIONS, decided("d-2", THERE)),
    "changes its own decision": ("PATCH", f"{DECISIONS}/d-1", {"metadata": {"labels": {"a": "b"}}}),
    "replaces its own decision": ("PUT", f"{DECISIONS}/d-1", decided("d-1", HERE)),
    "changes another's decision": ("PATCH", f"{DECISIONS}/d-3/status", {"status": body(first_status(decision()))}),
    "deletes its own decision": ("DELETE", f"{DECISIONS}/d-1", None),
    "deletes all decisions": ("DELETE", DECISIONS, None),
    "takes the operator's lease": (
        "PATCH",
        f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/memguard-operator",
        {"spec": {"holderIdentity": "me"}},
    ),
    "ends the rules of admission": (
        "DELETE",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/memguard-node-memory",
        None,
    ),
}


@pytest.fixture(scope="module")
def loot(plane: ControlPlane) -> None:
    """What there is to be changed: reports and decisions of both nodes."""
    for node, name in ((HERE, "d-1"), (THERE, "d-3")):
        with closing(Thief(plane, node)) as owner:
            for path, one in ((f"{OURS}/nodememories", report(node)), (DECISIONS, decided(name, node))):
                owner.ask("POST", path, one)


@pytest.mark.usefixtures("loot")
@pytest.mark.parametrize("deed", DEEDS)
def test_what_the_thief_may_not(thief: Thief, deed: str) -> None:
    verb, path, one = DEEDS[deed]
    with pytest.raises(ForbiddenError):
        thief.ask(verb, path, one)


@pytest.mark.usefixtures("loot")
def test_what_the_thief_may(thief: Thief) -> None:
    """False evidence of that node."""
    thief.ask("PATCH", f"{OURS}/nodememories/{HERE}/status", {"status": STATUS})
    thief.ask("POST", DECISIONS, decided("d-4", HERE))
    thief.ask("PATCH", f"{DECISIONS}/d-4/status", {"status": body(first_status(decision()))})
    assert thief.ask("GET", f"{CORE}/pods")["items"]


def test_it_is_worth_nothing_once_its_pod_is_gone(plane: ControlPlane) -> None:
    node = "admission-c"
    stand(plane, node)
    with closing(Thief(plane, node)) as thief:
        assert thief.ask("GET", f"{CORE}/nodes/{node}")["metadata"]["name"] == node
        plane.kubectl("delete", f"pod/agent-{node}", "-n", SYSTEM_NAMESPACE, "--force", "--grace-period=0")
        wait_until(lambda: worthless(thief, node))


def worthless(thief: Thief, node: str) -> bool:
    try:
        thief.ask("GET", f"{CORE}/nodes/{node}")
    except UnauthorizedError:
        return True
    return False


def test_every_kind_of_ours_stands_in_the_table() -> None:
    kinds = {one.plural for one in DEFINITIONS}
    assert kinds == {resource for group, resource in MAY if group == "memguard.io" and "/" not in resource}
