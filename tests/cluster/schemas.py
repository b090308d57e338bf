"""Objects as a schema allows them, and as it does not: what people and programs may send to an API server."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

#: Where a schema has a pattern (sizes), and elsewhere now and then.
WORDS = ("512Mi", "1.5Gi", "0", "64M", "app", "web", "node-a", "kube-system", "In", "Exists", "SIGTERM", "/run/notes")
HOSTILE = ("", " ", "-", "a" * 600, "\u202eabc", "\x1b[31m", "ä" * 40, "9" * 40, "../..", "*", "-512Mi", "1e999", "7Ei")
#: What is of no type that is expected.
WRONG: tuple[Any, ...] = (None, True, -1, 1 << 62, 1.5, "x", [], {}, [None], {"a": {"b": []}}, [[]])
UNKNOWN = {"ofTomorrow": {"deep": [1, "a", {"b": True}]}}
Schema = dict[str, Any]


def objects(schema: Schema, *, wrong: bool) -> st.SearchStrategy[Any]:
    """Values of a schema; `wrong`: one in some has what does not belong there."""
    good = _good(schema, wrong=wrong)
    return st.one_of(*[good] * 12, st.sampled_from(WRONG)) if wrong else good


def _good(schema: Schema, *, wrong: bool) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(0, 1 << 40), _text(schema, wrong=wrong))
    make = {"object": _object, "array": _array, "string": _text}.get(schema["type"], _number)
    return make(schema, wrong=wrong)


def _array(schema: Schema, *, wrong: bool) -> st.SearchStrategy[Any]:
    unique = schema.get("x-kubernetes-list-type") == "set" and not wrong
    most = min(schema.get("maxItems", 3), 3)
    each = objects(schema["items"], wrong=wrong)
    return st.lists(each, max_size=most, min_size=min(most, schema.get("minItems", 0)), unique=unique)


def _number(schema: Schema, *, wrong: bool) -> st.SearchStrategy[Any]:
    if schema["type"] == "boolean":
        return st.booleans()
    least, most = schema.get("minimum", -(1 << 31)) - wrong, schema.get("maximum", 1 << 31) + wrong
    return st.integers(least, most) if schema["type"] == "integer" else st.floats(least, most)


def _object(schema: Schema, *, wrong: bool) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(st.sampled_from(WORDS), objects(schema["additionalProperties"], wrong=wrong), max_size=2)
    fields = {name: objects(inner, wrong=wrong) for name, inner in schema.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    known = st.fixed_dictionaries(required, optional=fields)
    return st.one_of(*[known] * 8, known.map(lambda one: one | UNKNOWN)) if wrong else known


def _text(schema: Schema, *, wrong: bool) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.sampled_from(
            ("2026-11-30T06:00:00Z", "2026-11-30T06:00:00.123456Z", *(("yesterday",) if wrong else ()))
        )
    if "anyOf" in schema or "pattern" in schema:
        return st.sampled_from(WORDS[:4] + (HOSTILE if wrong else ()))
    most = schema.get("maxLength", 64)
    words = st.sampled_from([word for word in WORDS if len(word) <= most])
    return st.one_of(words, st.sampled_from(HOSTILE), st.text(max_size=12)) if wrong else words
