"""What others say of the chart: Helm's linter, Kubernetes' own schemas, kube-score."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from e2e.helm import CHART, helm, merged
from e2e.lab import binaries
from jsonschema import Draft7Validator
from tests.chart.manifests import Manifest, render, rendered
from tests.chart.values import FULL

#: The three newest minors that Kubernetes' published schemas have.
MINORS = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-3:]  # each is listed twice
CI = sorted((CHART / "ci").glob("*-values.yaml"))
MATRIX: dict[str, dict[str, Any]] = {
    **{path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) or {} for path in CI},
    "everything": FULL,
    "everything by services": merged(FULL, {"metrics": {"monitor": "service"}}),
    "everything observing": merged(FULL, {"profile": "observe"}),
    "nothing extra": {
        "admission": {"enabled": False},
        "rbac": {"create": False},
        "cleanUp": {"enabled": False},
        "crds": {"enabled": False},
        "operator": {"enabled": False},
        "agent": {"serviceAccount": {"create": False}},
    },
}
each = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)


@each
def test_helm_lints_it_strictly(values: dict[str, Any]) -> None:
    ran = helm("lint", "--strict", str(CHART), values=values)
    assert ran.returncode == 0, ran.stdout
    assert "[WARNING]" not in ran.stdout
    assert "[ERROR]" not in ran.stdout


@each
def test_helm_3_renders_the_same(values: dict[str, Any]) -> None:
    ran = helm("lint", "--strict", str(CHART), values=values, program="helm3")
    assert ran.returncode == 0, ran.stdout
    kubernetes = ("--kube-version", binaries.kubernetes_version())
    assert by_name(render(values, *kubernetes, program="helm3")) == by_name(render(values, *kubernetes))


def by_name(objects: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


# --- schemas

STRING = {"type": "string"}
STRINGS = {"type": "object", "additionalProperties": STRING}


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """As the API server takes an object: what it does not know is an error to it, too."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


RELABELING = closed(
    (), sourceLabels={"type": "array", "items": STRING}, targetLabel=STRING, replacement=STRING, regex=STRING,
    separator=STRING, action=STRING, modulus={"type": "integer"},
)  # fmt: skip
ENDPOINT = closed(
    ("port",), port=STRING, path=STRING, honorLabels={"type": "boolean"}, interval=STRING, scrapeTimeout=STRING,
    relabelings={"type": "array", "items": RELABELING}, metricRelabelings={"type": "array", "items": RELABELING},
)  # fmt: skip
SELECTOR = closed(("matchLabels",), matchLabels=STRINGS)
NAMESPACES = closed((), matchNames={"type": "array", "items": STRING}, any={"type": "boolean"})
RULE = closed(
    ("alert", "expr", "labels", "annotations"),
    alert=STRING, expr=STRING, labels=STRINGS, annotations=STRINGS, keep_firing_for=STRING, **{"for": STRING},
)  # fmt: skip
GROUP = closed(("name", "rules"), name=STRING, interval=STRING, rules={"type": "array", "items": RULE})
#: The Prometheus operator's kinds, as far as the chart uses them; its published definitions come with no package.
MONITORING = {
    "PodMonitor": closed(
        ("selector", "podMetricsEndpoints"),
        selector=SELECTOR,
        namespaceSelector=NAMESPACES,
        podMetricsEndpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
    ),
    "ServiceMonitor": closed(
        ("selector", "endpoints"),
        selector=SELECTOR,
        namespaceSelector=NAMESPACES,
        endpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
    ),
    "PrometheusRule": closed(("groups",), groups={"type": "array", "items": GROUP, "minItems": 1}),
}
OURS = "memguard.io/v1alpha1"


@pytest.mark.parametrize("minor", MINORS)
@each
def test_each_object_fits_its_schema(values: dict[str, Any], minor: str) -> None:
    """memguard's own kinds are judged by a real API server (tests/cluster/test_chart.py)."""
    judged = 0
    for one in render(values, "--kube-version", minor):
        group = one["apiVersion"].partition("/")[0]
        if group == "monitoring.coreos.com":
            Draft7Validator(MONITORING[one["kind"]]).validate(one["spec"])
        elif one["apiVersion"] != OURS:
            judge(json.dumps(one), minor)
            judged += 1
    assert judged


