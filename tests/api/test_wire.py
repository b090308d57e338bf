"""Objects on their way to the API server: within bounds, nothing null."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from memguard.api.meta import ObjectMeta, OwnerReference, condition, updated
from memguard.api.wire import body, fitted
from memguard.core.model import Record

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)

Word = Annotated[str, Meta(max_length=5)]


class Leaf(Record, frozen=True, kw_only=True):
    """A part."""

    long_name: Word
    gone: Word | None = None


class Tree(Record, frozen=True, kw_only=True):
    """The whole."""

    title: Annotated[Word | None, Meta(description="A title.")] = None
    leaves: Annotated[tuple[Leaf, ...], Meta(max_length=2)] = ()
    by_name: Annotated[dict[str, Word], Meta(max_length=2)] = {}
    at: datetime | None = None
    size: int | str = 0


CUT = [
    ({"title": "123456"}, {"title": "1234…"}),
    ({"title": "12345"}, {"title": "12345"}),
    ({"title": "ééééééé"}, {"title": "éééé…"}),
    ({"title": None}, {}),
    ({"leaves": [{"longName": "x" * 9, "other": 1}] * 3}, {"leaves": [{"longName": "xxxx…"}] * 2}),
    ({"byName": {"a": "1", "b": "2222222", "c": "3"}}, {"byName": {"a": "1", "b": "2222…"}}),
    ({"size": "a very long one"}, {"size": "a very long one"}),
    ({"unknown": 1}, {}),
]


@pytest.mark.parametrize(("plain", "expected"), CUT)
def test_what_is_too_long_is_cut(plain: dict[str, Any], expected: dict[str, Any]) -> None:
    assert fitted(plain, Tree) == expected


def test_a_body_has_no_nulls_and_speaks_the_api_s_language() -> None:
    tree = Tree(leaves=(Leaf(long_name="a"), Leaf(long_name="b", gone="c")), at=NOW)
    assert body(tree) == {
        "leaves": [{"longName": "a"}, {"longName": "b", "gone": "c"}],
        "byName": {},
        "at": "2026-11-28T06:00:00Z",
        "size": 0,
    }


def test_of_metadata_only_what_is_known_is_written() -> None:
    owner = OwnerReference(api_version="v1", kind="Node", name="node-a", uid="1")
    assert body(ObjectMeta(name="node-a", owner_references=(owner,))) == {
        "name": "node-a",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "1"}],
    }


trees = st.fixed_dictionaries(
    {},
    optional={
        "title": st.none() | st.text(max_size=9),
        "leaves": st.lists(st.fixed_dictionaries({"longName": st.text(max_size=9)}), max_size=4),
        "byName": st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=4),
    },
)


@given(trees)
def test_whatever_is_fitted_is_taken_and_fits_again(plain: dict[str, Any]) -> None:
    once = fitted(plain, Tree)
    msgspec.convert(once, Tree)
    assert fitted(once, Tree) == once


# --- conditions


def test_a_condition_keeps_its_time_until_its_status_flips() -> None:
    before = (
        condition("Ready", holds=True, reason="Fresh", now=NOW),
        condition("Fit", holds=None, reason="New", now=NOW),
    )
    found = (
        condition("Ready", holds=True, reason="FreshAgain", now=LATER, message="still"),
        condition("Fit", holds=False, reason="CgroupV1", now=LATER),
        condition("Acting", holds=False, reason="Observe", now=LATER),
    )
    after = updated(before, found)
    assert [one.last_transition_time for one in after] == [NOW, LATER, LATER]
    assert [one.status for one in after] == ["True", "False", "False"]
    assert after[0].message == "still"
    assert updated(after, found) == after
