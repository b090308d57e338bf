"""What is rendered: names, labels, images, profiles, hooks, and what is left out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from e2e.helm import CHART, NAMESPACE, helm, merged
from tests.chart.manifests import ADMISSION, Manifest, containers, is_hook, of, one, render, rendered, templates
from tests.chart.values import FULL

from memguard.controller.clean_up import arguments as clean_up_arguments
from memguard.controller.main import arguments as operator_arguments
from memguard.core.taint import KEY
from memguard.guard.config import Config, parse_config
from memguard.guard.life import require_no_plan

CLUSTER_SCOPED = {
    "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ClusterMemoryGuardPolicy",
    *ADMISSION,
}  # fmt: skip
NODE_ONLY = {"operator": {"enabled": False}}


def every_container(objects: list[Manifest]) -> dict[str, Manifest]:
    """Of all pods, by name."""
    return {name: each for template in templates(objects) for name, each in containers(template["spec"]).items()}


# --- names and labels


def test_every_object_says_whose_it_is_and_where() -> None:
    for each in render(merged(FULL, {"namespace": {"create": True}})):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == labels["app.kubernetes.io/part-of"] == "memguard"
        assert labels["app.kubernetes.io/instance"] == "memguard"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/component"]
        assert labels["helm.sh/chart"] == "memguard-0.1.0"
        assert (each["metadata"].get("namespace") is None) == (each["kind"] in CLUSTER_SCOPED), each["kind"]


def test_selectors_are_what_never_changes() -> None:
    """A selector cannot be changed: neither version nor label of the user's is in one."""
    dressed = merged(FULL, {"commonLabels": {"team": "a"}, "node": {"podLabels": {"tier": "b"}}})
    objects = [*render(dressed), *of(render(merged(dressed, {"metrics": {"monitor": "service"}})), "ServiceMonitor")]
    for each in of(objects, "DaemonSet", "Deployment"):
        chosen = each["spec"]["selector"]["matchLabels"]
        assert chosen.keys() == {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
        worn = each["spec"]["template"]["metadata"]["labels"]
        assert chosen.items() <= worn.items()
        assert worn["team"] == "a"
        assert "helm.sh/chart" not in worn, "a new chart alone starts no pod anew"
    chooses = [each["spec"]["selector"] for each in of(objects, "PodDisruptionBudget", "PodMonitor", "ServiceMonitor")]
    chooses += [each["spec"]["podSelector"] for each in of(objects, "NetworkPolicy")]
    worn_by_pods = [pod["metadata"]["labels"] for pod in templates(objects)]
    for selector in chooses:
        found = [labels for labels in worn_by_pods if selector["matchLabels"].items() <= labels.items()]
        assert len(found) == 1


def test_a_label_of_the_users_cannot_break_a_selector() -> None:
    stolen = {"app.kubernetes.io/component": "stolen"}
    objects = render({"commonLabels": stolen, "node": {"podLabels": stolen}})
    daemon_set = one(objects, "DaemonSet", "memguard-node")
    chosen = daemon_set["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= daemon_set["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("memguard", {}, "memguard"),
        ("blue", {}, "blue-memguard"),
        ("my-memguard", {}, "my-memguard"),
        ("blue", {"nameOverride": "mg"}, "blue-mg"),
        ("blue", {"fullnameOverride": "guard"}, "guard"),
        ("r" * 53, {}, "r" * 40),
    ],
)
def test_names_begin_with_the_releases(release: str, values: dict[str, Any], name: str) -> None:
    given = merged(merged(FULL, {"clusterPolicy": None}), values)
    ran = helm("template", release, str(CHART), "--namespace", NAMESPACE, values=given)
    assert ran.returncode == 0, ran.stderr
    names = {
        each["metadata"]["name"]
        for each in yaml.load_all(ran.stdout, yaml.CSafeLoader)
        if each["kind"] != "CustomResourceDefinition"
    }
    assert all(found == name or found.startswith(f"{name}-") for found in names)
    assert max(map(len, names)) <= 63


def test_another_namespace_is_everywhere() -> None:
    given = {"namespaceOverride": "guards", "namespace": {"create": True}, "crds": {"enabled": False}}
    given["clusterPolicy"] = None  # Helm's mark on its hook names the release's namespace
    text = rendered(merged(FULL, given))
    assert NAMESPACE not in text
    assert "system:serviceaccount:guards:memguard-agent" in text


