"""CustomResourceDefinitions from our types: structural schemas as an API server takes them in strict mode.

Every field has its description, every list, map and string its bound: without bounds the server reckons a rule's cost
by the largest request there can be, and refuses the definition. Bounds of 64-bit integers stand in `format`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from memguard.api.definitions import CHECKS, Check, Column, Definition
from memguard.api.meta import GROUP, VERSION, Condition
from memguard.api.wire import body, inner
from memguard.core.model import LARGEST
from memguard.core.selector import LabelSelector

Schema = dict[str, Any]

#: Replaced whole, as Kubernetes' own: who applies a selector means these labels, and not those of others, too.
ATOMIC = frozenset({LabelSelector})
#: By which field the items of a list are told apart, where servers merge them; all other lists are replaced whole.
LIST_KEYS = {Condition: "type"}
_INT32 = (1 << 31) - 1

SIZE = Check(
    rule="type(self) == int ? self >= 0 : isQuantity(self) "
    "&& !quantity(self).isLessThan(quantity('0')) && quantity(self).isLessThan(quantity('8Ei'))",
    message="must be a size like 512Mi, 1.5Gi or 1073741824",
)
_STANDARD = {
    "apiVersion": "The version of this object's schema.",
    "kind": "The kind of this object.",
}


def crd(definition: Definition) -> Schema:
    """The CustomResourceDefinition of a kind."""
    kind, scope = definition.kind.__name__, "Namespaced" if definition.namespaced else "Cluster"
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": kind_schema(definition.kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in definition.columns],
    }
    if definition.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in definition.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "memguard"}},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": definition.plural,
                "singular": kind.lower(),
                "shortNames": [definition.short],
                "categories": ["memguard"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


def kind_schema(kind: type[msgspec.Struct]) -> Schema:
    """The schema of whole objects of a kind. Defaults stand in the spec only: a status is written whole."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    properties: Schema = {name: {"type": "string", "description": text} for name, text in _STANDARD.items()}
    properties["metadata"] = {"type": "object"}
    properties["spec"] = {"description": _doc(fields["spec"].type)} | _schema(
        inspect.type_info(fields["spec"].type), defaults=True
    )
    if not fields["spec"].required:
        properties["spec"]["default"] = {}
    properties["status"] = {"description": _doc(fields["status"].type)} | _schema(
        inspect.type_info(fields["status"].type), defaults=False
    )
    required = {"required": ["spec"]} if fields["spec"].required else {}
    return {"type": "object", "description": _doc(kind), **required, "properties": properties, **_checked(kind)}


def _schema(kind: inspect.Type, *, defaults: bool) -> Schema:
    """The structural schema of a type; TypeError for a type that has none."""
    found = inner(kind)
    match found:
        case inspect.StructType():
            made = _struct(found, defaults=defaults)
        case inspect.VarTupleType():
            made = _list(found, defaults=defaults)
        case inspect.DictType():
            made = _map(found, defaults=defaults)
        case inspect.UnionType():
            made = _size(found)
        case _:
            made = _scalar(found)
    words = kind.extra_json_schema if isinstance(kind, inspect.Metadata) else None
    return {"description": words["description"]} | made if words else made


def _scalar(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType(ge=low, le=high):
            small = low is not None and high is not None and max(-low, high) <= _INT32
            return {"type": "integer", "format": "int32" if small else "int64"} | _bounds(low, high)
        case inspect.FloatType(ge=low, le=high):
            return {"type": "number", "format": "double"} | _bounds(low, high)
        case inspect.StrType():
            return {"type": "string"} | _given(
                minLength=kind.min_length, maxLength=kind.max_length, pattern=kind.pattern
            )
        case inspect.LiteralType():
            return {"type": "string", "enum": list(kind.values)}
        case inspect.DateTimeType():
            return {"type": "string", "format": "date-time"}
    raise TypeError(f"no structural schema for {kind}")


def _struct(kind: inspect.StructType, *, defaults: bool) -> Schema:
    properties: Schema = {}
    for field in kind.fields:
        default = _given(default=_default(field)) if defaults else {}
        properties[field.encode_name] = _schema(field.type, defaults=defaults) | default
    required = [field.encode_name for field in kind.fields if field.required]
    named = {"required": required} if required else {}
    atomic = {"x-kubernetes-map-type": "atomic"} if kind.cls in ATOMIC else {}
    return {"type": "object"} | atomic | named | {"properties": properties} | _checked(kind.cls)


def _list(kind: inspect.VarTupleType, *, defaults: bool) -> Schema:
    item = inner(kind.item_type)
    made: Schema = {"type": "array", "items": _schema(kind.item_type, defaults=defaults)}
    made |= _given(minItems=kind.min_length, maxItems=kind.max_length)
    if isinstance(item, inspect.StructType) and item.cls in LIST_KEYS:
        return made | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [LIST_KEYS[item.cls]]}
    scalars = not isinstance(item, inspect.StructType)
    return made | {"x-kubernetes-list-type": "set" if scalars else "atomic"}


def _map(kind: inspect.DictType, *, defaults: bool) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": _schema(kind.value_type, defaults=defaults)}
    if isinstance(kind.key_type, inspect.LiteralType):
        names = list(kind.key_type.values)
        check = Check(rule=f"self.all(name, name in {names})", message=f"known names: {', '.join(map(str, names))}")
        return made | {"maxProperties": len(names)} | _validations([check])
    if isinstance(kind.key_type, inspect.StrType) and kind.key_type.max_length:
        low, high = kind.key_type.min_length or 0, kind.key_type.max_length
        check = Check(
            rule=f"self.all(key, size(key) >= {low} && size(key) <= {high})",
            message=f"keys have {low} to {high} characters",
        )
        made |= _validations([check])
    return made | _given(maxProperties=kind.max_length)


def _size(kind: inspect.UnionType) -> Schema:
    """The one union that a schema may hold: an integer or a quantity."""
    match tuple(one for one in kind.types if not isinstance(one, inspect.NoneType)):
        case (inspect.IntType(), inspect.StrType(pattern=pattern, max_length=most)):
            made = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
            return made | _given(pattern=pattern, maxLength=most) | _validations([SIZE])
    raise TypeError(f"no structural schema for {kind}")


def _default(field: inspect.Field) -> Any:
    """The default as it is written; None where there is none. A server checks rules on it as it stands: it is whole."""
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if default is msgspec.NODEFAULT:
        return None
    if isinstance(default, msgspec.Struct):
        return body(default)
    return list(default) if isinstance(default, tuple) else default


def _checked(kind: type[msgspec.Struct]) -> Schema:
    return _validations([check for one, checks in CHECKS.items() if issubclass(kind, one) for check in checks])


def _validations(checks: list[Check]) -> Schema:
    written = [
        {"rule": check.rule, "message": check.message} | ({"fieldPath": check.field_path} if check.field_path else {})
        for check in checks
    ]
    return {"x-kubernetes-validations": written} if written else {}


def _doc(kind: type[msgspec.Struct]) -> str:
    """The first paragraph and the others of a type's docstring, each on one line."""
    paragraphs = (kind.__doc__ or "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _bounds(low: float | None, high: float | None) -> Schema:
    """Bounds as they are written; those of 64 bits say nothing that the format does not."""
    return _given(
        minimum=None if low is None or low <= -LARGEST else low,
        maximum=None if high is None or high >= LARGEST else high,
    )


def _given(**facts: Any) -> Schema:
    return {name: value for name, value in facts.items() if value is not None}


def _column(column: Column) -> Schema:
    made = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return made | ({"priority": column.priority} if column.priority else {})
