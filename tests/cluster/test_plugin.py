"""Every command of `kubectl memguard` against the real API server: what it shows, and what it says to wrong input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.chart import manifests
from tests.cluster.agents import withdraw
from tests.cluster.clients import wait_until
from tests.cluster.kinds import ROOT, SYSTEM_NAMESPACE
from tests.cluster.operators import MIB, Node, Space, deploy_operator, entry, stamp
from tests.cluster.plugins import Plugin, Ran, Terminal, kubeconfig, somebody

from memguard.core.score import FACTORS

SPACE = "shop"


class Scene:
    """Two nodes: one is short of memory because of a leak that ended once already, the other is calm."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.tight, self.calm = Node(plane, "tight", pool="a"), Node(plane, "calm", pool="b")
        self.tight.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mute"}})
        self.space, self.quiet = Space(self.tight, SPACE), Space(self.calm, "quiet")
        self.space.policy("strict", mode="Enforce", protected=True, selector={"matchLabels": {"app": "cart"}})
        self.cart = self.space.pod("cart")
        self.search = self.space.pod("search")
        self.idle = self.quiet.pod("idle")
        self.report()
        self._decide()

    def report(self) -> None:
        """What both nodes say now."""
        who = {"namespace": SPACE, "name": "app"}
        below = "its score is below the threshold of 320"
        self.tight.report(
            300,
            entry(self.cart, 900, score=700, limitBytes=1024 * MIB, limitSeconds=42.0, **who, pod="cart"),
            entry(self.search, 400, score=310, excluded=below, **who, pod="search"),
            level="Tight", exhaustion=80.0, pressure=0.8, thresholdScore=320.0,
            headroomBytes=177 * MIB, headroom="177 MiB", kernelOomKills=1, guardVersion="0.1.0", agentVersion="0.1.0",
            conditions=[_condition(one) for one in ("Ready", "Fit", "Acting", "PlanCurrent")],
            capabilities=[{"name": "cgroup-write", "ok": True}, {"name": "psi-trigger", "ok": False}],
            scorecard={"hits": 4, "falseAlarms": 1, "misses": 1, "since": "2026-11-29T00:00:00Z",
                       "policies": [{"policy": "shop/strict", "hits": 4, "falseAlarms": 1, "misses": 1}]},
        )  # fmt: skip
        quiet = {
            "namespace": "quiet",
            "name": "app",
            "pod": "idle",
            "excluded": "its score is below the threshold of 8000",
        }
        self.calm.report(
            1800, entry(self.idle, 50, score=120, **quiet), level="Calm", pressure=0.0, thresholdScore=8000.0,
            at=datetime.now(UTC) - timedelta(minutes=3), headroomBytes=1677 * MIB, mode="Observe",
            conditions=[_condition("Ready"), _condition("Fit", status="False"), _condition("PlanCurrent")],
        )  # fmt: skip

    def _decide(self) -> None:
        beside = [
            _candidate(self.cart, "shop/cart/app", 700, 0.75, 900),
            _candidate(self.search, "shop/search/app", 310, 0.35, 400),
        ]
        names = ["memory", *(factor.name for factor in FACTORS if factor.name != "memory")]
        factors = {
            name: {"value": 0.5, "weight": 1.0, "points": 700 - 12 * 50 if name == "memory" else 50} for name in names
        }
        for number in range(6):
            self.space.decided(
                "cart", self.cart, f"killed-{number}", {"phase": "Done", "freedBytes": 800 * MIB, "freed": "800 MiB"},
                candidates=beside, factors=factors, thresholdScore=320.0, policy="shop/strict",
                reason="shop/cart/app is chosen: it grew.",
                takenAt=stamp(datetime.now(UTC) - timedelta(hours=6 - number)),
            )  # fmt: skip
        self.space.decided(
            "cart", self.cart, "observed-1", {"phase": "Observed", "verdict": "Hit"}, mode="Observe", candidates=beside,
            takenAt=stamp(datetime.now(UTC) - timedelta(days=2)),
        )  # fmt: skip


def _condition(kind: str, reason: str = "Good", status: str = "True") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-11-29T00:00:00Z"}


def _candidate(identity: str, title: str, score: int, badness: float, mib: int) -> dict[str, Any]:
    return {
        "id": identity, "title": title, "score": score, "badness": badness, "freedBytes": mib * MIB,
        "qos": "Burstable", "ownerKind": "Deployment",
    }  # fmt: skip


