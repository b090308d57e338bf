"""What every definition must have, whatever the types are. A real server takes them in tests/cluster/test_crds.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
import yaml
from msgspec import Meta
from tools.generate import crds, kinds

from memguard.api.crd import crd, kind_schema
from memguard.api.definitions import CHECKS, DEFINITIONS, Definition
from memguard.core.model import Record

IDS = [definition.plural for definition in DEFINITIONS]
#: Structural schemas know none of these (Kubernetes: "Specifying a structural schema").
FORBIDDEN = {
    "$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties", "readOnly",
    "writeOnly", "xml", "title", "examples", "uniqueItems", "oneOf", "allOf", "const", "prefixItems",
    "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip
#: kubectl's own categories, and those that others use.
TAKEN = {"all", "api-extensions"}


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in one, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from schemas(schema[word], f"{path}[]")


def every_schema(definition: Definition) -> list[tuple[str, dict[str, Any]]]:
    return list(schemas(kind_schema(definition.kind)))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_every_field_is_described_in_sentences(definition: Definition) -> None:
    for path, schema in every_schema(definition):
        if path and not path.endswith("[]") and path != ".metadata":
            assert schema["description"].endswith((".", "?")), path


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_everything_is_bounded(definition: Definition) -> None:
    """Without bounds the server reckons with the largest request there can be, and etcd may get it."""
    for path, schema in every_schema(definition):
        if path in (".apiVersion", ".kind", ".metadata"):
            continue
        match schema.get("type"):
            case "array":
                assert "maxItems" in schema, path
            case "string":
                assert "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time", path
            case "object":
                assert "properties" in schema or "maxProperties" in schema, path
            case None:
                assert schema["x-kubernetes-int-or-string"], path
                assert "maxLength" in schema, path


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_the_schemas_are_structural(definition: Definition) -> None:
    for path, schema in every_schema(definition):
        assert FORBIDDEN.isdisjoint(schema), path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        assert schema.get("default", 0) is not None, path


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_a_list_says_how_servers_merge_it(definition: Definition) -> None:
    for path, schema in every_schema(definition):
        if schema.get("type") == "array":
            kind = schema["x-kubernetes-list-type"]
            scalars = schema["items"].get("type") != "object"
            assert kind == ("map" if path.endswith(".conditions") else "set" if scalars else "atomic"), path


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_a_status_is_written_whole(definition: Definition) -> None:
    """A default in a status would tell what nobody said."""
    status = kind_schema(definition.kind)["properties"]["status"]
    assert not [path for path, schema in schemas(status) if "default" in schema]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_kubectl_get_answers_the_question(definition: Definition) -> None:
    made = crd(definition)["spec"]
    names = made["names"]
    assert names["categories"] == ["memguard"]
    assert TAKEN.isdisjoint(names["shortNames"])
    assert names["plural"] == names["plural"].lower()
    [version] = made["versions"]
    columns = version["additionalPrinterColumns"]
    assert 5 <= sum(column.get("priority", 0) == 0 for column in columns) <= 9
    assert len({column["name"] for column in columns}) == len(columns)
    assert all(column["description"].endswith((".", "?")) for column in columns)
    assert version["subresources"] == {"status": {}}


def resolves(schema: dict[str, Any], path: str) -> bool:
    """Does a JSON path name a field of the schema?"""
    for step in path.partition("?")[0].replace("[", ".[").strip(".").split("."):
        name = step.strip("[")
        if name in schema.get("properties", {}):
            schema = schema["properties"][name]
        elif "items" in schema:
            schema = schema["items"]
        else:
            return path.startswith(".metadata")
    return True


@pytest.mark.parametrize("definition", DEFINITIONS, ids=IDS)
def test_columns_selectors_and_checks_name_fields_that_exist(definition: Definition) -> None:
    schema = kind_schema(definition.kind)
    for path in (*(column.path for column in definition.columns), *definition.selectable):
        assert resolves(schema, path), path
    for path, inner in every_schema(definition):
        for check in inner.get("x-kubernetes-validations", []):
            if "fieldPath" in check:
                assert resolves(inner, check["fieldPath"]), path


def test_every_check_is_in_some_definition_and_speaks_to_a_person() -> None:
    used = {
        check["message"]
        for definition in DEFINITIONS
        for _, schema in every_schema(definition)
        for check in schema.get("x-kubernetes-validations", [])
    }
    written = {check.message for checks in CHECKS.values() for check in checks}
    assert written <= used
    for message in used:
        assert len(message.split()) >= 4, message
        assert "self" not in message.split(), message


def test_the_files_are_what_the_types_say() -> None:
    assert [yaml.safe_load(text) for _, text in crds.outputs()] == [crd(definition) for definition in DEFINITIONS]


def test_a_stale_reference_is_written_anew() -> None:
    [(_, text)] = kinds.outputs()
    stale = text.replace("| `spec.mode` |", "| `spec.modus` |")
    assert stale != text
    assert kinds.render(stale) == text
    assert text.count("<!-- reference:") == len(DEFINITIONS)


# --- types that a schema cannot say


class Two(Record, frozen=True, kw_only=True):
    """A union of two."""

    field: Annotated[bool | int, Meta(description="One of two.")]


class Bag(Record, frozen=True, kw_only=True):
    """Anything."""

    field: Annotated[Any, Meta(description="Anything.")]


@pytest.mark.parametrize("kind", [Two, Bag])
def test_what_has_no_structural_schema_is_refused(kind: type[msgspec.Struct]) -> None:
    odd = msgspec.defstruct("Odd", [("spec", kind), ("status", kind)])
    with pytest.raises(TypeError, match="no structural schema"):
        kind_schema(odd)
