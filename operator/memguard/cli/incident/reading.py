"""An incident from a file: a MemoryGuardDecision as `kubectl get mgd NAME -o yaml` prints it, or a report's own data.

So one can be looked at without a cluster.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import msgspec

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.files import name_of, read_yaml
from memguard.cli.incident.incident import Incident, explained
from memguard.core.model import UNREADABLE
from memguard.errors import InputError, problem_and_field

REMEDY = "Give what `kubectl get memoryguarddecision NAME -o yaml` prints, or the JSON of a report."


def read_incident(source: str, now: datetime) -> Incident:
    """The incident in a file, YAML or JSON; `now` is when the report is made of a bare decision. Raises InputError."""
    name = name_of(source)
    found = _only(read_yaml(source, REMEDY), name)
    try:
        incident = _incident(found, now)
        explained(incident)  # what explains it has bounds of its own
    except UNREADABLE as error:
        problem, field = problem_and_field(error)
        raise InputError(name, problem, remedy=REMEDY, field=field or None) from None
    return incident


def _incident(found: dict[str, Any], now: datetime) -> Incident:
    if "decision" in found:
        return msgspec.convert(found, Incident)
    return Incident(decision=msgspec.convert(found, MemoryGuardDecision), made_at=now)


def _only(objects: list[Any], name: str) -> dict[str, Any]:
    """The one decision that there is to be."""
    if len(objects) != 1:
        raise InputError(name, f"there are {len(objects)} objects in it", remedy=REMEDY)
    one = objects[0]
    if not isinstance(one, dict) or not ("decision" in one or one.get("kind") == MemoryGuardDecision.__name__):
        raise InputError(name, "it is no MemoryGuardDecision", remedy=REMEDY)
    return cast("dict[str, Any]", one)
