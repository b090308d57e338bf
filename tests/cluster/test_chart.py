"""The chart in a real API server: pod security, Helm's way through a release's life, and the clean-up's rights.

There is no kubelet: what pods do is for the end-to-end tests (e2e/test_chart.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.helm import CHART, Helm, merged
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.chart.manifests import Manifest, as_list, is_hook, render, rendered, templates
from tests.chart.values import FULL
from tests.cluster.clients import wait_until
from tests.cluster.kinds import ROOT

from memguard.core.taint import KEY

SPACE = "chart"
TAINT = {"key": KEY, "effect": "NoSchedule"}
FOREIGN = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
#: No kubelet runs anything here, so nothing is to be waited for but what the API server does.
STILL = {
    "cleanUp": {"enabled": False},
    "operator": {"replicas": 0},
    "node": {"nodeSelector": {"kubernetes.io/os": "none"}},
}
UNKNOWN = """error: resource mapping not found for name: "default" namespace: "" from "STDIN": no matches for kind \
"ClusterMemoryGuardPolicy" in version "memguard.io/v1alpha1"
ensure CRDs are installed first"""
DEFINITIONS = ("crd", "-o", "name", "-l", "app.kubernetes.io/name=memguard")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: the chart owns the kinds that other tests install."""
    found = ControlPlane(tmp_path_factory.mktemp("chart"), scheduler=False)
    try:
        found.start()
        yield found
    finally:
        found.stop()


class Release(Helm):
    """memguard's, in one namespace of a control plane."""

    def __init__(self, plane: ControlPlane, program: str = "helm") -> None:
        super().__init__(plane.kubeconfig(), SPACE, program)
        self.plane = plane

    def upgrade(self, values: dict[str, Any], *options: str) -> str:
        return super().upgrade(merged(STILL, values), "--timeout=60s", *options)

    def refusal(self, *words: str, values: dict[str, Any] | None = None) -> str:
        """What a person reads where it does not go well."""
        with pytest.raises(LabError) as refused:
            self.run(*words, values=values)
        return str(refused.value)

    def get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plane.kubectl("get", *what, "-o", "json"))
        return found

    def budget(self) -> dict[str, Any]:
        """Of the cluster policy; empty where there is none."""
        found = self.get("clustermemoryguardpolicies")["items"]
        return dict(found[0]["spec"]["budget"]) if found else {}


@pytest.fixture
def release(plane: ControlPlane) -> Iterator[Release]:
    """None is there before and after."""
    found = Release(plane)
    yield found
    found.run("uninstall", "memguard", "--ignore-not-found", "--no-hooks")
    plane.kubectl("delete", "crd", "-l", "app.kubernetes.io/name=memguard", "--ignore-not-found", "--timeout=60s")


# --- pod security


def pods(values: dict[str, Any]) -> dict[str, Manifest]:
    """The pods that the chart's controllers would make, by component."""
    found = {}
    for template in templates(render(values)):
        component = template["metadata"]["labels"]["app.kubernetes.io/component"]
        spec = {key: value for key, value in template["spec"].items() if key != "serviceAccountName"}
        metadata = template["metadata"] | {"name": component}
        found[component] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return found


def complaint(plane: ControlPlane, level: str, pod: dict[str, Any]) -> str:
    """What the real pod security admission says of a pod at a level; nothing where it passes."""
    name = f"level-{level}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(space))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(account))  # the controllers may be first
    command = (*plane.kubectl_command(), "create", "--dry-run=server", "--validate=strict", "-n", name, "-f", "-")
    ran = subprocess.run(command, input=json.dumps(pod), capture_output=True, text=True, check=False, timeout=60)
    return ran.stderr if ran.returncode else ""


def test_the_operator_and_the_clean_up_pass_the_restricted_level(plane: ControlPlane) -> None:
    found = pods({})
    for component in ("operator", "clean-up"):
        assert complaint(plane, "restricted", found[component]) == ""


def reasons(plane: ControlPlane, level: str, pod: Manifest) -> set[str]:
    """All that it has against the pod."""
    _, _, said = complaint(plane, level, pod).strip().partition(f'violates PodSecurity "{level}:latest": ')
    return set(re.split(r"(?<=\)), ", said))


def test_observing_pods_lack_nothing_of_restricted_but_the_right_to_see_the_cgroups(plane: ControlPlane) -> None:
    """hostPath is all: baseline allows none, not even a read-only one."""
    node = pods({})["node"]
    assert complaint(plane, "privileged", node) == ""
    assert reasons(plane, "baseline", node) == {'hostPath volumes (volume "cgroup")'}
    assert reasons(plane, "restricted", node) == {
        'restricted volume types (volume "cgroup" uses restricted volume type "hostPath")'
    }


