"""A report that makes no sense is not acted on; one that does shows the core what the guard saw."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.objects import GIB, MIB, NOW, entry, node, reported

from memguard.controller.reports import LARGEST_SHARE, doubt, silent, snapshot
from memguard.controller.resources import Report, ReportedNode
from memguard.core.catalogue import metric
from memguard.core.footprint import SHMEM_WEIGHT, footprint
from memguard.core.model import Identity

#: It, and why it is doubted.
DOUBTS: list[tuple[str, dict[str, Any], str | None]] = [
    ("as it should be", {}, None),
    ("nothing left, nobody on it", {"availableBytes": 0, "top": []}, None),
    ("its clock is slow", {"at": -45}, None),
    ("it says too long ago", {"at": -46}, "clock"),
    ("it says later", {"at": 46}, "clock"),
    ("its clock is hours off", {"at": 7200}, "clock"),
    ("another node of that name", {"owner": "uid-of-before"}, "unknown_node"),
    ("its agent has not said anything yet", {"observedAt": None}, "empty"),
    ("no memory", {"totalBytes": 0, "availableBytes": 0}, "sizes"),
    ("more left than there is", {"availableBytes": 2 * GIB + 1}, "sizes"),
    ("less than nothing left", {"availableBytes": -1}, "sizes"),
    ("no reserve", {"reserveBytes": 0}, "sizes"),
    ("all of it is the reserve", {"reserveBytes": 2 * GIB}, "sizes"),
    ("with its swap", {"top": [entry(mib=LARGEST_SHARE * 2048)]}, None),
    ("no such container", {"top": [entry(), entry("b", LARGEST_SHARE * 2048 + 1)]}, "sizes"),
    ("no such shared memory", {"top": [entry(shmemBytes=LARGEST_SHARE * 2 * GIB + 1)]}, "sizes"),
    ("the same twice", {"top": [entry("a"), entry("b"), entry("a")]}, "containers"),
    ("two that are nobody", {"top": [entry(""), entry("", 2)]}, "containers"),
]


@pytest.mark.parametrize(("words", "said", "why"), DOUBTS, ids=[row[0] for row in DOUBTS])
def test_what_is_doubted_and_why(words: str, said: dict[str, Any], why: str | None) -> None:
    assert doubt(reported(**said), node(), NOW) == why


def test_a_node_that_does_not_exist_has_nothing_to_say() -> None:
    assert doubt(reported(), None, NOW) == "unknown_node"


def test_every_reason_is_counted() -> None:
    reasons = {why for _, _, why in DOUBTS if why not in (None, "empty")}
    assert reasons == set(metric("memguard_operator_reports_refused_total").values)


reports = st.builds(
    reported,
    at=st.floats(-1e4, 1e4),
    level=st.sampled_from(["Calm", "Tight", "Critical"]),
    totalBytes=st.integers(-10, 2**40),
    availableBytes=st.integers(-10, 2**40),
    reserveBytes=st.integers(-10, 2**40),
    top=st.lists(st.builds(entry, st.sampled_from("abc"), st.integers(0, 2**24)), max_size=4),
)


@given(reports)
def test_whatever_is_believed_can_be_judged(said: ReportedNode) -> None:
    if doubt(said, node(), NOW) is not None:
        return
    found = snapshot("node-a", said.status, {})
    assert 0 < said.status.reserve_bytes < found.node.memory.total_bytes
    assert 0 <= found.node.memory.available_bytes <= found.node.memory.total_bytes
    assert len({one.id for one in found.containers}) == len(said.status.top)


SILENCE = [
    ("in trouble it says something each 5 s", "Tight", 60, False),
    ("a minute is too long", "Tight", 61, True),
    ("and so it is when the reserve is touched", "Critical", 61, True),
    ("calm, it is minutes", "Calm", 450, False),
    ("but not more", "Calm", 451, True),
]


@pytest.mark.parametrize(("words", "level", "age", "expected"), SILENCE, ids=[row[0] for row in SILENCE])
def test_after_a_while_nobody_knows_how_it_stands(words: str, level: str, age: float, expected: bool) -> None:
    assert silent(reported(level=level).status, NOW + timedelta(seconds=age)) == expected


def test_who_never_spoke_is_silent() -> None:
    assert silent(Report(), NOW)
    with pytest.raises(ValueError, match="the report of node-a has no date"):
        snapshot("node-a", Report(total_bytes=1), {})


sizes = st.integers(0, 2**45)


@given(sizes, sizes)
def test_a_footprint_taken_apart_and_put_together_is_the_same(private: int, shmem: int) -> None:
    """To the byte: what differs from report to report would be growth."""
    whole = int(private + SHMEM_WEIGHT * shmem)
    said = reported(totalBytes=2**46, top=[{"id": "a", "score": 1, "footprintBytes": whole, "shmemBytes": shmem}])
    [one] = snapshot("node-a", said.status, {}).containers
    assert footprint(one.memory) == whole
    assert one.memory.shmem_bytes == shmem


def test_more_shared_memory_than_footprint_is_no_debt() -> None:
    said = reported(top=[entry(mib=10, shmemBytes=100 * MIB)])
    [one] = snapshot("node-a", said.status, {}).containers
    assert (one.memory.anon_bytes, one.memory.current_bytes) == (0, 100 * MIB)


def test_who_is_known_has_a_name_and_who_is_not_cannot_be_chosen() -> None:
    known = {"a": Identity(id="a", namespace="shop", pod="cart", name="app", qos="Burstable")}
    found = snapshot("node-a", reported(top=[entry("a"), entry("b")]).status, known)
    assert [one.title for one in found.containers] == ["shop/cart/app", "b"]
    assert [one.mapped for one in found.containers] == [True, False]
    assert (found.taken_at, found.node.name, found.node.memory.total_bytes) == (NOW, "node-a", 2 * GIB)
