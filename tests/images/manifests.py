"""The manifests in deploy/, taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def one(profile: str, kind: str) -> dict[str, Any]:
    return next(document for document in documents(DEPLOY / profile / "node.yaml") if document["kind"] == kind)


def pod(profile: str) -> dict[str, Any]:
    found: dict[str, Any] = one(profile, "DaemonSet")["spec"]["template"]["spec"]
    return found


def containers(profile: str) -> dict[str, dict[str, Any]]:
    spec = pod(profile)
    return {container["name"]: container for container in (*spec.get("initContainers", ()), *spec["containers"])}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