@pytest.fixture(scope="module")
def scene(control_plane: ControlPlane) -> Iterator[Scene]:
    control_plane.kubectl("delete", "nodes", "--all")  # other modules' would be silent ones
    deploy_operator(control_plane)
    nowhere = manifests.render({"node": {"nodeSelector": {"kubernetes.io/os": "none"}}})
    control_plane.kubectl("apply", "-f", "-", stdin=manifests.as_list(manifests.of(nowhere, "DaemonSet")))
    yield Scene(control_plane)
    control_plane.kubectl("delete", "daemonset", "--all", "-n", SYSTEM_NAMESPACE)
    control_plane.kubectl("delete", "node/tight", "node/calm", "node/mute")
    control_plane.kubectl("delete", "mgp,cmgp", "--all", "--all-namespaces")
    withdraw(control_plane)


@pytest.fixture
def kubectl(scene: Scene, capsys: pytest.CaptureFixture[str]) -> Plugin:
    scene.report()
    return Plugin(scene.plane.kubeconfig(), capsys)


# --- top


@pytest.mark.row("K8")
def test_top_shows_the_nodes_in_trouble_first_and_how_old_each_figure_is(kubectl: Plugin) -> None:
    tight, calm = (one for one in kubectl.json("top", "--once")["nodes"] if one["node"] in ("tight", "calm"))
    assert (tight["node"], tight["level"], tight["worst"]) == ("tight", "Tight", "shop/cart/app")
    assert tight["ageSeconds"] < 60
    assert 170 < calm["ageSeconds"] < 240
    shown = kubectl("top", "--once")
    assert shown.code == 0
    [line] = [line for line in shown.out.splitlines() if line.strip().startswith("calm ")]
    assert "3 min" in line


def test_top_shows_pods_and_containers_of_a_namespace_a_selector_or_a_node(kubectl: Plugin) -> None:
    def pods(*arguments: str) -> list[str]:
        return [one["pod"] for one in kubectl.json("top", "containers", "--once", *arguments)["containers"]]

    assert pods("-n", SPACE) == ["cart", "search"]
    assert pods("-n", SPACE, "-l", "app=search") == ["search"]
    assert "idle" in pods("-A")
    assert pods("-A", "--node", "calm") == ["idle"]
    assert pods() == []  # the context's namespace is `default`
    cart, search = kubectl.json("top", "pods", "--once", "-n", SPACE)["containers"]
    assert (cart["level"], cart["state"]) == ("warning", "may be chosen")
    assert (search["level"], search["state"]) == ("ok", "below the threshold")
    table = kubectl("top", "pods", "--once", "-n", SPACE, "-o", "wide").out
    assert "ten containers" in table


def test_top_nodes_by_their_labels(kubectl: Plugin) -> None:
    assert [one["node"] for one in kubectl.json("top", "nodes", "--once", "-l", "pool=a")["nodes"]] == ["tight"]


def test_top_lives_on_a_terminal_until_it_is_told_to_end(kubectl: Plugin, scene: Scene) -> None:
    """A watch brings what a node says next; Ctrl-C ends it like a program that is done."""
    command = ["top", "containers", "-n", SPACE, "--interval", "0.2", "--kubeconfig", str(kubectl.kubeconfig)]
    with Terminal([sys.executable, "-m", "memguard", "kubectl", *command]) as terminal:
        terminal.wait_for("700")
        who = {"namespace": SPACE, "name": "app", "pod": "cart"}
        scene.tight.report(290, entry(scene.cart, 910, score=733, **who))
        terminal.wait_for("733")
        terminal.interrupt()
        assert terminal.wait() == 0


def test_a_selector_that_is_none_is_bad_input(kubectl: Plugin) -> None:
    ran = kubectl("top", "pods", "-A", "--once", "-l", "app in cart")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("memguard: --selector: ")


# --- explain


