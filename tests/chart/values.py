"""Values to render with: all that can be switched on, and for each value another one that the schema takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from e2e.helm import CHART, merged

Path = tuple[str, ...]

#: Everything is there that a value can be about.
FULL: dict[str, Any] = {
    "profile": "enforce",
    "clusterPolicy": {"budget": {"perNode": 10}},
    "metrics": {"monitor": "pod"},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "resourceQuota": {"enabled": True},
}
MAP = {"example.com/changed": "changed"}
TOLERATIONS = [{"key": "changed", "operator": "Exists"}]
RELABELINGS = [{"sourceLabels": ["changed"], "targetLabel": "changed"}]
PEERS = [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
#: Another value by the end of its path; numbers and switches have theirs by what they are.
OTHERS: dict[str, Any] = {
    "profile": "observe",
    "monitor": "service",
    "image.registry": "registry.example.com/changed",
    "repository": "changed",
    "tag": "changed",
    "digest": f"sha256:{'c' * 64}",
    "pullPolicy": "Never",
    "imagePullSecrets": [{"name": "changed"}],
    "nameOverride": "changed",
    "fullnameOverride": "changed",
    "namespaceOverride": "changed",
    "namespace": "changed",
    "commonLabels": MAP,
    "commonAnnotations": MAP,
    "labels": MAP,
    "annotations": MAP,
    "podLabels": MAP,
    "podAnnotations": MAP,
    "clusterPolicy": {"settings": {"protectedNamespaces": ["changed"]}},
    "priorityClassName": "changed",
    "node.updateStrategy.type": "OnDelete",
    "operator.updateStrategy.type": "Recreate",
    "maxUnavailable": "37%",
    "kubernetes.io/os": "changed",
    "tolerations": TOLERATIONS,
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 3, "topologyKey": "changed", "whenUnsatisfiable": "DoNotSchedule"}],
    "cpu": "37m",
    "memory": "37Mi",
    "seccompProfile.type": "Unconfined",
    "appArmorProfile.type": "RuntimeDefault",
    "seLinuxOptions": {"type": "spc_t"},
    "tuning": {"tickCeilingSeconds": 0.37, "hold": False},
    "critical": ["changed"],
    "extraArgs": ["--changed"],
    "extraEnv": [{"name": "CHANGED", "value": "changed"}],
    "serviceAccount.name": "changed",
    "metricsFrom": PEERS,
    "apiServer": PEERS,
    "apiServerPorts": [37],
    "interval": "37s",
    "scrapeTimeout": "7s",
    "relabelings": RELABELINGS,
    "metricRelabelings": RELABELINGS,
    "runbooks": "https://changed.example.com",
    "grafana_dashboard": "changed",
    "grafana_folder": "changed",
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changed"}}],
}


def defaults() -> dict[str, Any]:
    """What values.yaml holds."""
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def leaves(table: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no table of values."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def another(path: Path, value: Any) -> Any:
    """A value that is not the default."""
    if isinstance(value, bool):
        return not _at(merged(defaults(), FULL), path)
    endings = (".".join(path[start:]) for start in range(len(path)))
    ending = next((ending for ending in endings if ending in OTHERS), None)
    if ending is not None:
        return OTHERS[ending]
    assert isinstance(value, int), f"{'.'.join(path)}: tests/chart/values.py knows no other value"
    return value + 37


def placed(path: Sequence[str], value: Any) -> dict[str, Any]:
    """Values with only this one."""
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def _at(table: Any, path: Path) -> Any:
    for name in path:
        table = table[name]
    return table