def test_enforcing_pods_need_what_the_security_model_says_and_no_more(plane: ControlPlane) -> None:
    """Neither privilege nor a way to more of it, and no other namespace of the host's."""
    node = pods({"profile": "enforce"})["node"]
    assert complaint(plane, "privileged", node) == ""
    either = {
        "host namespaces (hostPID=true)",
        'forbidden AppArmor profile (container "guard" must not set AppArmor profile type to "Unconfined")',
    }
    assert reasons(plane, "baseline", node) == either | {
        'hostPath volumes (volumes "cgroup", "compaction")',
        'non-default capabilities (container "guard" must not include "IPC_LOCK", "SYS_NICE", "SYS_RESOURCE" '
        "in securityContext.capabilities.add)",
    }
    assert reasons(plane, "restricted", node) == either | {
        'restricted volume types (volumes "cgroup", "compaction" use restricted volume type "hostPath")',
        'unrestricted capabilities (container "guard" must not include "IPC_LOCK", "KILL", "SYS_NICE", '
        '"SYS_RESOURCE" in securityContext.capabilities.add)',
        'runAsNonRoot != true (pod or containers "supervisor", "guard" must set securityContext.runAsNonRoot=true)',
        'runAsUser=0 (containers "supervisor", "guard" must not set runAsUser=0)',
    }


# --- a release's life


@pytest.mark.row("K5")
def test_a_fresh_installation_takes_definitions_and_cluster_policy_at_once(release: Release) -> None:
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 7}}})
    assert release.budget()["perNode"] == 7
    assert len(release.plane.kubectl("get", *DEFINITIONS).split()) == 4


def test_the_cluster_policy_becomes_an_object_of_the_release(release: Release) -> None:
    """And is changed in place from then on: a policy that is deleted and made anew would be in force twice."""
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 7}}})
    uid = release.get("clustermemoryguardpolicy", "default")["metadata"]["uid"]
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 8}}})
    assert release.budget()["perNode"] == 8
    assert release.get("clustermemoryguardpolicy", "default")["metadata"]["uid"] == uid
    release.upgrade({})
    assert release.budget() == {}, "it goes with its value"


def test_a_rollback_takes_everything_back(release: Release) -> None:
    policies = [{"clusterPolicy": {"budget": {"perNode": number}}} for number in (7, 8)]
    release.upgrade(policies[0])
    release.upgrade(merged(policies[1], {"profile": "enforce"}))
    assert release.get("ds", "memguard-node", "-n", SPACE)["spec"]["template"]["spec"]["hostPID"] is True
    release.run("rollback", "memguard", "1")
    assert "hostPID" not in release.get("ds", "memguard-node", "-n", SPACE)["spec"]["template"]["spec"]
    assert release.budget()["perNode"] == 7
    release.upgrade(policies[1])
    assert release.budget()["perNode"] == 8


def test_helm_3_takes_it_through_the_same_life(release: Release) -> None:
    """It applies on the client's side, where Helm 4 lets the server merge; and Helm 4 goes on with its release."""
    older = Release(release.plane, "helm3")
    first = ("install", "memguard", str(CHART), "--create-namespace")
    said = older.refusal(*first, values=merged(STILL, {"clusterPolicy": {"budget": {"perNode": 7}}}))
    assert "Install without it, then upgrade with it" in said
    older.upgrade({})
    for number in (7, 8):
        older.upgrade({"clusterPolicy": {"budget": {"perNode": number}}})
        assert older.budget()["perNode"] == number
    older.run("rollback", "memguard", "2", "--wait")
    assert older.budget()["perNode"] == 7
    release.upgrade({"profile": "enforce", "clusterPolicy": {"budget": {"perNode": 9}}})
    assert release.budget()["perNode"] == 9
    older.run("uninstall", "memguard", "--wait")
    wait_until(lambda: not release.plane.kubectl("get", *DEFINITIONS))


def test_every_value_can_be_changed_in_an_upgrade_and_back(release: Release) -> None:
    """Nothing that the chart changes is immutable."""
    monitoring = {"metrics": None, "prometheusRule": None}  # their kinds are not in this cluster
    everything = {key: value for key, value in FULL.items() if key not in monitoring}
    dressed = {"commonLabels": {"a": "b"}, "nameOverride": "", "node": {"podLabels": {"c": "d"}}}
    release.upgrade({})
    release.upgrade(merged(everything, dressed))
    release.upgrade({"operator": {"enabled": False}})
    release.upgrade({})
    found = release.get("ds", "memguard-node", "-n", SPACE)["spec"]["template"]["metadata"]["labels"]
    assert "c" not in found