@pytest.mark.row("G3", "K8")
def test_explain_says_why_it_was_chosen_and_what_would_have_changed_it(kubectl: Plugin, scene: Scene) -> None:
    found = kubectl.json("explain", "pod/cart", "-n", SPACE)
    decision = found["decision"]
    assert (decision["metadata"]["name"], found["victim"], found["decisions"]) == ("killed-5", True, 7)
    assert "it grew" in found["sentence"]
    assert "800 MiB came back" in found["sentence"]
    explanation = found["explanation"]
    assert sum(row["points"] for row in explanation["factors"].values()) == 700
    assert [other["title"] for other in explanation["others"]] == ["shop/search/app"]
    assert any("less" in change["words"] for change in explanation["changes"])
    [now] = found["containers"]
    assert (now["score"], now["rank"]) == (700, 1)
    assert now["treatment"]["policy"] == "shop/strict"
    assert any("tenants.protect" in note for note in now["treatment"]["notes"])
    text = kubectl("explain", "cart", "-n", SPACE).out
    for words in ("killed-5", "memory", "What would change it", "shop/strict"):
        assert words in text


@pytest.mark.row("G3")
def test_explain_says_why_another_was_chosen(kubectl: Plugin) -> None:
    found = kubectl.json("explain", "pod/search", "-n", SPACE)
    assert not found["victim"]
    assert "shop/search/app (score 310) is not chosen" in found["sentence"]
    [now] = found["containers"]
    assert "below the threshold of 320" in now["why"]
    assert any("10 points more" in change for change in now["changes"])
    assert any("only observes" in change for change in now["changes"])


@pytest.mark.row("G3")
def test_explain_says_why_nobody_is_chosen_and_who_is_not_there(kubectl: Plugin) -> None:
    found = kubectl.json("explain", "idle", "-n", "quiet")
    assert found["decision"] is None
    assert "nobody is chosen" in found["sentence"]
    assert any("at a pressure of 0.88" in change for change in found["containers"][0]["changes"])
    missing = kubectl("explain", "pod/crat", "-n", SPACE)
    assert missing.code == 1
    assert "no such pod" in missing.err
    assert "cart" in missing.err
    wrong = kubectl("explain", "pod/cart", "-n", SPACE, "-c", "ap")
    assert (wrong.code, "It has app" in wrong.err) == (1, True)
    assert kubectl("explain", "deploy/cart").code == 2


def test_a_tenant_is_told_what_may_be_seen_and_what_not(kubectl: Plugin, scene: Scene, tmp_path: Path) -> None:
    """Who sees one namespace, and no node."""
    plane = scene.plane
    plane.kubectl("create", "serviceaccount", "tenant", "-n", SPACE)
    plane.kubectl("create", "role", "tenant", "-n", SPACE, "--verb=get,list", "--resource=pods,memoryguarddecisions")
    plane.kubectl("create", "rolebinding", "tenant", "-n", SPACE, "--role=tenant", f"--serviceaccount={SPACE}:tenant")
    token = {"token": plane.service_account_token(SPACE, "tenant")}
    theirs = kubeconfig(
        tmp_path / "k", plane.url, authority=str(plane.certificates.authority), user=token, namespace=SPACE
    )
    ran = kubectl("explain", "cart", "-o", "json", kubeconfig=theirs)
    assert ran.code == 0, ran.err
    assert ran.json["decision"]["metadata"]["name"] == "killed-5"
    assert ran.json["node"] is None
    [unknown] = ran.json["unknown"]
    assert 'cannot get resource "nodememories"' in unknown
    beside = kubectl("explain", "search", "-o", "json", kubeconfig=theirs)
    assert beside.code == 0
    assert [one.partition(":")[0] for one in beside.json["unknown"]] == [
        "how its node stands",
        "whether it was a candidate when another was chosen",
    ]


# --- history, scorecard, fairness


def test_history_lists_what_is_asked_for_the_newest_last(kubectl: Plugin) -> None:
    def names(*arguments: str) -> list[str]:
        return [one["metadata"]["name"] for one in kubectl.json("history", *arguments)["items"]]

    everything = ["observed-1", *(f"killed-{number}" for number in range(6))]
    assert names("-n", SPACE) == everything
    assert names("-A", "--since", "90m") == ["killed-5"]
    assert names("pod/search", "-n", SPACE) == []
    assert names("-n", SPACE, "--mode", "Observe") == ["observed-1"]
    assert names("-A", "--node", "calm") == []
    assert names("-A", "-l", "app=cart") == everything
    table = kubectl("history", "-n", SPACE, "-o", "wide").out
    assert "800 MiB" in table
    assert "shop/strict" in table
    assert kubectl("history", "--since", "yesterday").code == 2
    both = kubectl("history", "-n", SPACE, "-A")
    assert (both.code, "exclude each other" in both.err) == (2, True)


