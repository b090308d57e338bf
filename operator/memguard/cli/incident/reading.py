"""An incident from a file: a MemoryGuardDecision as `kubectl get mgd NAME -o yaml` prints it, or a report's own data.

So one can be looked at without a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import msgspec

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.files import name_of, read_document
from memguard.cli.incident.incident import Incident, explained
from memguard.core.model import LARGEST
from memguard.core.trace import UNREADABLE
from memguard.errors import InputError

REMEDY = "Give what `kubectl get memoryguarddecision NAME -o yaml` prints, or the JSON of a report."


def read_incident(source: str, now: datetime) -> Incident:
    """The incident in a file, YAML or JSON; `now` is when the report is made of a bare decision. Raises InputError."""
    name = name_of(source)
    found = _only(_plain(read_document(source, REMEDY), name), name)
    try:
        incident = _incident(found, now)
        explained(incident)  # what explains it has bounds of its own
    except UNREADABLE as error:
        problem, _, path = str(error).partition(" - at `")
        raise InputError(name, problem, remedy=REMEDY, field=path.rstrip("`") or None) from None
    return incident


def _incident(found: dict[str, Any], now: datetime) -> Incident:
    if "decision" in found:
        return msgspec.convert(found, Incident)
    return Incident(decision=msgspec.convert(found, MemoryGuardDecision), made_at=now)


def _plain(text: bytes, name: str) -> Any:
    """The document as JSON has it: YAML's own times, sets and endless numbers go through the same door."""
    import yaml

    try:
        found = msgspec.json.decode(msgspec.json.encode(yaml.load(text, _loader(yaml))))  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(name, problem, line=mark.line + 1 if mark else None, remedy=REMEDY) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(name, str(error), remedy=REMEDY) from None
    if any(abs(number) > LARGEST for number in _numbers(found)):
        raise InputError(name, "there is a number in it that no machine has", remedy=REMEDY)
    return found


def _loader(yaml: Any) -> Any:
    """A safe loader without aliases: a few lines with them stand for gigabytes, and kubectl writes none."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not read", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    return Loader


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value


def _only(found: Any, name: str) -> dict[str, Any]:
    """The one decision of a List, or the object itself."""
    items = found.get("items") if isinstance(found, dict) else None
    if isinstance(items, list) and len(items) != 1:
        raise InputError(name, f"there are {len(items)} objects in it", remedy=REMEDY)
    one = items[0] if isinstance(items, list) else found
    if not isinstance(one, dict) or not ("decision" in one or one.get("kind") == MemoryGuardDecision.__name__):
        raise InputError(name, "it is no MemoryGuardDecision", remedy=REMEDY)
    return cast("dict[str, Any]", one)