def test_nothing_has_the_same_name_twice() -> None:
    found = [(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in render(FULL)]
    assert len(found) == len(set(found))


# --- images


@pytest.mark.parametrize(
    ("values", "node", "operator"),
    [
        ({}, "memguard-node:0.1.0", "memguard-operator:0.1.0"),
        ({"image": {"registry": "r.io/x"}}, "r.io/x/memguard-node:0.1.0", "r.io/x/memguard-operator:0.1.0"),
        ({"image": {"tag": "t"}, "node": {"image": {"tag": "n"}}}, "memguard-node:n", "memguard-operator:t"),
        (
            {"image": {"tag": "t"}, "node": {"image": {"digest": f"sha256:{'a' * 64}"}}},
            f"memguard-node@sha256:{'a' * 64}",
            "memguard-operator:t",
        ),
    ],
)  # fmt: skip
def test_images_are_named_once(values: dict[str, Any], node: str, operator: str) -> None:
    found = every_container(render(values | {"profile": "enforce"}))
    assert {name: each["image"] for name, each in found.items()} == {
        "supervisor": node,
        "guard": node,
        "agent": node,
        "clean-up": node,
        "operator": operator,
    }


# --- what may be left out


def test_without_the_operator_nothing_of_it_is_left() -> None:
    text = rendered(merged(FULL, NODE_ONLY))
    objects = render(merged(FULL, NODE_ONLY))
    assert not [each for each in objects if each["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"]
    assert "memguard-operator" not in re.sub(r"resourceNames: \[memguard-operator\]", "", text)


def test_each_part_can_be_left_out() -> None:
    off = {"enabled": False}
    created = {"create": False}
    bare = {"crds": off, "admission": off, "cleanUp": off, "rbac": created, "operator": off}
    objects = render(bare | {"agent": {"serviceAccount": {"create": False, "name": "ours"}}})
    assert sorted(each["kind"] for each in objects) == ["ConfigMap", "DaemonSet"]
    assert templates(objects)[0]["spec"]["serviceAccountName"] == "ours"


def test_the_roles_are_bound_to_the_accounts_that_the_pods_have() -> None:
    given = {"agent": {"serviceAccount": {"name": "a"}}, "operator": {"serviceAccount": {"name": "o"}}}
    objects = render(given)
    made = {each["metadata"]["name"] for each in of(objects, "ServiceAccount")}
    held = {each["spec"]["template"]["spec"]["serviceAccountName"] for each in of(objects, "DaemonSet", "Deployment")}
    bound = {
        subject["name"] for each in of(objects, "ClusterRoleBinding", "RoleBinding") for subject in each["subjects"]
    }
    assert made == held == bound == {"a", "o"}
    said = json.dumps(of(objects, *ADMISSION))
    assert f"system:serviceaccount:{NAMESPACE}:a" in said
    assert f"system:serviceaccount:{NAMESPACE}:o" in said


def test_extra_objects_are_templates() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}-text'}\n"
    table = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-table"}}
    found = [each["metadata"]["name"] for each in render({"extraObjects": [text, table]}) if each["kind"] == "Secret"]
    assert sorted(found) == ["memguard-table", "memguard-text"]


# --- definitions


def definitions(*values: dict[str, Any]) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in of(render(*values), "CustomResourceDefinition")}


def test_the_definitions_are_those_of_the_repository() -> None:
    source = {
        each["metadata"]["name"]: each
        for each in (yaml.safe_load(p.read_text()) for p in (CHART.parents[1] / "crds").glob("*.yaml"))
    }
    found = definitions()
    assert found.keys() == source.keys()
    for name, each in found.items():
        assert {key: each[key] for key in ("apiVersion", "kind", "spec")} == {
            key: source[name][key] for key in ("apiVersion", "kind", "spec")
        }
        assert source[name]["metadata"]["labels"].items() <= each["metadata"]["labels"].items()


def test_definitions_stay_only_where_they_shall() -> None:
    policy = "helm.sh/resource-policy"
    assert not [each for each in definitions().values() if policy in each["metadata"].get("annotations", {})]
    kept = definitions({"crds": {"keep": True, "annotations": {"a": "b"}}}).values()
    assert [each["metadata"]["annotations"] for each in kept] == [{policy: "keep", "a": "b"}] * 4
    assert not definitions({"crds": {"enabled": False}})


# --- configuration


def guard_toml(values: dict[str, Any]) -> Config:
    text = one(render(values), "ConfigMap", "memguard-node")["data"]["guard.toml"]
    config = parse_config(text.encode(), "guard.toml")
    require_no_plan(config, "guard.toml")
    return config


def test_the_guards_configuration_is_read_as_it_is_meant() -> None:
    assert guard_toml({}) == Config(cgroup_root="/host/sys/fs/cgroup")
    tuning = {"tickFloorSeconds": 0.01, "fastestFillBytesPerSecond": 25_000_000_000, "hold": False}
    found = guard_toml({"profile": "enforce", "guard": {"tuning": tuning, "critical": ["kubelet", 'a"b']}})
    assert found.sysctl_root == "/host/proc/sys"
    assert found.critical == ("kubelet", 'a"b')
    assert (found.tuning.tick_floor_seconds, found.tuning.hold) == (0.01, False)
    assert found.tuning.fastest_fill_bytes_per_second == 25e9