def test_history_of_a_cluster_that_cannot_select_by_our_fields(kubectl: Plugin, scene: Scene) -> None:
    """As before Kubernetes 1.31."""
    change = json.dumps([{"op": "remove", "path": "/spec/versions/0/selectableFields"}])
    scene.plane.kubectl("patch", "crd", "memoryguarddecisions.memguard.io", "--type=json", "-p", change)

    def refused() -> bool:
        try:
            scene.plane.kubectl("get", "mgd", "-n", SPACE, "--field-selector=spec.mode=Observe")
        except LabError:
            return True
        return False

    try:
        wait_until(refused)
        found = kubectl.json("history", "pod/cart", "-n", SPACE, "--mode", "Observe")["items"]
        assert [one["metadata"]["name"] for one in found] == ["observed-1"]
    finally:
        scene.plane.kubectl("apply", "-f", str(ROOT / "crds"))
        wait_until(lambda: not refused())


@pytest.mark.row("K5", "K8")
def test_the_scorecard_says_what_the_evidence_is_worth(kubectl: Plugin) -> None:
    found = kubectl.json("scorecard")
    assert (found["cluster"]["hits"], found["cluster"]["falseAlarms"], found["cluster"]["misses"]) == (4, 1, 1)
    [strict] = [one for one in found["policies"] if one["of"] == "shop/strict"]
    assert (strict["rightRatio"], strict["foreseenRatio"]) == (0.8, 0.8)
    assert "speaks for Enforce" in found["cluster"]["words"]
    assert "Since 2026-11-29" in kubectl("scorecard").out


@pytest.mark.row("G1")
def test_fairness_holds_ends_against_memory(kubectl: Plugin) -> None:
    found = kubectl.json("fairness")
    groups = {(one["kind"], one["name"]): one for one in found["groups"]}
    shop = groups["namespace", SPACE]
    assert (shop["ends"], shop["ratio"]) == (6, 1.0)
    assert groups["qos", "Burstable"]["shareRatio"] == 1.0
    assert "No group is hit twice" in kubectl("fairness").out
    assert kubectl.json("fairness", "--since", "10s")["decisions"] == 0


# --- simulate


