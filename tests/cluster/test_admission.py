"""Who may write what, with the tokens that pods have: ValidatingAdmissionPolicies on the real API server.

The roles that the tests bind allow everything of our group, so that only these policies can say no.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.api.make import NOW, decision
from tests.chart import manifests
from tests.cluster.clients import wait_until
from tests.cluster.kinds import NAMESPACE, SYSTEM_NAMESPACE, install

from memguard.api.decision import first_status, record
from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeMemory, NodeMemoryStatus
from memguard.api.wire import body
from memguard.core.advice import Advice
from memguard.core.decision import Victim

AGENT, OPERATOR, STRANGER = "memguard-agent", "memguard-operator", "stranger"
#: Nodes of these tests alone.
HERE, THERE = "admission-a", "admission-b"

NO_NODE = "the agent's token names no node; it must be bound to the agent's pod"
ONLY_OURS = "only memguard's own service accounts write decisions"


def pod(node: str) -> dict[str, Any]:
    containers = [{"name": "main", "image": "pause"}]
    metadata = {"name": f"agent-{node}", "namespace": SYSTEM_NAMESPACE}
    spec = {"nodeName": node, "serviceAccountName": AGENT, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def scene() -> list[dict[str, Any]]:
    """The service accounts with all rights over our group and nodes, two nodes, and an agent's pod on each."""
    accounts = (AGENT, OPERATOR, STRANGER)
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE} for name in accounts]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "memguard-everything"}
    rules = [
        {"apiGroups": ["memguard.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["nodes", "nodes/status"], "verbs": ["*"]},
    ]
    rbac = "rbac.authorization.k8s.io/v1"
    everything = {"name": "memguard-everything"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": everything, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": everything,
            "roleRef": role,
            "subjects": subjects,
        },
        *(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}}
            for name in accounts
        ),
        *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}} for node in (HERE, THERE)),
        *(pod(node) for node in (HERE, THERE)),
    ]


class Writer:
    """Somebody with a token."""

    def __init__(self, plane: ControlPlane, token: str) -> None:
        self._plane, self._token = plane, token

    def kubectl(self, *arguments: str, stdin: object = None) -> str:
        text = None if stdin is None else json.dumps(stdin)
        return self._plane.kubectl("--token", self._token, *arguments, stdin=text)

    def create(self, one: dict[str, Any], *options: str) -> None:
        self.kubectl("create", "-f", "-", *options, stdin=one)

    def patch(self, what: str, part: dict[str, Any], *options: str) -> None:
        where = ("--namespace", NAMESPACE) if what.startswith("mgd/") else ()
        self.kubectl("patch", what, *where, "--type=merge", "-p", json.dumps(part), *options)

    def patch_status(self, what: str, status: dict[str, Any]) -> None:
        self.patch(what, {"status": status}, "--subresource=status")

    def delete(self, what: str) -> None:
        where = ("--namespace", NAMESPACE) if what.startswith("mgd/") else ()
        self.kubectl("delete", what, *where, "--wait=false")


def forbidden(words: str) -> Any:
    """Refused by a policy, with these words."""
    return pytest.raises(LabError, match=f"(?s)ValidatingAdmissionPolicy.*{words}")


def report(node: str, **parts: Any) -> dict[str, Any]:
    return body(NodeMemory(metadata=ObjectMeta(name=node), **parts))