def test_a_new_configuration_starts_the_guard_anew_and_a_new_label_does_not() -> None:
    def template(values: dict[str, Any]) -> Manifest:
        found: Manifest = one(render(values), "DaemonSet", "memguard-node")["spec"]["template"]
        return found

    assert template({}) != template({"guard": {"tuning": {"hold": False}}})
    assert template({}) == template({"operator": {"replicas": 3}})


@pytest.mark.parametrize(("profile", "may"), [("observe", False), ("enforce", True)])
def test_an_operator_that_only_observes_may_neither_evict_nor_resize(profile: str, may: bool) -> None:
    role = one(render({"profile": profile}), "ClusterRole", "memguard-operator")
    granted = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert ({"pods/eviction", "pods/resize"} <= granted, "pods/eviction" in granted) == (may, may)


def test_the_operators_own_taint_does_not_keep_it_away() -> None:
    """On a cluster whose nodes all have it nobody would be left who takes it off."""
    other = {"key": "infra", "operator": "Exists"}
    for given in ([], [other]):
        pod = one(render({"operator": {"tolerations": given}}), "Deployment", "memguard-operator")["spec"]["template"]
        assert pod["spec"]["tolerations"] == [{"key": KEY, "operator": "Exists"}, *given]


def test_the_operators_command_line_is_a_good_one() -> None:
    operator = every_container(render({"operator": {"keepDays": 0.5}}))["operator"]
    found = operator_arguments(operator["args"][1:])
    assert operator["args"][0] == "operator"
    assert (found.namespace, found.keep_days, found.keep_decisions) == (NAMESPACE, 0.5, 5000)
    assert found.listen == f":{operator['ports'][0]['containerPort']}"


# --- pods


def test_confinement_can_be_chosen() -> None:
    localhost = {"type": "Localhost", "localhostProfile": "memguard-guard.json"}
    guard = {
        "seccompProfile": localhost,
        "appArmorProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"type": "x"},
    }
    made = every_container(render({"profile": "enforce", "guard": guard}))
    found = {name: each["securityContext"] for name, each in made.items()}
    for name in ("guard", "supervisor"):
        assert found[name]["seccompProfile"] == localhost
        assert found[name]["seLinuxOptions"] == {"type": "x"}
    assert found["guard"]["appArmorProfile"] == {"type": "RuntimeDefault"}
    assert not {"seccompProfile", "seLinuxOptions"} & found["agent"].keys()


# --- monitoring