@functools.cache
def judge(one: str, minor: str) -> None:
    """Once, however many values make the same object."""
    kubernetes_validate.validate(json.loads(one), minor, strict=True)


def test_three_minors_are_judged() -> None:
    assert len(MINORS) == 3
    pinned = ".".join(binaries.kubernetes_version().removeprefix("v").split(".")[:2])
    assert pinned in {".".join(minor.split(".")[:2]) for minor in MINORS}, "the lab's own is among them"


def test_an_older_kubernetes_is_refused() -> None:
    ran = helm("template", "memguard", str(CHART), "--kube-version", "1.29.9")
    assert "chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.29.9" in ran.stderr


# --- kube-score

NODE, OPERATOR, CLEAN_UP = "DaemonSet/memguard-node", "Deployment/memguard-operator", "Job/memguard-clean-up"
#: What kube-score does not like, where, and why it stays.
EXCEPTIONS = {
    "container-image-pull-policy": (
        {NODE, OPERATOR, CLEAN_UP},
        "Always would ask a registry before a guard may start; image.pullPolicy sets it, a digest pins the image",
    ),
    "container-resources": (
        {NODE, OPERATOR, CLEAN_UP},
        "no CPU limit: a quota would stop the guard in the crisis, and the operator with it",
    ),
    "container-ephemeral-storage-request-and-limit": (
        {NODE, OPERATOR, CLEAN_UP},
        "kubelet evicts what is over such a limit; roots are read-only, and the one volume on disk has its own",
    ),
    "container-security-context-user-group-id": (
        {NODE},
        "the enforce profile's guard and supervisor are root: the cgroup files are",
    ),
    "deployment-has-host-podantiaffinity": ({OPERATOR}, "topologySpreadConstraints keep the replicas apart"),
}


def complaints(manifests: str) -> dict[str, set[str]]:
    """By check: the objects that kube-score does not like."""
    command = [str(binaries.tool("kube-score")), "score", "--kubernetes-version", "v1.35", "-o", "json", "-"]
    ran = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False, timeout=60)
    found: dict[str, set[str]] = {}
    for scored in json.loads(ran.stdout):
        one = f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}"
        for check in scored["checks"]:
            if not check["skipped"] and check["grade"] < 10:
                found.setdefault(check["check"]["id"], set()).add(one)
    return found


def test_kube_score_likes_it_but_for_what_is_explained() -> None:
    assert complaints(rendered(FULL)) == {check: where for check, (where, _) in EXCEPTIONS.items()}


def test_kube_score_asks_for_network_policies_which_are_a_choice() -> None:
    """Off by default: one that does not know where the API server is would cut off every agent."""
    assert set(complaints(rendered())) - EXCEPTIONS.keys() == {"pod-networkpolicy"}


# --- the chart's own papers


def papers() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return found


def test_it_is_of_the_programs_version() -> None:
    import memguard

    assert papers()["appVersion"] == memguard.__version__


def test_the_hubs_annotations_are_readable() -> None:
    from memguard.api.definitions import DEFINITIONS

    notes = papers()["annotations"]
    assert {one["name"] for one in yaml.safe_load(notes["artifacthub.io/crds"])} == {
        f"{definition.plural}.memguard.io" for definition in DEFINITIONS
    }
    assert {one["kind"] for one in yaml.safe_load(notes["artifacthub.io/changes"])} <= {"added", "changed", "fixed"}
    assert yaml.safe_load(notes["artifacthub.io/crdsExamples"])[0]["kind"] == "MemoryGuardPolicy"


def test_it_carries_its_license(tmp_path: Path) -> None:
    """And packages: what is ignored stays out."""
    assert (CHART / "LICENSE").read_text() == (CHART.parents[1] / "LICENSE").read_text()
    ran = helm("package", str(CHART), "--destination", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    [package] = tmp_path.glob("*.tgz")
    listed = subprocess.run(["tar", "-tzf", str(package)], capture_output=True, text=True, check=True).stdout
    assert "memguard/LICENSE" in listed
    assert "memguard/templates/crds/nodememories.yaml" in listed
    assert "/ci/" not in listed
    assert rendered(chart=package) == rendered()
