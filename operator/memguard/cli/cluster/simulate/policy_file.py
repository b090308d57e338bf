"""Policies that a person wrote and has not applied yet, read as strictly as the API server reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from memguard.api.crd import kind_schema
from memguard.api.meta import API_VERSION, Desired
from memguard.api.policies import ClusterMemoryGuardPolicy, MemoryGuardPolicy
from memguard.cli.cluster.rules import Rules
from memguard.cli.files import name_of, read_yaml
from memguard.core.notes import Named
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.errors import InputError, problem_and_field

REMEDY = "Compare it with `kubectl explain mgp.spec` and docs/policies.md."
SPECS: dict[str, type[MemoryGuardPolicySpec] | type[ClusterMemoryGuardPolicySpec]] = {
    "MemoryGuardPolicy": MemoryGuardPolicySpec,
    "ClusterMemoryGuardPolicy": ClusterMemoryGuardPolicySpec,
}
KINDS: dict[str, type[msgspec.Struct]] = {
    "MemoryGuardPolicy": MemoryGuardPolicy,
    "ClusterMemoryGuardPolicy": ClusterMemoryGuardPolicy,
}


def read_policies(source: str, namespace: str) -> Rules:
    """The policies of a YAML or JSON file, `-` for standard input; those without a namespace are in the given one.

    Raises InputError, also for a field that no policy has: a misspelt one would say nothing.
    """
    cluster: list[Named[ClusterMemoryGuardPolicySpec]] = []
    tenants: list[Named[MemoryGuardPolicySpec]] = []
    for number, document in enumerate(read_yaml(source, REMEDY), 1):
        where = f"{name_of(source)}, document {number}"
        named = _policy(document, where, namespace)
        if isinstance(named.spec, ClusterMemoryGuardPolicySpec):
            cluster.append(named)
        else:
            tenants.append(named)
    if not cluster and not tenants:
        raise InputError(name_of(source), "there is no policy in it", remedy=REMEDY)
    return Rules(tuple(cluster), tuple(tenants))


def _policy(document: Any, where: str, namespace: str) -> Named[Any]:
    kind = document.get("kind") if isinstance(document, dict) else None
    spec_type = SPECS.get(str(kind))
    if spec_type is None or document.get("apiVersion") != API_VERSION:
        problem = f"a {kind} of {document.get('apiVersion')}" if isinstance(document, dict) else "no object"
        remedy = f"Give MemoryGuardPolicies and ClusterMemoryGuardPolicies of {API_VERSION}."
        raise InputError(where, f"it is {problem}, and no policy", remedy=remedy)
    _refuse_unknown(document.get("spec"), kind_schema(KINDS[str(kind)])["properties"]["spec"], where, "$.spec")
    try:
        policy = msgspec.convert(document, Desired[spec_type])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        problem, field = problem_and_field(error)
        raise InputError(where, problem, remedy=REMEDY, field=field or None) from None
    if not policy.metadata.name:
        raise InputError(where, "it has no name", remedy=REMEDY, field="$.metadata.name")
    space = (policy.metadata.namespace or namespace) if spec_type is MemoryGuardPolicySpec else ""
    return Named(namespace=space, name=policy.metadata.name, spec=policy.spec)


def _refuse_unknown(value: Any, schema: dict[str, Any], where: str, path: str) -> None:
    """A field that the schema does not have is a misspelt one."""
    fields = schema.get("properties")
    if isinstance(value, dict) and fields is not None:
        for name, inner in value.items():
            if name not in fields:
                raise InputError(where, f"unknown field {name!r}", remedy=REMEDY, field=path)
            _refuse_unknown(inner, fields[name], where, f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            _refuse_unknown(inner, schema["items"], where, f"{path}[{index}]")
