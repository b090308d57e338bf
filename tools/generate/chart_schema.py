"""The chart's values.schema.json: the words from values.yaml, the types from what stands there, and what is said here.

Unknown keys are refused at every level but in maps of the user's own (labels, selectors). What memguard itself reads,
the guard's tuning and the cluster policy, is described by its own types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from inspect import getsource
from pathlib import Path
from typing import Any

import msgspec
import yaml
from e2e.helm import CHART
from tools.generate.chart_values import Value, values

from memguard.api.crd import crd
from memguard.api.definitions import CLUSTER_POLICY
from memguard.controller.main import MOST_DECISIONS
from memguard.guard.config import Tuning

Schema = dict[str, Any]
PATH = CHART / "values.schema.json"


def closed(**properties: Schema) -> Schema:
    """An object with these keys and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def array(items: Schema) -> Schema:
    """A list of such."""
    return {"type": "array", "items": items}


STRING: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
AMOUNT: Schema = {"type": ["string", "integer"], "pattern": r"^\d+%?$", "minimum": 0}
#: As Kubernetes reads quantities of memory and CPU.
QUANTITY: Schema = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?(m|[kMGTPE]i?)?$", "exclusiveMinimum": 0}
STRINGS: Schema = {"type": "object", "additionalProperties": STRING}
QUANTITIES: Schema = {"type": "object", "additionalProperties": QUANTITY}
DURATION: Schema = {"type": "string", "pattern": r"^((\d+(ms|s|m|h))+)?$"}
NAME: Schema = {"type": "string", "pattern": r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"}
ANYTHING: Schema = {"type": "object"}
TOLERATION = closed(
    key=STRING,
    operator={"enum": ["Exists", "Equal", "Lt", "Gt"]},
    value=STRING,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    tolerationSeconds={"type": "integer"},
)
ROLLING = closed(maxUnavailable=AMOUNT, maxSurge=AMOUNT)
CONFINEMENT = closed(type={"enum": ["RuntimeDefault", "Localhost", "Unconfined"]}, localhostProfile=STRING)
SPREAD = closed(
    maxSkew={"type": "integer", "minimum": 1},
    minDomains={"type": "integer", "minimum": 1},
    topologyKey=STRING,
    whenUnsatisfiable={"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    nodeAffinityPolicy={"enum": ["Honor", "Ignore"]},
    nodeTaintsPolicy={"enum": ["Honor", "Ignore"]},
    matchLabelKeys=array(STRING),
)
PORTS = array({"type": "integer", "minimum": 1, "maximum": 65535})

#: What the value's own form does not say, by the end of its path; the longest that fits counts.
KNOWN: Mapping[str, Schema] = {
    "profile": {"enum": ["observe", "enforce"]},
    "monitor": {"enum": ["none", "pod", "service"]},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "registry": {"type": "string", "pattern": "[^/]$|^$"},
    "tag": {"type": "string", "pattern": r"^(\w[\w.-]{0,127})?$"},
    "digest": {"type": "string", "pattern": r"^(sha256:[a-f0-9]{64})?$"},
    "nameOverride": NAME | {"maxLength": 40},
    "fullnameOverride": NAME | {"maxLength": 40},
    "namespaceOverride": NAME | {"maxLength": 63},
    "namespace": NAME | {"maxLength": 63},
    "commonLabels": STRINGS,
    "labels": STRINGS,
    "podLabels": STRINGS,
    "nodeSelector": STRINGS,
    "commonAnnotations": STRINGS,
    "annotations": STRINGS,
    "podAnnotations": STRINGS,
    "imagePullSecrets": array(closed(name=STRING)),
    "resources": closed(requests=QUANTITIES, limits=QUANTITIES),
    "guard.resources": closed(requests=QUANTITIES, limits=closed(memory=QUANTITY)),
    "tolerations": array(TOLERATION),
    "affinity": closed(nodeAffinity=ANYTHING, podAffinity=ANYTHING, podAntiAffinity=ANYTHING),
    "topologySpreadConstraints": array(SPREAD),
    "node.updateStrategy": closed(type={"enum": ["RollingUpdate", "OnDelete"]}, rollingUpdate=ROLLING),
    "operator.updateStrategy": closed(type={"enum": ["RollingUpdate", "Recreate"]}, rollingUpdate=ROLLING),
    "maxUnavailable": AMOUNT,
    "seccompProfile": CONFINEMENT,
    "appArmorProfile": CONFINEMENT,
    "seLinuxOptions": closed(level=STRING, role=STRING, type=STRING, user=STRING),
    "critical": array({"type": "string", "minLength": 1, "maxLength": 15}),
    "extraArgs": array({"type": "string", "pattern": "^--"}),
    "extraEnv": array(closed(name=STRING, value=STRING, valueFrom=ANYTHING) | {"required": ["name"]}),
    "keepDays": {"type": "number", "exclusiveMinimum": 0},
    "keepDecisions": {"type": "integer", "minimum": 1, "maximum": MOST_DECISIONS},
    "metricsFrom": array(ANYTHING),
    "apiServer": array(ANYTHING),
    "apiServerPorts": PORTS,
    "interval": DURATION,
    "scrapeTimeout": DURATION,
    "relabelings": array(ANYTHING),
    "metricRelabelings": array(ANYTHING),
    "runbooks": {"type": "string", "pattern": "^(https?://.+)?$"},
    "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
    "extraObjects": array({"type": ["object", "string"]}),
}
GLOBAL: Schema = {
    "type": "object",
    "description": "What Helm gives every chart that is part of another; nothing of it is read here.",
}


def output() -> tuple[Path, str]:
    """The file with what it should hold."""
    return PATH, json.dumps(schema((CHART / "values.yaml").read_text()), indent=2, ensure_ascii=False) + "\n"


def schema(text: str) -> Schema:
    """The whole schema, of the values file's text."""
    found: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart memguard",
        **closed(),
    }
    for value in values(text):
        _place(found, value)
    _describe_tables(found, yaml.safe_load(text))
    found["properties"]["global"] = GLOBAL
    return found


def _place(root: Schema, value: Value) -> None:
    table = root
    for name in value.path[:-1]:
        table = table["properties"].setdefault(name, closed())
    table["properties"][value.path[-1]] = {"description": value.words, **_kind(value)}


def _kind(value: Value) -> Schema:
    match value.path:
        case ("guard", "tuning"):
            return tuning()
        case ("clusterPolicy",):
            return cluster_policy()
    endings = (".".join(value.path[start:]) for start in range(len(value.path)))
    return next((KNOWN[name] for name in endings if name in KNOWN), None) or _of(value)


def _of(value: Value) -> Schema:
    """By what stands there."""
    kinds: Mapping[type, Schema] = {bool: {"type": "boolean"}, int: WHOLE, str: STRING}
    if type(value.default) not in kinds:
        raise SystemExit(f"values.yaml: {'.'.join(value.path)} needs a schema in tools/generate/chart_schema.py")
    return kinds[type(value.default)]


def _describe_tables(found: Schema, given: Mapping[str, Any], path: str = "") -> None:
    """Tables hold described values; their own words are their path."""
    for name, inner in found["properties"].items():
        if "description" not in inner:
            inner["description"] = f"Values of {path}{name}."
            _describe_tables(inner, given[name], f"{path}{name}.")


def tuning() -> Schema:
    """Of the guard's own type, with the comments there."""
    found: Schema = msgspec.json.schema(Tuning)["$defs"]["Tuning"]
    said = dict(_said(getsource(Tuning)))
    for field in msgspec.structs.fields(Tuning):
        part = found["properties"][field.encode_name]
        part["description"] = said[field.name]
        del part["default"]
    return {key: found[key] for key in ("type", "additionalProperties", "properties")}


def _said(source: str) -> Iterator[tuple[str, str]]:
    """Fields with the comment above them; one that has none shares that of the field before."""
    words, pending = "", False
    for line in source.splitlines():
        comment, field = re.match(r" +#: (.*)", line), re.match(r" +(\w+): ", line)
        if comment:
            words = f"{words} {comment[1]}" if pending else comment[1]
        pending = comment is not None
        if field:
            yield field[1], words


def cluster_policy() -> Schema:
    """Of the kind's definition: the spec, without what only the API server reads."""
    version = crd(CLUSTER_POLICY)["spec"]["versions"][0]
    return _plain(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _plain(found: Any) -> Any:
    if isinstance(found, list):
        return [_plain(one) for one in found]
    if not isinstance(found, dict):
        return found
    plain = {
        key: {name: _plain(one) for name, one in part.items()} if key == "properties" else _plain(part)
        for key, part in found.items()
        if not key.startswith("x-kubernetes") and key != "default"
    }
    return plain | ({"additionalProperties": False} if "properties" in plain else {})
