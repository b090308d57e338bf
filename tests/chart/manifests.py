"""The chart as the real Helm renders it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from e2e.lab import binaries

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "memguard"
RELEASE, NAMESPACE = "memguard", "memguard-system"
#: The kinds that make up who may do what to our objects.
ADMISSION = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")

Manifest = dict[str, Any]


def helm(
    *arguments: str, stdin: str | None = None, chart: Path = CHART, program: str = "helm"
) -> subprocess.CompletedProcess[str]:
    """What it did; `CHART` among the arguments stands for the chart. `program`: "helm", or "helm3"."""
    words = [str(chart) if word == "CHART" else word for word in arguments]
    command = [str(binaries.tool(program)), *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


def templated(values: Mapping[str, Any] | None, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values."""
    command = ("template", RELEASE, "CHART", "--namespace", NAMESPACE, "--values", "-", *options)
    return helm(*command, stdin=json.dumps(values or {}), **more)


def rendered(values: Mapping[str, Any] | None = None, *options: str, **more: Any) -> str:
    """The manifests with these values, as text."""
    ran = templated(values, *options, **more)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def render(values: Mapping[str, Any] | None = None, *options: str, **more: Any) -> list[Manifest]:
    """The objects with these values, those of hooks among them; comments alone make none."""
    return [one for one in yaml.load_all(rendered(values, *options, **more), yaml.CSafeLoader) if one]


def refusal(values: Mapping[str, Any]) -> str:
    """What a person reads whose values are not taken."""
    ran = templated(values)
    assert ran.returncode, "it was taken"
    return ran.stderr


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
