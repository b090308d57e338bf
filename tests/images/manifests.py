"""The chart's objects in both profiles, taken apart."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tests.chart import helm

#: What the images and the nodes need beside the chart.
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@functools.cache
def documents(profile: str) -> tuple[dict[str, Any], ...]:
    return tuple(helm.render({"profile": profile}))


def one(profile: str, kind: str) -> dict[str, Any]:
    return next(each for each in documents(profile) if each["kind"] == kind)


def pod(profile: str) -> dict[str, Any]:
    found: dict[str, Any] = one(profile, "DaemonSet")["spec"]["template"]["spec"]
    return found


def containers(profile: str) -> dict[str, dict[str, Any]]:
    spec = pod(profile)
    return {container["name"]: container for container in (*spec.get("initContainers", ()), *spec["containers"])}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
