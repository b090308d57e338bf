"""The emergency stop: with the operator and without it, of one node and of all, and nobody undoes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.agent.guards import ScriptedGuard
from tests.agent.pods import described, key
from tests.cluster.agents import Site, withdraw
from tests.cluster.clients import wait_until
from tests.cluster.kinds import ROOT, SYSTEM_NAMESPACE, thing
from tests.cluster.operators import Decline, Node, Space, deploy_operator, entry, operating
from tests.cluster.plugins import Plugin, kubeconfig


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture
def kubectl(plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Iterator[Plugin]:
    yield Plugin(plane.kubeconfig(), capsys)
    plane.kubectl("delete", "mgp,cmgp,nmem", "--all", "--all-namespaces")


ACTED = 'memguard_operator_decisions_total{action="evict",outcome="acted"'
HOSTNAME = "kubernetes.io/hostname"


def guarded(plane: ControlPlane, name: str, directory: Path) -> Site:
    """A node with a pod, and a policy that says Enforce."""
    directory.mkdir()
    site = Site(plane, name, directory, **{HOSTNAME: name})
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
        assert stopped(kubectl) == {first.node: [f"cluster/emergency-stop-{first.node}"], second.node: []}
        first.patch(f"nodememory/{second.node}", {"spec": {"emergencyStop": True}})  # by hand, as an operator could
        wait_until(lambda: stopped(kubectl)[second.node] == [f"node/{second.node}"])
        assert kubectl("resume", "--node", second.node).code == 0
        assert stopped(kubectl)[second.node] == []
        assert kubectl("resume", "--node", second.node).code == 0  # was not stopped
        assert not acting(guard)
        assert kubectl("resume", "--node", first.node).code == 0
        guard.wait(lambda: acting(guard))


def test_a_node_that_does_not_answer_is_named(plane: ControlPlane, kubectl: Plugin) -> None:
    node = Node(plane, "deaf", **{HOSTNAME: "deaf.local"})
    node.report(1800, level="Calm", conditions=[acting_condition("True", "Enforce")])
    ran = kubectl("pause", "--node", "deaf", "--wait", 0)
    assert ran.code == 1
    assert "0 of 1 node confirm it" in ran.out
    assert "has not heeded it yet, and enforces" in ran.out
    assert "kubectl memguard resume --node deaf" in ran.out
    shown = kubectl("top", "--once").out
    assert "NOT PAUSED" in shown
    assert "PAUSED on 0 nodes by cluster/emergency-stop-deaf" in shown
    again = kubectl("resume", "--node", "deaf", "-o", "json")
    assert again.code == 0
    assert not again.json["nodes"][0]["stops"]


def acting_condition(status: str, reason: str) -> dict[str, Any]:
    return {"type": "Acting", "status": status, "reason": reason, "lastTransitionTime": "2026-11-29T00:00:00Z"}


@pytest.mark.row("K8")
def test_whoever_narrowed_the_stop_before_keeps_no_node_from_it(plane: ControlPlane, kubectl: Plugin) -> None:
    """A leftover that selects some nodes, and all report: those that it does not select must not pass for stopped."""
    for name, heeding in (("narrow-a", True), ("narrow-b", False)):
        status = ("False", "EmergencyStop") if heeding else ("True", "Enforce")
        Node(plane, name, pool=name).report(1800, level="Calm", conditions=[acting_condition(*status)])
    narrow = {"emergencyStop": True, "nodeSelector": {"matchLabels": {"pool": "narrow-a"}}}
    apply(plane, thing("ClusterMemoryGuardPolicy", "emergency-stop", spec=narrow))
    ran = kubectl("pause", "--all", "--wait", 0, "-o", "json")
    assert ran.code == 1
    found = {one["node"]: (one["confirmed"], bool(one["stops"])) for one in ran.json["nodes"]}
    assert found == {"narrow-a": (True, True), "narrow-b": (False, True)}
    kept = json.loads(plane.kubectl("get", "cmgp", "emergency-stop", "-o", "json"))["spec"]["nodeSelector"]
    assert not any(kept.values())


@pytest.mark.row("K8")
def test_nobody_who_reports_confirms_and_guarded_nodes_without_a_report_are_named(
    plane: ControlPlane, kubectl: Plugin
) -> None:
    ran = kubectl("pause", "--all", "--wait", 0)
    assert (ran.code, "no node reports" in ran.out) == (1, True)
    apply(plane, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "speechless"}})
    labels = {"app.kubernetes.io/name": "memguard", "app.kubernetes.io/component": "node"}
    metadata = {"name": "memguard-speechless", "namespace": SYSTEM_NAMESPACE, "labels": labels}
    spec = {"nodeName": "speechless", "containers": [{"name": "agent", "image": "memguard-node"}]}
    apply(plane, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    try:
        [node] = kubectl("pause", "--all", "--wait", 0, "-o", "json").json["nodes"]
        assert (node["node"], node["confirmed"]) == ("speechless", False)
        assert "there is no report of it" in node["words"]
    finally:
        plane.kubectl("delete", "pod/memguard-speechless", "-n", SYSTEM_NAMESPACE, "--force", "--grace-period=0")
        plane.kubectl("delete", "node/speechless")


def test_a_node_that_registers_anew_is_still_stopped(plane: ControlPlane, kubectl: Plugin) -> None:
    Node(plane, "reborn", **{HOSTNAME: "reborn"}).report(1800, level="Calm")
    kubectl("pause", "--node", "reborn", "--wait", 0)
    plane.kubectl("delete", "--ignore-not-found", "node/reborn", "nmem/reborn")
    assert "cluster/emergency-stop-reborn" in kubectl("doctor").out
    Node(plane, "reborn", **{HOSTNAME: "reborn"}).report(1800, level="Calm")
    assert stopped(kubectl)["reborn"] == ["cluster/emergency-stop-reborn"]
    plane.kubectl("delete", "--ignore-not-found", "node/reborn", "nmem/reborn")
    kubectl("resume", "--node", "reborn", "--wait", 0)
    assert not json.loads(plane.kubectl("get", "cmgp", "-o", "json"))["items"]


def test_a_policy_that_cannot_be_read_is_shown_as_the_stop_that_it_may_be(plane: ControlPlane, kubectl: Plugin) -> None:
    """As one that a newer version wrote."""
    Node(plane, "puzzled").report(1800, level="Calm")
    crd = json.loads(plane.kubectl("get", "crd", "clustermemoryguardpolicies.memguard.io", "-o", "json"))
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/taint/enum"
    more = json.dumps([{"op": "replace", "path": path, "value": [*spec["taint"]["enum"], "Later"]}])
    plane.kubectl("patch", "crd", "clustermemoryguardpolicies.memguard.io", "--type=json", "-p", more)
    later = thing("ClusterMemoryGuardPolicy", "later", spec={"taint": "Later"})
    try:
        wait_until(lambda: taken(plane, later))
        assert stopped(kubectl)["puzzled"] == ["cluster/later"]
        assert "cannot be read" in kubectl("doctor").out
        [node] = [one for one in kubectl("resume", "--all", "-o", "json").json["nodes"] if one["node"] == "puzzled"]
        assert [stop["of"] for stop in node["stops"]] == ["cluster/later"]
    finally:
        plane.kubectl("delete", "cmgp", "later", "--ignore-not-found")
        plane.kubectl("apply", "-f", str(ROOT / "crds"))


def taken(plane: ControlPlane, one: dict[str, Any]) -> bool:
    """Does the server take it by now?"""
    try:
        apply(plane, one)
    except LabError:
        return False
    return True


def apply(plane: ControlPlane, one: dict[str, Any]) -> None:
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))


#: docs/cli.md's table, without the rights to look.
STOPPING = [("clustermemoryguardpolicies.memguard.io", "patch,create,delete")]
LOOKING = [
    ("clustermemoryguardpolicies.memguard.io,nodememories.memguard.io", "list"),
    ("nodes,pods", "list"),
]


@pytest.mark.row("K8")
@pytest.mark.parametrize("which", [("--all",), ("--node", "righted")])
def test_the_rights_that_are_documented_suffice(
    plane: ControlPlane, kubectl: Plugin, tmp_path: Path, which: tuple[str, ...]
) -> None:
    for line in ("| `pause`, `resume` |", "patch, create and delete `clustermemoryguardpolicies`"):
        assert line in (ROOT / "docs" / "cli.md").read_text()
    node = Node(plane, "righted", **{HOSTNAME: "righted"})
    node.report(1800, level="Calm", conditions=[acting_condition("False", "EmergencyStop")])
    with somebody(plane, tmp_path, *STOPPING, *LOOKING) as theirs:
        ran = kubectl("pause", *which, "--wait", 0, kubeconfig=theirs)
        assert ran.code == 0, ran.out + ran.err
        node.report(1800, level="Calm", conditions=[acting_condition("False", "Observe")])
        ran = kubectl("resume", *which, "--wait", 0, kubeconfig=theirs)
        assert ran.code == 0, ran.out + ran.err


@pytest.mark.row("K8")
def test_whoever_may_stop_and_not_look_is_told_that_it_is_set(
    plane: ControlPlane, kubectl: Plugin, tmp_path: Path
) -> None:
    with somebody(plane, tmp_path, *STOPPING) as theirs:
        ran = kubectl("pause", "--all", "--wait", 0, kubeconfig=theirs)
    assert (ran.code, ran.err) == (1, "")
    words = " ".join(ran.out.split())
    assert "it is written, and no node was seen to confirm it" in words
    assert "whether nodes heed it cannot be watched" in words
    assert "cannot list resource" in words
    assert plane.kubectl("get", "cmgp", "emergency-stop", "-o", "name")


@contextmanager
def somebody(plane: ControlPlane, directory: Path, *rights: tuple[str, str]) -> Iterator[Path]:
    """The kubeconfig of an account with these rights (resources, verbs), and no others."""
    account = "on-call"
    plane.kubectl("create", "serviceaccount", account, "-n", SYSTEM_NAMESPACE)
    names = [f"{account}-{number}" for number in range(len(rights))]
    for name, (resources, verbs) in zip(names, rights, strict=True):
        plane.kubectl("create", "clusterrole", name, f"--verb={verbs}", f"--resource={resources}")
        subject = f"--serviceaccount={SYSTEM_NAMESPACE}:{account}"
        plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
    token = {"token": plane.service_account_token(SYSTEM_NAMESPACE, account)}
    try:
        yield kubeconfig(directory / account, plane.url, authority=str(plane.certificates.authority), user=token)
    finally:
        plane.kubectl("delete", "clusterrolebinding,clusterrole", *names)
        plane.kubectl("delete", "serviceaccount", account, "-n", SYSTEM_NAMESPACE)


def test_whoever_does_not_say_which_nodes_is_asked(plane: ControlPlane, kubectl: Plugin) -> None:
    for arguments in ((), ("--all", "--node", "x")):
        ran = kubectl("pause", *arguments)
        assert (ran.code, "--node NAME, or --all" in ran.err) == (2, True)
    unknown = kubectl("pause", "--node", "nowhere")
    assert (unknown.code, "there is no node nowhere" in unknown.err) == (1, True)
    Node(plane, "nameless")
    unmeant = kubectl("pause", "--node", "nameless")
    assert (unmeant.code, f"has no label {HOSTNAME}" in unmeant.err) == (1, True)


@pytest.mark.row("K8")
@pytest.mark.parametrize("everywhere", [True, False])
def test_an_operator_obeys_and_undoes_nothing(
    plane: ControlPlane, kubectl: Plugin, tmp_path: Path, everywhere: bool
) -> None:
    """It would evict a leak; stopped it does not, though it goes on telling the node what it learned."""
    name = f"stopped-{'all' if everywhere else 'one'}"
    node = Node(plane, name, **{HOSTNAME: name})
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
        stop = "emergency-stop" if everywhere else f"emergency-stop-{name}"
        wait_until(lambda: matched(plane, stop) > 0)  # it has heard of the stop
        decline = Decline(node, operator, (entry(leak, 400), 25), (entry(promise, 100), 0))
        decline.look_on()
        wait_until(lambda: node.spec().get("bias"))
        assert not space.ending("leak")
        assert not operator.total(ACTED)
        assert stopped(kubectl)[name] == [f"cluster/{stop}"]
        operator.stop()
    kubectl("resume", *which, "--wait", 0)
    with operating(plane, tmp_path) as operator:  # whoever was refused is not asked again for half a minute
        operator.wait_ready()
        operator.wait_leading()
        decline = Decline(node, operator, (entry(leak, 400), 25), (entry(promise, 100), 0))
        decline.look_until(lambda: space.ending("leak"))
        assert operator.total(ACTED)


def matched(plane: ControlPlane, stop: str) -> int:
    """On how many nodes the stop counts, by the operator."""
    found: dict[str, Any] = json.loads(plane.kubectl("get", "cmgp", stop, "-o", "json"))
    return int(found.get("status", {}).get("matchedNodes", 0))