def decided(name: str, node: str) -> dict[str, Any]:
    one = decision(id=name, victim=Victim(id="x", namespace=NAMESPACE))
    return record(one, namespace=NAMESPACE, node=node, taken_at=NOW)


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """With our kinds, the scene, and the policies in force; the accounts' rights are taken back for the tests after."""
    install(control_plane)
    for one in scene():
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))
    control_plane.kubectl("apply", "--validate=strict", "-f", "-", stdin=manifests.as_list(policies()))
    unbound = Writer(control_plane, control_plane.service_account_token(SYSTEM_NAMESPACE, AGENT))
    admin = Writer(control_plane, control_plane.token())
    for writer, one, words in (
        (unbound, report(HERE), "memguard-node-memory"),
        (unbound, decided("probe", HERE), "memguard-decisions-of-a-node"),
        (admin, decided("probe", HERE), "memguard-decision-writers"),
    ):
        wait_until(lambda: words in complaint(writer, one))  # noqa: B023 (called at once)
    yield control_plane
    control_plane.kubectl("delete", "clusterrolebinding,clusterrole", "memguard-everything")


def complaint(writer: Writer, one: dict[str, Any]) -> str:
    """What it says to a write that must not be; nothing as long as the policies are not in force."""
    try:
        writer.create(one, "--dry-run=server")
    except LabError as refused:
        return str(refused)
    return ""


@pytest.fixture
def agent(plane: ControlPlane) -> Writer:
    """Of the node HERE."""
    return Writer(plane, plane.service_account_token(SYSTEM_NAMESPACE, AGENT, pod=f"agent-{HERE}"))


@pytest.fixture
def unbound(plane: ControlPlane) -> Writer:
    return Writer(plane, plane.service_account_token(SYSTEM_NAMESPACE, AGENT))


@pytest.fixture
def operator(plane: ControlPlane) -> Writer:
    return Writer(plane, plane.service_account_token(SYSTEM_NAMESPACE, OPERATOR))


@pytest.fixture
def admin(plane: ControlPlane) -> Iterator[Writer]:
    """Who may everything; and nothing of the test stays."""
    yield Writer(plane, plane.token())
    plane.kubectl("delete", "nodememories", "--all", "--timeout=30s")
    plane.kubectl("delete", "memoryguarddecisions", "--all", "--namespace", NAMESPACE, "--timeout=30s")


# --- a node's report

STATUS = body(NodeMemoryStatus(level="Calm", pressure=0.1))


@pytest.mark.row("K1")
def test_an_agent_writes_the_report_of_its_node(agent: Writer, admin: Writer) -> None:
    agent.create(report(HERE))
    agent.patch_status(f"nmem/{HERE}", STATUS)
    agent.patch(f"nmem/{HERE}", {"metadata": {"labels": {"a": "b"}}})
    assert admin.kubectl("get", f"nmem/{HERE}", "-o", "jsonpath={.status.level}") == "Calm"


def test_an_agent_writes_no_other_nodes_report(agent: Writer, admin: Writer) -> None:
    words = f"the agent of node {HERE} may not write the report of {THERE}"
    with forbidden(words):
        agent.create(report(THERE))
    admin.create(report(THERE))
    with forbidden(words):
        agent.patch_status(f"nmem/{THERE}", STATUS)
    with forbidden(words):
        agent.patch(f"nmem/{THERE}", {"metadata": {"labels": {"a": "b"}}})


def test_a_token_that_names_no_node_writes_nothing(unbound: Writer, admin: Writer) -> None:
    admin.create(report(HERE))
    for write in (
        lambda: unbound.create(report(THERE)),
        lambda: unbound.patch_status(f"nmem/{HERE}", STATUS),
        lambda: unbound.create(decided("d-1", HERE)),
    ):
        with forbidden(NO_NODE):
            write()


ADVICE = [
    Advice(emergency_stop=True),
    Advice(bias={"shop/Deployment/cart/app": 50}),
]


def test_an_agent_gives_itself_no_advice(agent: Writer, operator: Writer, admin: Writer) -> None:
    for advice in ADVICE:
        with forbidden("an agent gives itself no advice; the spec is the operator's"):
            agent.create(report(HERE, spec=advice))
    agent.create(report(HERE))
    operator.patch(f"nmem/{HERE}", {"spec": {"emergencyStop": True}})
    with forbidden("an agent does not change the spec, which is the operator's"):
        agent.patch(f"nmem/{HERE}", {"spec": {"emergencyStop": False}})
    with forbidden("an agent deletes no report; it goes with its node"):
        agent.delete(f"nmem/{HERE}")
    agent.patch_status(f"nmem/{HERE}", STATUS)
    assert admin.kubectl("get", f"nmem/{HERE}", "-o", "jsonpath={.spec.emergencyStop} {.status.level}") == "true Calm"


