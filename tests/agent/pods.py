"""Pods as the API server shows them, decoded as the agent decodes them."""

from __future__ import annotations

import json
from typing import Any

from memguard.kube.codec import Codec
from memguard.kube.objects import Pod

_codec = Codec(Pod)
STARTED = "2026-11-23T06:00:00Z"
ENDED = "2026-11-23T07:00:00Z"


def key(letter: str) -> str:
    return letter * 64


def running(name: str, letter: str, **facts: Any) -> dict[str, Any]:
    """A container's status."""
    return {
        "name": name,
        "containerID": f"containerd://{key(letter)}",
        "restartCount": 0,
        "state": {"running": {"startedAt": STARTED}},
    } | facts


def waiting(name: str, letter: str, reason: str = "CrashLoopBackOff", **facts: Any) -> dict[str, Any]:
    return running(name, letter, **({"state": {"waiting": {"reason": reason}}} | facts))


def ended(letter: str, reason: str = "OOMKilled", at: str = ENDED) -> dict[str, Any]:
    """A state: the container ended."""
    terminated = {"reason": reason, "exitCode": 137, "finishedAt": at, "containerID": f"containerd://{key(letter)}"}
    return {"terminated": terminated}


def described(
    name: str = "cart",
    *,
    statuses: list[dict[str, Any]] | None = None,
    containers: list[dict[str, Any]] | None = None,
    meta: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """As JSON: by default one container `app`, which runs."""
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"} | (meta or {})
    if statuses is None:
        statuses = [running("app", "a")]
    return {
        "metadata": metadata,
        "spec": {"containers": containers or [{"name": "app"}], "nodeName": "node-a"} | (spec or {}),
        "status": {"qosClass": "Burstable", "containerStatuses": statuses} | (status or {}),
    }


def pod(name: str = "cart", **facts: Any) -> Pod:
    return _codec.object(json.dumps(described(name, **facts)).encode())
