"""Every value is documented, described in the schema, and does something; and what is wrong is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from e2e.helm import CHART, merged
from jsonschema import Draft7Validator
from tests.chart.manifests import refusal, render, rendered
from tests.chart.values import FULL, Path, another, defaults, leaves, placed
from tools.generate import chart_schema
from tools.generate.chart_values import values

from memguard.core.policies import ClusterMemoryGuardPolicySpec
from memguard.guard.config import Tuning

LEAVES = dict(leaves(defaults()))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


@pytest.mark.row("K5")
@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_each_value_changes_what_is_rendered(path: Path) -> None:
    other = another(path, LEAVES[path])
    before, after = rendered(FULL), rendered(merged(FULL, placed(path, other)))
    assert before != after
    for word in re.findall(r"\b(?:changed|37|CHANGED|spc_t)\b", json.dumps(other)):
        assert word in after, "it is seen in the manifests"


def test_each_value_is_documented() -> None:
    documented = {value.path for value in values((CHART / "values.yaml").read_text())}
    bare = [".".join(path) for path in LEAVES if not any(path[:end] in documented for end in range(1, len(path) + 1))]
    assert not bare


def described(found: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named value of the schema."""
    for name, inner in found.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from described(inner, f"{path}.{name}")


def test_the_schema_describes_each_value_of_ours() -> None:
    """What Kubernetes describes (a toleration's key) it describes itself."""
    documented = {value.path for value in values((CHART / "values.yaml").read_text())}
    for path in documented:
        inner = SCHEMA
        for name in path:
            inner = inner["properties"][name]
            assert inner["description"].strip()
    for where in (SCHEMA["properties"]["guard"]["properties"]["tuning"], SCHEMA["properties"]["clusterPolicy"]):
        assert not [path for path, inner in described(where) if not inner.get("description")]


def tables(found: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that the schema knows."""
    if isinstance(found, dict):
        if found.get("type") == "object":
            yield path, found
        for name, inner in found.items():
            yield from tables(inner, f"{path}/{name}")


#: Kubernetes' own objects, which the API server judges; maps of the user's own have values of one kind.
FREE = re.compile(r"(Affinity|valueFrom|global|metricsFrom/items|apiServer/items|[rR]elabelings/items)$")


def test_unknown_keys_are_refused_at_every_level() -> None:
    opened = [path for path, found in tables(SCHEMA) if "additionalProperties" not in found and not FREE.search(path)]
    assert not opened
    assert not [path for path, found in tables(SCHEMA) if found.get("additionalProperties") is True]


def test_the_schema_is_one_and_the_defaults_fit_it() -> None:
    Draft7Validator.check_schema(SCHEMA)
    Draft7Validator(SCHEMA).validate(defaults())
    Draft7Validator(SCHEMA).validate(merged(defaults(), FULL))


def test_what_memguard_reads_itself_is_described_by_its_own_types() -> None:
    tuning = SCHEMA["properties"]["guard"]["properties"]["tuning"]["properties"]
    assert set(tuning) == {field.encode_name for field in msgspec.structs.fields(Tuning)}
    policy = SCHEMA["properties"]["clusterPolicy"]["properties"]
    assert set(policy) == {field.encode_name for field in msgspec.structs.fields(ClusterMemoryGuardPolicySpec)}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"profil": "enforce"}, "additional properties 'profil' not allowed"),
        ({"metrics": {"monitor": "both"}}, "at '/metrics/monitor': value must be one of 'none', 'pod', 'service'"),
        ({"profile": "Enforce"}, "at '/profile': value must be one of 'observe', 'enforce'"),
        ({"guard": {"tunning": {}}}, "additional properties 'tunning' not allowed"),
        ({"guard": {"tuning": {"tickFloor": 1}}}, "additional properties 'tickFloor' not allowed"),
        ({"guard": {"tuning": {"tickCeilingSeconds": 61}}}, "maximum: got 61, want 60"),
        ({"guard": {"resources": {"limits": {"cpu": "1"}}}}, "additional properties 'cpu' not allowed"),
        ({"guard": {"extraArgs": ["standalone"]}}, "does not match pattern '^--'"),
        ({"guard": {"resources": {"limits": {"memory": "64 MB"}}}}, "'64 MB' does not match pattern"),
        ({"node": {"tolerations": [{"operater": "Exists"}]}}, "additional properties 'operater' not allowed"),
        ({"node": {"image": {"digest": "sha256:12"}}}, "'sha256:12' does not match pattern"),
        ({"image": {"registry": "registry.example.com/"}}, "does not match pattern"),
        ({"image": {"tag": "a b"}}, "'a b' does not match pattern"),
        ({"operator": {"keepDecisions": 10000}}, "maximum: got 10,000, want 6,000"),
        ({"operator": {"replicas": "two"}}, "got string, want integer"),
        ({"operator": {"extraEnv": [{"value": "x"}]}}, "missing property 'name'"),
        ({"commonLabels": {"a": 1}}, "got number, want string"),
        ({"clusterPolicy": {"budgets": {}}}, "additional properties 'budgets' not allowed"),
        ({"clusterPolicy": {"budget": {"perNode": -1}}}, "minimum: got -1"),
        ({"metrics": {"interval": "often"}}, "'often' does not match pattern"),
        ({"prometheusRule": {"runbooks": "docs"}}, "'docs' does not match pattern"),
        ({"namespaceOverride": "Upper"}, "'Upper' does not match pattern"),
    ],
)
def test_what_is_wrong_is_refused_by_its_place(wrong: dict[str, Any], words: str) -> None:
    said = refusal(wrong)
    assert "values don't meet the specifications of the schema" in said
    assert words in said


def test_it_can_be_a_part_of_another_chart(tmp_path: Any) -> None:
    """Helm gives a part `global`, which the schema must not refuse."""
    parent = tmp_path / "platform"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "memguard").symlink_to(CHART)
    dependency = {"name": "memguard", "version": "0.1.0"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    (parent / "Chart.yaml").write_text(json.dumps(chart))
    found = render({"global": {"a": "b"}, "memguard": {"profile": "enforce"}}, chart=parent)
    assert [one["metadata"]["name"] for one in found if one["kind"] == "DaemonSet"] == ["memguard-node"]


def test_the_schema_asks_for_words_where_a_value_has_none_to_be_typed_by() -> None:
    with pytest.raises(SystemExit, match="list needs a schema"):
        chart_schema.schema("# -- A list.\nlist: []\n")