def test_two_releases_do_not_share_a_cluster(release: Release) -> None:
    release.upgrade({})
    said = release.refusal("install", "second", str(CHART), values={})
    assert 'annotation validation error: key "meta.helm.sh/release-name" must equal "second"' in said


def test_an_uninstall_takes_the_definitions_unless_they_are_kept(release: Release) -> None:
    plane = release.plane
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 7}}})
    release.run("uninstall", "memguard", "--wait")
    wait_until(lambda: not plane.kubectl("get", *DEFINITIONS))
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 7}}})
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 7}}, "crds": {"keep": True}})
    release.run("uninstall", "memguard", "--wait")
    assert len(plane.kubectl("get", *DEFINITIONS).split()) == 4
    release.upgrade({"clusterPolicy": {"budget": {"perNode": 9}}})
    assert release.budget()["perNode"] == 9, "the same release takes over what was kept"


def test_an_upgrade_without_definitions_deletes_none(release: Release) -> None:
    """With them went all policies, and an emergency stop that somebody had set."""
    stop = {"apiVersion": "memguard.io/v1alpha1", "kind": "ClusterMemoryGuardPolicy", "metadata": {"name": "stop"}}
    release.upgrade({})
    release.plane.kubectl("apply", "-f", "-", stdin=json.dumps(stop | {"spec": {"emergencyStop": True}}))
    without = merged(STILL, {"crds": {"enabled": False}})
    for program in ("helm", "helm3"):
        said = Release(release.plane, program).refusal("upgrade", "memguard", str(CHART), values=without)
        assert "Upgrade with crds.keep=true first, then with crds.enabled=false" in said
    release.upgrade({"crds": {"keep": True}})
    release.upgrade({"crds": {"enabled": False}})
    release.run("uninstall", "memguard", "--wait")
    assert release.get("clustermemoryguardpolicy", "stop")["spec"]["emergencyStop"] is True


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_the_clean_up_has_the_namespace_that_the_chart_made(release: Release, program: str) -> None:
    """It is in the release, and were it deleted with it nothing could be made in it any more: the Job, for one."""
    helm = Release(release.plane, program)
    space = f"made-{program}"
    made = {"namespaceOverride": space, "namespace": {"create": True}}
    helm.upgrade(merged(made, {"cleanUp": {"enabled": True, "activeDeadlineSeconds": 3}}))
    said = helm.refusal("uninstall", "memguard", "--timeout=60s")
    assert "being terminated" not in said
    assert release.get("job", "memguard-clean-up", "-n", space), "no kubelet runs it here"
    assert release.get("namespace", space)["status"]["phase"] == "Active"


def test_definitions_that_were_applied_by_hand_are_taken_over_when_asked(release: Release) -> None:
    plane = release.plane
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
    words = ("upgrade", "--install", "memguard", str(CHART), "--create-namespace")
    assert "cannot be imported into the current release" in release.refusal(*words, values=STILL)
    release.upgrade({}, "--take-ownership")
    owner = release.get("crd", "nodememories.memguard.io")["metadata"]["annotations"]["meta.helm.sh/release-name"]
    assert owner == "memguard"


def test_without_helm_the_manifests_can_be_applied(release: Release) -> None:
    """As docs/upgrade.md says: once more, where the cluster policy came before its kind was known."""
    values = {
        "namespace": {"create": True},
        "namespaceOverride": "by-hand",
        "clusterPolicy": {"budget": {"perNode": 7}},
    }
    known = ("--no-hooks", "--api-versions", "memguard.io/v1alpha1/ClusterMemoryGuardPolicy")
    text = rendered(values, *known)
    command = (*release.plane.kubectl_command(), "apply", "--server-side", "-f", "-")

    def apply() -> str:
        ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
        return ran.stderr

    assert not apply().replace(UNKNOWN, "").strip()
    wait_until(lambda: not apply())
    assert release.budget()["perNode"] == 7
    assert not release.plane.kubectl("get", "jobs", "-n", "by-hand", "-o", "name")
    release.plane.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=text)


def test_an_uninstall_does_not_wait_for_a_clean_up_that_cannot_run(release: Release) -> None:
    """No kubelet runs the Job here; the uninstall is done all the same, and says what was not."""
    release.upgrade({"cleanUp": {"enabled": True, "activeDeadlineSeconds": 3}})
    said = release.refusal("uninstall", "memguard", "--timeout=60s")
    assert "uninstallation completed with 1 error(s)" in said
    assert "Job/chart/memguard-clean-up not ready" in said
    assert not json.loads(release.run("list", "-o", "json"))
    assert not release.get(
        "daemonsets,deployments,configmaps", "-n", SPACE, "-l", "app.kubernetes.io/instance=memguard"
    )["items"]
    release.plane.kubectl("delete", "job", "memguard-clean-up", "-n", SPACE)


