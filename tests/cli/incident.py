"""A small incident in the public format: a leak eats the node beside a large service and a cache-heavy database.

Written as plain JSON, not with our own types, so that the format itself is what is tested.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

MIB = 1 << 20
START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SECONDS = 22
LEAK, SERVICE, DATABASE, DNS = (f"{number:064x}" for number in (1, 2, 3, 4))


def snapshot(second: int) -> dict[str, Any]:
    """The node after so many seconds; the leak takes 40 MiB in each."""
    return {
        "apiVersion": "memguard.io/snapshot/v1",
        "takenAt": (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z"),
        "node": {
            "name": "node-a",
            "uptimeSeconds": 86400.0 + second,
            "cpus": 4,
            "memory": {
                "totalBytes": 2048 * MIB,
                "availableBytes": (900 - 40 * second) * MIB,
                "swapTotalBytes": 0,
                "swapFreeBytes": 0,
            },
        },
        "containers": [
            _container(LEAK, "cart-7d9", anon_mib=100 + 40 * second, cache_mib=4, request_mib=64),
            _container(SERVICE, "search-0", anon_mib=620, cache_mib=20, request_mib=640, limit_mib=1024),
            _container(DATABASE, "orders-0", anon_mib=90, cache_mib=500, request_mib=256),
            _container(DNS, "dns-x2", anon_mib=18, cache_mib=4, request_mib=32, namespace="kube-system"),
        ],
    }


def lines() -> list[dict[str, Any]]:
    """The whole trace: a header, then one snapshot a second until the node is dry."""
    header = {"type": "header", "at": START.isoformat(), "version": "0.1.0"}
    return [header, *(snapshot(second) for second in range(SECONDS))]


def write_trace(path: Path, trace: list[dict[str, Any]] | None = None) -> Path:
    """Write a trace, packed when its name says so."""
    text = "".join(json.dumps(line) + "\n" for line in trace or lines()).encode()
    # A packed file holds its time of packing; without it, equal traces are equal files.
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


def _container(
    container_id: str,
    pod: str,
    *,
    anon_mib: int,
    cache_mib: int,
    request_mib: int,
    limit_mib: int | None = None,
    namespace: str = "shop",
) -> dict[str, Any]:
    return {
        "id": container_id,
        "cgroup": f"kubepods.slice/kubepods-burstable.slice/pod-{pod}.slice/cri-containerd-{container_id}.scope",
        "namespace": namespace,
        "pod": pod,
        "podUid": f"uid-{pod}",
        "name": "app",
        "qos": "Burstable",
        "restartPolicy": "Always",
        "startedAt": "2026-11-23T04:00:00Z",
        "oomScoreAdj": 950,
        "requestBytes": request_mib * MIB,
        "limitBytes": None if limit_mib is None else limit_mib * MIB,
        "memory": {
            "currentBytes": (anon_mib + cache_mib + 2) * MIB,
            "anonBytes": anon_mib * MIB,
            "fileBytes": cache_mib * MIB,
            "kernelBytes": 2 * MIB,
        },
    }
