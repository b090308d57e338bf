"""Our kinds on a real API server: their definitions, and objects of them as people and programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from e2e.workloads import eventually

from memguard.api.definitions import DEFINITIONS
from memguard.api.meta import API_VERSION

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "kinds"
SYSTEM_NAMESPACE = "memguard-system"


def install(plane: ControlPlane) -> None:
    """The definitions, as `kubectl apply` gives them, ready to be used; and a namespace to use them in."""
    plane.kubectl("apply", "--validate=strict", "-f", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
    eventually(lambda: _explained(plane), "the server describes our kinds")
    plane.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    )


def _explained(plane: ControlPlane) -> bool:
    """Established is not described yet: the server writes its schemas one by one, behind it."""
    try:
        return all(plane.kubectl("explain", definition.plural) for definition in DEFINITIONS)
    except LabError:
        return False


def thing(kind: str, name: str = "a", **parts: Any) -> dict[str, Any]:
    """An object; policies and decisions stand in the tests' namespace."""
    metadata = {"name": name}
    if kind in ("MemoryGuardPolicy", "MemoryGuardDecision"):
        metadata["namespace"] = NAMESPACE
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, **parts}


def made(plane: ControlPlane, one: dict[str, Any], *options: str) -> dict[str, Any]:
    """The object as the server made it, validated as strictly as it can."""
    written = plane.kubectl("create", "--validate=strict", "-f", "-", "-o", "json", *options, stdin=json.dumps(one))
    found: dict[str, Any] = json.loads(written)
    return found


def refusal(plane: ControlPlane, one: dict[str, Any], *options: str) -> str:
    """What a person reads whose object the server does not take."""
    with pytest.raises(LabError) as refused:
        made(plane, one, "--dry-run=server", *options)
    return " ".join(str(refused.value).split())