def test_people_and_the_operator_may_advise_and_delete(operator: Writer, admin: Writer) -> None:
    operator.create(report(HERE, spec=Advice(emergency_stop=True)))
    admin.patch(f"nmem/{HERE}", {"spec": {"emergencyStop": False}})
    operator.delete(f"nmem/{HERE}")


# --- decisions


@pytest.mark.row("T2")
def test_an_agent_records_what_its_node_decided_and_what_became_of_it(agent: Writer, admin: Writer) -> None:
    agent.create(decided("d-1", HERE))
    agent.patch_status("mgd/d-1", body(first_status(decision())))
    phase = ("get", "mgd/d-1", "--namespace", NAMESPACE, "-o", "jsonpath={.status.phase}")
    assert admin.kubectl(*phase) == "Acted"


def test_an_agent_records_nothing_for_another_node(agent: Writer, operator: Writer, admin: Writer) -> None:
    words = f"the agent of node {HERE} may not write decisions of {THERE}"
    with forbidden(words):
        agent.create(decided("d-1", THERE))
    operator.create(decided("d-1", THERE))
    with forbidden(words):
        agent.patch_status("mgd/d-1", body(first_status(decision())))


def test_an_agent_writes_a_decision_once_and_deletes_none(agent: Writer, admin: Writer) -> None:
    agent.create(decided("d-1", HERE))
    with forbidden("an agent writes a decision once, and afterwards only its status"):
        agent.patch("mgd/d-1", {"metadata": {"labels": {"a": "b"}}})
    with forbidden("an agent deletes no decision"):
        agent.delete("mgd/d-1")


def test_nobody_else_writes_decisions(plane: ControlPlane, operator: Writer, admin: Writer) -> None:
    stranger = Writer(plane, plane.service_account_token(SYSTEM_NAMESPACE, STRANGER))
    operator.create(decided("d-1", HERE))
    for writer in (stranger, admin):
        for write in (
            lambda writer=writer: writer.create(decided("d-2", HERE)),
            lambda writer=writer: writer.patch_status("mgd/d-1", {"phase": "Done"}),
            lambda writer=writer: writer.patch("mgd/d-1", {"metadata": {"labels": {"a": "b"}}}),
        ):
            with forbidden(ONLY_OURS):
                write()


def test_the_operator_writes_and_deletes_decisions_of_any_node(operator: Writer, admin: Writer) -> None:
    operator.create(decided("d-1", THERE))
    operator.patch_status("mgd/d-1", {"verdict": "Hit"})
    operator.patch("mgd/d-1", {"metadata": {"labels": {"a": "b"}}})
    operator.delete("mgd/d-1")


def test_who_may_delete_can_also_let_go(operator: Writer, admin: Writer) -> None:
    """A finalizer (foreground deletion, somebody's own) must not make a decision immortal."""
    one = decided("d-1", HERE)
    one["metadata"]["finalizers"] = ["example.com/waits"]
    operator.create(one)
    admin.delete("mgd/d-1")
    admin.patch("mgd/d-1", {"metadata": {"finalizers": []}})
    with pytest.raises(LabError, match="NotFound"):
        admin.kubectl("get", "mgd/d-1", "--namespace", NAMESPACE)


