"""What the operator reads, decoded as it decodes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from memguard.controller.resources import RecordedDecision, ReportedNode
from memguard.kube.codec import Codec
from memguard.kube.objects import Node

MIB, GIB = 1 << 20, 1 << 30
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)

_reports, _nodes, _records = Codec(ReportedNode), Codec(Node), Codec(RecordedDecision)


def moment(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def entry(key: str = "a", mib: int = 100, **more: Any) -> dict[str, Any]:
    """One of a report's top."""
    return {"id": key, "score": 500, "footprintBytes": mib * MIB, **more}


def reported(
    name: str = "node-a", *, at: float = 0.0, owner: str = "uid-node-a", spec: Any = None, **status: Any
) -> ReportedNode:
    """A node of 2 GiB that has half a GiB left, as its agent says `at` so many seconds."""
    owners = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner}] if owner else []
    usual = {
        "observedAt": moment(at),
        "level": "Tight",
        "totalBytes": 2 * GIB,
        "availableBytes": GIB // 2,
        "reserveBytes": 123 * MIB,
        "top": [entry()],
    }
    metadata = {"name": name, "resourceVersion": "1", "ownerReferences": owners}
    return _reports.object(json.dumps({"metadata": metadata, "spec": spec or {}, "status": usual | status}).encode())


def node(name: str = "node-a", **facts: Any) -> Node:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    return _nodes.object(json.dumps({"metadata": metadata, **facts}).encode())


def described(
    name: str = "kill-1",
    *,
    at: float = 0.0,
    action: str = "kill",
    pod: str = "cart",
    workload: str = "shop/Deployment/cart/app",
    phase: str | None = "Done",
    freed: int | None = GIB,
    **spec: Any,
) -> dict[str, Any]:
    """A decision's record, as JSON."""
    victim = {"id": f"id-{pod}", "namespace": "shop", "pod": pod, "podUid": f"uid-{pod}", "name": "app"}
    usual = {
        "node": "node-a",
        "takenAt": moment(at),
        "mode": "Enforce",
        "action": action,
        "trigger": "line",
        "victim": victim | {"workload": workload},
        "expectedBytes": GIB,
    }
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": usual | spec, "status": {"phase": phase, "freedBytes": freed}}


def record(name: str = "kill-1", **facts: Any) -> RecordedDecision:
    return _records.object(json.dumps(described(name, **facts)).encode())