@pytest.mark.row("K4")
def test_monitors_give_each_sample_its_node_and_a_steady_job() -> None:
    for monitor, kind, key in (
        ("pod", "PodMonitor", "podMetricsEndpoints"),
        ("service", "ServiceMonitor", "endpoints"),
    ):
        jobs = []
        for each in of(render({"metrics": {"monitor": monitor}}), "PodMonitor", "ServiceMonitor"):
            assert each["kind"] == kind, "with both every sum would double"
            [endpoint] = each["spec"][key]
            node, job = endpoint["relabelings"]
            assert node == {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
            assert (endpoint["honorLabels"], job["targetLabel"]) == (True, "job")
            jobs.append(job["replacement"])
        assert jobs == ["memguard-node", "memguard-operator"]
    assert not of(render({"metrics": {"monitor": "none"}}), "PodMonitor", "ServiceMonitor", "Service")


@pytest.mark.row("K4")
def test_alerts_are_those_of_the_file_and_lead_to_the_runbooks() -> None:
    text = (CHART / "files/alerts.yaml").read_text().replace("RUNBOOKS/", "https://r.example/x/")
    values = {"prometheusRule": {"enabled": True, "runbooks": "https://r.example/x/"}}
    assert one(render(values), "PrometheusRule", "memguard")["spec"] == yaml.safe_load(text)
    assert "https://r.example/x/" in text


def test_alerts_lead_nowhere_where_nobody_serves_the_runbooks() -> None:
    groups = one(render({"prometheusRule": {"enabled": True}}), "PrometheusRule", "memguard")["spec"]["groups"]
    source = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
    for rule in (rule for group in source for rule in group["rules"]):
        del rule["annotations"]["runbook_url"]
    assert groups == source


@pytest.mark.row("K4")
def test_dashboards_come_as_they_are_in_a_map_each() -> None:
    files = {path.name: path.read_text() for path in (CHART / "files/dashboards").glob("*.json")}
    objects = render({"dashboards": {"enabled": True}})
    maps = [each for each in of(objects, "ConfigMap") if each["metadata"]["labels"].get("grafana_dashboard") == "1"]
    found = {name: text for each in maps for name, text in each["data"].items()}
    assert files
    assert {name: json.loads(text) for name, text in found.items()} == {
        name: json.loads(text) for name, text in files.items()
    }
    assert all(each["metadata"]["annotations"]["grafana_folder"] == "memguard" for each in maps)
    assert all(len(each["data"]) == 1 for each in maps)


# --- hooks


def hooks(values: dict[str, Any], *options: str) -> dict[str, str]:
    """By kind, when."""
    return {
        each["kind"]: each["metadata"]["annotations"]["helm.sh/hook"]
        for each in render(values, *options)
        if is_hook(each)
    }


CLEAN_UP = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job"}
POLICY = {"clusterPolicy": {"budget": {"perNode": 7}}}


def test_the_clean_up_comes_after_the_operator() -> None:
    assert hooks({}) == dict.fromkeys(CLEAN_UP, "post-delete")
    assert hooks(NODE_ONLY) == dict.fromkeys(CLEAN_UP, "post-delete,post-upgrade,post-rollback")
    assert hooks({"cleanUp": {"enabled": False}}) == {}


def test_the_clean_ups_way_to_the_api_server_stays_as_long_as_it_does() -> None:
    """Where the network denies by default a policy of the release would be gone before the Job runs."""
    objects = render({"networkPolicy": {"enabled": True}})
    [policy] = [each for each in objects if each["kind"] == "NetworkPolicy" and is_hook(each)]
    job = one(objects, "Job", "memguard-clean-up")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert hooks({"networkPolicy": {"enabled": True}}) == dict.fromkeys({*CLEAN_UP, "NetworkPolicy"}, "post-delete")


def test_the_clean_up_cannot_hang_and_leaves_nothing_of_itself() -> None:
    found = [each for each in render({"networkPolicy": {"enabled": True}}) if is_hook(each)]
    for each in found:
        policy = each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"
    job = one(found, "Job", "memguard-clean-up")["spec"]
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (120, 3)
    assert job["template"]["spec"]["tolerations"] == [{"operator": "Exists"}], f"{KEY} among them"
    [container] = job["template"]["spec"]["containers"]
    assert container["args"][0] == "clean-up"
    assert clean_up_arguments(container["args"][1:]).namespace == NAMESPACE


def test_the_accounts_of_the_clean_up_come_before_it() -> None:
    weights = {
        each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in render() if is_hook(each)
    }
    assert weights.pop("Job") > max(weights.values())


def test_the_clean_up_may_only_what_it_does() -> None:
    found = [each for each in render() if is_hook(each)]
    rules = [
        (resource, frozenset(rule["verbs"]), tuple(rule.get("resourceNames", ())))
        for each in found
        for rule in each.get("rules", ())
        for resource in rule["resources"]
    ]
    assert sorted(rules, key=str) == sorted(
        [
            ("nodes", frozenset({"list", "patch"}), ()),
            ("leases", frozenset({"create"}), ()),
            ("leases", frozenset({"get", "patch", "delete"}), ("memguard-operator",)),
            ("configmaps", frozenset({"delete"}), ("memguard-experience",)),
        ],
        key=str,
    )


def test_the_cluster_policy_waits_for_its_definition() -> None:
    kind = "ClusterMemoryGuardPolicy"
    assert hooks(POLICY)[kind] == "post-install,post-rollback"
    known = ("--api-versions", "memguard.io/v1alpha1/ClusterMemoryGuardPolicy")
    assert kind not in hooks(POLICY, *known)
    assert one(render(POLICY, *known), kind, "default")["spec"] == POLICY["clusterPolicy"]
    assert not [each for each in render() if each["kind"] == kind]


# --- what people read after an installation


def notes(values: dict[str, Any]) -> str:
    """As `helm install` prints them; a dry run on the client needs no cluster."""
    ran = helm("install", "memguard", str(CHART), "--dry-run=client", "--namespace", "guards", values=values)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.partition("NOTES:\n")[2]


@pytest.mark.row("K5")
def test_the_notes_say_which_mode_is_on_and_what_comes_next() -> None:
    observing, enforcing = notes({}), notes({"profile": "enforce", **NODE_ONLY, "crds": {"keep": True}})
    assert "profile observe" in observing
    assert "It observes, and cannot do more" in observing
    assert "kubectl memguard scorecard" in observing
    assert "The operator records what it would evict" in observing
    assert "takes all policies and records with it" in observing
    assert "profile enforce" in enforcing
    assert "It may act" in enforcing
    assert "kubectl memguard pause --all" in enforcing
    assert "mode: Enforce" in enforcing
    assert "The operator evicts" not in enforcing
    assert "takes all policies" not in enforcing
    assert all("-n guards" in text for text in (observing, enforcing))
    assert "add it to the\nprotected namespaces" in observing
    assert "protected namespaces" not in notes({"clusterPolicy": {"settings": {"protectedNamespaces": ["guards"]}}})
    assert max(map(len, observing.splitlines() + enforcing.splitlines())) <= 120
