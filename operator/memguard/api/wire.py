"""The way of an object to the API server: nothing null (a schema takes an absent field, not an empty one), nothing too
long (one sentence over its bound, and the server refuses the whole record).
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import inspect


def body(value: msgspec.Struct) -> dict[str, Any]:
    """The object or the part of one as plain values, ready to be written: within its kind's bounds, without nulls."""
    return fitted(msgspec.to_builtins(value), type(value))


def fitted(plain: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Plain values cut to the lengths that a kind allows; nulls, and fields that it does not have, are left out."""
    written: dict[str, Any] = _without_nulls(_fitted(plain, _type_info(kind)))
    return written


@functools.cache
def _type_info(kind: type[msgspec.Struct]) -> inspect.Type:
    """1.3 ms for a decision."""
    return inspect.type_info(kind)


def _fitted(value: Any, kind: inspect.Type) -> Any:
    match inner(kind):
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            known = (field for field in fields if field.encode_name in value)
            value = {field.encode_name: _fitted(value[field.encode_name], field.type) for field in known}
        case inspect.DictType(value_type=each, max_length=most) if isinstance(value, dict):
            value = {key: _fitted(item, each) for key, item in [*value.items()][:most]}
        case inspect.VarTupleType(item_type=each, max_length=most) if isinstance(value, list | tuple):
            value = [_fitted(item, each) for item in value[:most]]
        case inspect.StrType(max_length=int(most)) if isinstance(value, str) and len(value) > most:
            value = f"{value[: most - 1]}…"
    return value


def inner(kind: inspect.Type) -> inspect.Type:
    """The type without its description, and without the None of an optional field."""
    if isinstance(kind, inspect.Metadata):
        return inner(kind.type)
    if isinstance(kind, inspect.UnionType):
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return inner(kinds[0]) if len(kinds) == 1 else kind
    return kind


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value