def test_simulate_tells_what_a_policy_would_change(kubectl: Plugin, tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    lenient = {"mode": "Observe", "selector": {"matchLabels": {"app": "cart"}}, "precedence": 9}
    guarded = {"defaults": {"mode": "Enforce"}, "tenants": {"protect": True}}
    objects = [
        {"kind": "MemoryGuardPolicy", "metadata": {"name": "lenient", "namespace": SPACE}, "spec": lenient},
        {"kind": "ClusterMemoryGuardPolicy", "metadata": {"name": "default"}, "spec": guarded},
    ]
    file.write_text("\n---\n".join(json.dumps({"apiVersion": "memguard.io/v1alpha1"} | one) for one in objects))
    found = kubectl.json("simulate", "--policy", file)
    policies = {one["title"]: one for one in found["policies"]}
    assert policies["shop/lenient"]["matched"] == ["shop/cart/app"]
    assert any("comes before" in note for note in policies["shop/lenient"]["notes"])
    assert policies["cluster/default"]["granted"] == "Enforce"
    outcomes = {one["name"]: one["outcome"] for one in found["decisions"]}
    assert outcomes["killed-0"] == "observed"
    assert outcomes["observed-1"] == "same"
    assert "What cannot be known" in kubectl("simulate", "--policy", file).out

    objects[0]["spec"] = {"mode": "Enforce", "protected": True, "precedence": 9}  # type: ignore[index]
    file.write_text("\n---\n".join(json.dumps({"apiVersion": "memguard.io/v1alpha1"} | one) for one in objects))
    found = kubectl.json("simulate", "--policy", file)
    [node] = [one for one in found["nodes"] if one["node"] == "tight"]
    assert (node["before"]["container"], node["after"]) == ("shop/cart/app", None)
    assert {one["outcome"] for one in found["decisions"]} == {"spared"}


def test_simulate_with_a_trace_and_the_clusters_policies(kubectl: Plugin, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    spec = {"mode": "Enforce", "protected": True}
    one = {"kind": "MemoryGuardPolicy", "metadata": {"name": "all", "namespace": SPACE}, "spec": spec}
    file.write_text(json.dumps({"apiVersion": "memguard.io/v1alpha1"} | one))
    trace = ROOT / "docs" / "examples" / "incident.jsonl"
    found = kubectl.json("simulate", "--policy", file, "--trace", trace)
    [policy] = found["policies"]
    assert (policy["granted"], policy["notes"][0].split(",")[0]) == ("Enforce", "protected is false and not true")
    [outcome] = found["traces"]
    assert [one["mode"] for one in outcome["before"]] == ["Observe"]
    assert [one["mode"] for one in outcome["after"]] == ["Enforce"]


# --- doctor


def test_doctor_finds_what_is_missing_and_names_the_remedy(kubectl: Plugin) -> None:
    ran = kubectl("doctor", "-o", "json")
    assert ran.code == 1
    checks = {check["name"]: check for check in ran.json["checks"]}
    assert checks["kinds"]["status"] == checks["admission"]["status"] == "ok"
    assert checks["daemon set"]["status"] == "fail"  # no kubelet runs one here
    assert (checks["nodes"]["status"], "mute" in checks["nodes"]["finding"]) == ("warn", True)
    nodes = {one["node"]: one for one in ran.json["nodes"]}
    assert [check["name"] for check in nodes["calm"]["checks"] if check["status"] == "fail"] == ["Fit"]
    one = kubectl("doctor", "--node", "tight")
    assert (one.code, "This node is fit" in one.out) == (0, True)
    assert "Boot with psi=1" in one.out
    unknown = kubectl("doctor", "--node", "tigth")
    assert (unknown.code, "tight" in unknown.err) == (1, True)


def test_doctor_tries_whether_admission_refuses(kubectl: Plugin, scene: Scene) -> None:
    """Policies that are bound to the same kinds, and mean the accounts of another installation, are no protection."""

    def found() -> tuple[str, str]:
        [one] = [one for one in kubectl("doctor", "-o", "json").json["checks"] if one["name"] == "admission"]
        return one["status"], one["finding"]

    assert found()[0] == "ok"
    elsewhere = manifests.of(manifests.render({"namespaceOverride": "elsewhere"}), *manifests.ADMISSION)
    scene.plane.kubectl("apply", "-f", "-", stdin=manifests.as_list(elsewhere))
    try:
        wait_until(lambda: found()[0] == "warn")
        assert "an agent may write other nodes' reports" in found()[1]
        withdraw(scene.plane)
        wait_until(lambda: "anybody with the right may write decisions" in found()[1])
    finally:
        ours = manifests.of(manifests.render(), *manifests.ADMISSION)
        scene.plane.kubectl("apply", "-f", "-", stdin=manifests.as_list(ours))
        wait_until(lambda: found()[0] == "ok")
    assert not scene.plane.kubectl("get", "nmem,mgd", "-A", "-o", "name").count("memguard-doctor")


def test_what_doctor_may_not_see_is_no_finding(kubectl: Plugin, scene: Scene, tmp_path: Path) -> None:
    rights = [
        ("nodes,pods,daemonsets.apps,deployments.apps", "get,list"),
        ("memoryguardpolicies.memguard.io", "list"),
    ]
    # a guard runs on a node whose report may not be seen: that must not pass for a silent one
    labels = {"app.kubernetes.io/name": "memguard", "app.kubernetes.io/component": "node"}
    metadata = {"name": "guard", "namespace": SPACE, "labels": labels}
    spec = {"nodeName": "tight", "containers": [{"name": "agent", "image": "memguard-node"}]}
    scene.tight.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    try:
        with somebody(scene.plane, tmp_path, *rights) as theirs:
            ran = kubectl("doctor", "-o", "json", kubeconfig=theirs)
        with somebody(scene.plane, tmp_path, ("nodes", "list")) as theirs:
            blind = kubectl("doctor", kubeconfig=theirs)
    finally:
        scene.plane.kubectl("delete", "pod/guard", "-n", SPACE, "--force", "--grace-period=0")
    checks = {one["name"]: one for one in ran.json["checks"]}
    unknown = {name for name, one in checks.items() if one["status"] == "unknown"}
    assert unknown == {"kinds", "nodes", "versions", "admission", "policies", "emergency stop"}
    assert "you may not look" in checks["nodes"]["finding"]
    assert "cannot impersonate resource" in checks["admission"]["finding"]
    fails = [name for name, one in checks.items() if one["status"] == "fail"]
    assert (fails, ran.code) == (["daemon set"], 1)  # it is seen, and no kubelet runs it here
    assert (blind.code, "This cluster is fit, as far as you may look" in blind.out) == (0, True)


def test_doctor_tells_kinds_of_another_version(kubectl: Plugin, scene: Scene) -> None:
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/level/description"
    change = json.dumps([{"op": "replace", "path": path, "value": "of another version"}])
    scene.plane.kubectl("patch", "crd", "nodememories.memguard.io", "--type=json", "-p", change)
    try:
        [kinds] = [one for one in kubectl("doctor", "-o", "json").json["checks"] if one["name"] == "kinds"]
        assert (kinds["status"], "nodememories.memguard.io" in kinds["finding"]) == ("warn", True)
    finally:
        scene.plane.kubectl("apply", "-f", str(ROOT / "crds"))


# --- as a plugin


@pytest.mark.row("K8")
def test_kubectl_finds_the_plugin(kubectl: Plugin, scene: Scene, tmp_path: Path) -> None:
    ran = kubectl.through_kubectl(scene.plane, tmp_path, "top", "containers", "-n", SPACE, "--once", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    assert [one["pod"] for one in json.loads(ran.stdout)["containers"]] == ["cart", "search"]
    assert "kubectl memguard" in kubectl.through_kubectl(scene.plane, tmp_path, "--help").stdout


def test_names_from_the_cluster_cannot_write_to_the_terminal(kubectl: Plugin, scene: Scene) -> None:
    """A reason may hold anything that the API server takes."""
    nasty = "\x1b[2J[red]shop\x07"
    scene.space.decided("search", scene.search, "nasty", {"phase": "Done"}, reason=nasty, summary=nasty)
    try:
        for arguments in (("history", "-n", SPACE, "-o", "wide"), ("explain", "pod/search", "-n", SPACE)):
            ran: Ran = kubectl(*arguments)
            assert ran.code == 0
            assert "\x1b" not in ran.out
            assert "[red]shop" in ran.out
    finally:
        scene.plane.kubectl("delete", "mgd/nasty", "-n", SPACE)


# --- report


def test_report_is_a_page_of_the_decision_the_pod_and_its_events(kubectl: Plugin, scene: Scene) -> None:
    told = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "told", "namespace": SPACE}}
    about = {"kind": "Pod", "name": "cart", "namespace": SPACE, "uid": scene.space.uid("cart")}
    facts = {"reason": "MemoryGuardKilled", "message": "It grew.", "type": "Warning", "involvedObject": about}
    scene.tight.apply(told | facts | {"lastTimestamp": stamp(datetime.now(UTC))})
    found = kubectl.json("report", "killed-5", "-n", SPACE)
    assert found["decision"]["metadata"]["name"] == "killed-5"
    pod = found["pod"]
    assert (pod["phase"], pod["containerState"], pod["deleted"]) == ("Running", "running", False)
    assert [one["reason"] for one in found["events"]] == ["MemoryGuardKilled"]
    page = kubectl("report", "killed-5", "-o", "html")  # found, wherever it is
    assert page.code == 0
    assert page.out.lower().startswith("<!doctype html>")
    assert "shop/cart/app" in page.out
    assert "shop/cart/app" in kubectl("report", "killed-5").out


def test_report_names_decisions_that_are_near(kubectl: Plugin) -> None:
    ran = kubectl("report", "killed-9", "-n", SPACE)
    assert (ran.code, ran.out) == (1, "")
    assert "there is no decision killed-9. There are for example killed-" in ran.err


def test_report_of_a_pod_that_is_gone(kubectl: Plugin, scene: Scene) -> None:
    gone = scene.space.decided("search", scene.search, "gone-1")
    scene.plane.kubectl("delete", "pod/search", "-n", SPACE, "--force", "--grace-period=0")
    try:
        assert kubectl.json("report", gone, "-n", SPACE)["pod"]["deleted"]
    finally:
        scene.plane.kubectl("delete", f"mgd/{gone}", "-n", SPACE)
        scene.search = scene.space.pod("search")