# --- the clean-up, with the account that its hook has


@pytest.fixture
def clean_up(plane: ControlPlane, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts it with the token of its own service account."""
    plane.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    )
    rights = [each for each in render({"namespaceOverride": SPACE}) if is_hook(each) and each["kind"] != "Job"]
    plane.kubectl("apply", "-f", "-", stdin=as_list(rights))
    for node in ("n-1", "n-2", "n-3"):
        made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    token = plane.service_account_token(SPACE, "memguard-clean-up")
    cluster = {"server": plane.url, "certificate-authority": str(plane.certificates.authority)}
    config = {
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "clean-up", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "clean-up"}}],
        "current-context": "lab",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "memguard",
        "clean-up",
        f"--namespace={SPACE}",
        f"--kubeconfig={tmp_path}/kubeconfig",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)

    return start


def taints(plane: ControlPlane) -> dict[str, list[dict[str, str]]]:
    nodes = json.loads(plane.kubectl("get", "nodes", "-o", "json"))["items"]
    kept = ("key", "value", "effect")
    return {
        node["metadata"]["name"]: [
            {key: one[key] for key in kept if key in one}
            for one in node["spec"].get("taints", ())
            if not one["key"].startswith("node.kubernetes.io/")
        ]
        for node in nodes
    }


def taint(plane: ControlPlane, node: str, *wanted: dict[str, str]) -> None:
    plane.kubectl("patch", f"node/{node}", "--type=merge", "-p", json.dumps({"spec": {"taints": list(wanted)}}))


def left(plane: ControlPlane) -> list[str]:
    """Of the operator's own."""
    said = plane.kubectl("get", "lease,configmap", "-n", SPACE, "-o", "name")
    return re.findall(r"\S*memguard-\S*", said)


def leave_behind(plane: ControlPlane, holder: str) -> None:
    """What an operator leaves."""
    now = "2026-01-01T00:00:00.000000Z"
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 3, "renewTime": now, "acquireTime": now}
    for one in (
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "memguard-operator"},
            "spec": spec,
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "memguard-experience"}},
    ):
        plane.kubectl("apply", "-n", SPACE, "-f", "-", stdin=json.dumps(one))


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.mark.row("K7")
def test_the_clean_up_takes_our_taint_and_nothing_else(plane: ControlPlane, clean_up: Start) -> None:
    leave_behind(plane, holder="")
    taint(plane, "n-1", TAINT)
    taint(plane, "n-2", FOREIGN, TAINT | {"effect": "PreferNoSchedule"})
    taint(plane, "n-3", FOREIGN)
    out, error = (process := clean_up()).communicate(timeout=60)
    assert process.returncode == 0, error
    assert {line["node"] for line in map(json.loads, out.splitlines()) if line["kind"] == "untainted"} == {"n-1", "n-2"}
    assert taints(plane) == {"n-1": [], "n-2": [FOREIGN], "n-3": [FOREIGN]}
    assert left(plane) == []


def test_where_there_was_no_operator_nothing_is_to_be_done(plane: ControlPlane, clean_up: Start) -> None:
    out, error = (process := clean_up()).communicate(timeout=60)
    assert process.returncode == 0, error
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["cleaned"]
    assert left(plane) == []


def test_the_clean_up_waits_for_an_operator_that_still_leads(plane: ControlPlane, clean_up: Start) -> None:
    """Beside it the taint would come back."""
    leave_behind(plane, holder="an-operator")
    taint(plane, "n-1", TAINT)
    process = clean_up()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)
    assert taints(plane)["n-1"] == [TAINT]
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, (out, error)
    assert taints(plane)["n-1"] == []


def test_what_it_may_not_it_says(plane: ControlPlane, clean_up: Start) -> None:
    plane.kubectl("delete", "clusterrolebinding", "memguard-clean-up")
    wait_until(lambda: "no" in _may_list_nodes(plane))
    _, error = (process := clean_up()).communicate(timeout=60)
    assert process.returncode == 1
    assert 'cannot list resource "nodes"' in error


def _may_list_nodes(plane: ControlPlane) -> str:
    account = f"system:serviceaccount:{SPACE}:memguard-clean-up"
    command = (*plane.kubectl_command(), "auth", "can-i", "list", "nodes", "--as", account)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