def test_the_garbage_collector_takes_decisions_with_their_owner(operator: Writer, admin: Writer) -> None:
    admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": NAMESPACE}})
    uid = admin.kubectl("get", "configmap/owner", "--namespace", NAMESPACE, "-o", "jsonpath={.metadata.uid}")
    one = decided("d-1", HERE)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    one["metadata"]["ownerReferences"] = [owner]
    operator.create(one)
    admin.kubectl("delete", "configmap/owner", "--namespace", NAMESPACE, "--cascade=foreground", "--timeout=60s")
    listed = ("get", "mgd", "--namespace", NAMESPACE, "-o", "name")
    wait_until(lambda: not admin.kubectl(*listed))


# --- the policies themselves


def policies() -> list[dict[str, Any]]:
    return manifests.of(manifests.render(), *manifests.ADMISSION)


def test_every_policy_fails_closed_is_bound_and_type_checks(plane: ControlPlane) -> None:
    written = policies()
    names = {one["metadata"]["name"] for one in written if one["kind"] == "ValidatingAdmissionPolicy"}
    bound = {one["spec"]["policyName"]: one["spec"]["validationActions"] for one in written if "Binding" in one["kind"]}
    assert bound == {name: ["Deny"] for name in names}
    for name in sorted(names):
        wait_until(lambda: "typeChecking" in status_of(plane, name))  # noqa: B023 (called at once)
        assert status_of(plane, name)["typeChecking"] == {}
    for one in written:
        if one["kind"] == "ValidatingAdmissionPolicy":
            assert one["spec"]["failurePolicy"] == "Fail"
            [rule] = one["spec"]["matchConstraints"]["resourceRules"]
            plural = rule["resources"][0]
            assert rule["resources"] == [plural, f"{plural}/status"], "a status is written by its own address"


def status_of(plane: ControlPlane, name: str) -> dict[str, Any]:
    found = json.loads(plane.kubectl("get", "validatingadmissionpolicy", name, "-o", "json"))
    status: dict[str, Any] = found.get("status", {})
    return status


# --- nodes

OURS = {"key": "memguard.io/memory-pressure", "effect": "NoSchedule"}
FOREIGN = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


def test_the_operator_puts_its_own_taint_on_a_node_and_takes_it_off(operator: Writer, admin: Writer) -> None:
    admin.patch(f"node/{THERE}", {"spec": {"taints": [FOREIGN]}})
    operator.patch(f"node/{THERE}", {"spec": {"taints": [FOREIGN, OURS]}})
    operator.patch(f"node/{THERE}", {"spec": {"taints": [FOREIGN]}})
    admin.patch(f"node/{THERE}", {"spec": {"taints": None}})
    operator.patch(f"node/{THERE}", {"spec": {"taints": [OURS]}})
    admin.patch(f"node/{THERE}", {"spec": {"taints": None}})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"spec": {"taints": [OURS]}}, "changes no taint but memguard.io/memory-pressure"),
        ({"spec": {"taints": [FOREIGN | {"effect": "NoExecute"}, OURS]}}, "changes no taint but"),
        ({"spec": {"unschedulable": True}}, "its taint and nothing else"),
        ({"metadata": {"labels": {"pool": "mine"}}}, "its taint and nothing else"),
        ({"metadata": {"annotations": {"a": "b"}}}, "its taint and nothing else"),
    ],
)
def test_the_operator_does_nothing_else_to_nodes(
    operator: Writer, admin: Writer, part: dict[str, Any], words: str
) -> None:
    admin.patch(f"node/{HERE}", {"spec": {"taints": [FOREIGN]}})
    with forbidden(words):
        operator.patch(f"node/{HERE}", part)
    admin.patch(f"node/{HERE}", {"spec": {"taints": None}})


def test_the_operator_makes_and_deletes_no_node(operator: Writer) -> None:
    for deed in (
        lambda: operator.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "another"}}),
        lambda: operator.delete(f"node/{HERE}"),
        lambda: operator.patch_status(f"node/{HERE}", {"phase": "Running"}),
    ):
        with forbidden("makes and deletes no node"):
            deed()
