import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from tests.core.make import GIB, container, snapshot
from tests.core.strategies import containers, snapshots

from memguard.core.model import API_VERSION, Container, Snapshot

LEAST: dict[str, Any] = {
    "takenAt": "2026-11-23T06:00:00Z",
    "node": {"memory": {"totalBytes": 1, "availableBytes": 0}},
    "containers": [],
}


def decode(value: object) -> Snapshot:
    return msgspec.json.decode(json.dumps(value), type=Snapshot)


@pytest.mark.row("G2")
@given(snapshots)
def test_a_snapshot_survives_being_written_down(look: Snapshot) -> None:
    assert msgspec.json.decode(msgspec.json.encode(look), type=Snapshot) == look


def test_the_least_that_is_a_snapshot() -> None:
    look = decode(LEAST)
    assert look.api_version == API_VERSION
    assert look.node.memory.swap_free_bytes is None
    assert look.vmstat is None


def test_what_is_missing_is_unknown_and_never_zero() -> None:
    bare = msgspec.json.decode(b'{"id": "a", "memory": {"currentBytes": 1}}', type=Container)
    known = {"id", "memory", "cgroup", "type", "memory_volumes"}
    assert {name: getattr(bare, name) for name in bare.__struct_fields__ if name not in known} == dict.fromkeys(
        set(bare.__struct_fields__) - known
    )
    assert all(getattr(bare.memory, name) is None for name in bare.memory.__struct_fields__ if name != "current_bytes")


@pytest.mark.parametrize("stamp", ["2026-11-23T06:00:00Z", "2026-11-23T07:00:00+01:00", "2026-11-22T22:00:00-08:00"])
def test_a_moment_is_the_same_in_every_zone(stamp: str) -> None:
    assert decode(LEAST | {"takenAt": stamp}).seconds == snapshot([]).seconds


TITLES = [
    ("shop/pod-a/app", {}),
    ("shop/pod-a", {"name": None}),
    ("pod-a/app", {"namespace": None}),
    ("app", {"pod": None}),
    ("x.slice/y", {"pod": None, "name": None, "cgroup": "x.slice/y"}),
    ("0123456789ab", {"pod": None, "name": None, "cgroup": "", "id": "0123456789abcdef"}),
]


@pytest.mark.row("G3")
@pytest.mark.parametrize(("title", "facts"), TITLES)
def test_what_a_person_calls_it(title: str, facts: dict[str, Any]) -> None:
    assert container(**facts).title == title


@given(containers)
def test_everything_has_a_name(one: Container) -> None:
    assert one.title
    assert one.mapped == bool(one.namespace and one.pod and one.name)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        container().memory.anon_bytes = GIB  # type: ignore[misc]
