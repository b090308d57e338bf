"""Writes the reference in docs/kinds.md from the schemas of the kinds; the words around it are written by hand.

A kind's reference stands between `<!-- reference: KIND -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.markdown import filled, table

from memguard.api.crd import kind_schema
from memguard.api.definitions import DEFINITIONS

KINDS = Path(__file__).resolve().parents[2] / "docs" / "kinds.md"

Schema = dict[str, Any]


def outputs() -> Iterator[tuple[Path, str]]:
    """The document with what it should hold."""
    yield KINDS, render(KINDS.read_text())


def render(text: str) -> str:
    """The document with its references written anew."""
    return filled(text, "reference", _reference)


def _reference(name: str) -> str:
    definition = next(one for one in DEFINITIONS if one.kind.__name__ == name)
    schema = kind_schema(definition.kind)
    scope = "in a namespace" if definition.namespaced else "for the whole cluster"
    head = f"{schema['description']}\n\nShort name `{definition.short}`, {scope}.\n\n"
    tables = "".join(_table(part, schema["properties"][part]) for part in ("spec", "status"))
    checks = "".join(f"- `{path.strip('.') or 'metadata.name'}`: {message}\n" for path, message in _checks("", schema))
    return head + tables + (f"Refused by the API server with these words:\n\n{checks}\n" if checks else "")


def _table(part: str, schema: Schema) -> str:
    return table(("field", "type", "default", "what it is"), _rows(part, schema)) + "\n"


def _rows(path: str, schema: Schema) -> Iterator[tuple[str, str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        default = "" if "properties" in field else _default(field)
        yield f"`{here}`", _type(field), default, field["description"]
        yield from _rows(here, field)
        yield from _rows(f"{here}[]", field.get("items", {}))
        inner = field.get("additionalProperties", {})
        yield from _rows(f"{here}.*", inner)


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in field:
        return "one of " + ", ".join(field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}, at most {field['maxItems']}"
    if "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}, at most {field['maxProperties']}"
    return _scalar(field)


def _scalar(field: Schema) -> str:
    if field.get("format") == "date-time":
        return "time"
    low, high = field.get("minimum"), field.get("maximum")
    bounds = f" {low:g} to {high:g}" if low is not None and high is not None else ""
    bounds = f" from {low:g}" if low is not None and high is None else bounds
    longest = f" of at most {field['maxLength']}" if "maxLength" in field else ""
    return field["type"] + bounds + longest


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, [], {}, ""):
        return ""
    words = ", ".join(default) if isinstance(default, list) else default
    return f"`{words if isinstance(words, str) else json.dumps(words)}`"


def _checks(path: str, schema: Schema) -> Iterator[tuple[str, str]]:
    for check in schema.get("x-kubernetes-validations", []):
        yield path + check.get("fieldPath", ""), check["message"]
    for name, field in schema.get("properties", {}).items():
        yield from _checks(f"{path}.{name}", field)
    if "items" in schema:
        yield from _checks(f"{path}[]", schema["items"])
