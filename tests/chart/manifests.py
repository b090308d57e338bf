"""The chart as the real Helm renders it, and its objects taken apart."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from e2e.helm import CHART, NAMESPACE, RELEASE, helm

#: The kinds that make up who may do what to our objects.
ADMISSION = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
PROFILES = ("observe", "enforce")

Manifest = dict[str, Any]


def rendered(values: Mapping[str, Any] | None = None, *options: str, chart: Path = CHART, program: str = "helm") -> str:
    """The manifests with these values, as text."""
    return _rendered(json.dumps(values or {}), options, chart, program)


def render(
    values: Mapping[str, Any] | None = None, *options: str, chart: Path = CHART, program: str = "helm"
) -> list[Manifest]:
    """The objects with these values, those of hooks among them; comments alone make none."""
    found: list[Manifest] = json.loads(_objects(json.dumps(values or {}), options, chart, program))
    return found


def refusal(values: Mapping[str, Any]) -> str:
    """What a person reads whose values are not taken."""
    ran = _templated(values)
    assert ran.returncode, "it was taken"
    return ran.stderr


def _templated(
    values: Mapping[str, Any], *options: str, chart: Path = CHART, program: str = "helm"
) -> subprocess.CompletedProcess[str]:
    command = ("template", RELEASE, str(chart), "--namespace", NAMESPACE, *options)
    return helm(*command, values=values, program=program)


@functools.lru_cache(maxsize=64)
def _rendered(values: str, options: tuple[str, ...], chart: Path, program: str) -> str:
    ran = _templated(json.loads(values), *options, chart=chart, program=program)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@functools.lru_cache(maxsize=64)
def _objects(values: str, options: tuple[str, ...], chart: Path, program: str) -> str:
    """As JSON, which is read anew for everybody: they may change what they get."""
    text = _rendered(values, options, chart, program)
    return json.dumps([each for each in yaml.load_all(text, yaml.CSafeLoader) if each])


def one(objects: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """An object by kind and name."""
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def of(objects: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds that the release holds: hooks come and go by themselves."""
    return [each for each in objects if each["kind"] in kinds and not is_hook(each)]


def is_hook(one: Manifest) -> bool:
    """Helm makes it at an event, and it is no part of the release."""
    return "helm.sh/hook" in one["metadata"].get("annotations", {})


def as_list(objects: Iterable[Manifest]) -> str:
    """As kubectl takes them all at once."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def templates(objects: Iterable[Manifest]) -> list[Manifest]:
    """The pod templates of all that makes pods."""
    return [each["spec"]["template"] for each in objects if "template" in each.get("spec", {})]


def containers(spec: Manifest) -> dict[str, Manifest]:
    """A pod's containers by name, those that are started before it among them."""
    return {each["name"]: each for each in (*spec.get("initContainers", ()), *spec["containers"])}


def mounts(container: Manifest) -> dict[str, str]:
    """Where its volumes are, by their names."""
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def node_object(profile: str, kind: str) -> Manifest:
    """What the chart makes for the nodes: the DaemonSet, or its ConfigMap."""
    return one(render({"profile": profile}), kind, "memguard-node")


def node_pod(profile: str) -> Manifest:
    """The spec of the pods on the nodes."""
    found: Manifest = node_object(profile, "DaemonSet")["spec"]["template"]["spec"]
    return found
