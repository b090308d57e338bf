import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.make import START, container, judged, snapshot
from tests.core.strategies import plans, snapshots

from memguard.core.model import Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.trace import (
    Event,
    Header,
    Line,
    Outcome,
    PlanChange,
    Reading,
    decode_line,
    decode_snapshot,
    encode_line,
)
from memguard.errors import InputError

SMALL: dict[str, Any] = json.loads(msgspec.json.encode(snapshot([container("a"), container("b")])))
moments = st.none() | st.floats(0, 1e6).map(lambda seconds: START + timedelta(seconds=seconds))
lines: st.SearchStrategy[Line] = st.one_of(
    st.builds(Header, at=moments, version=st.text(max_size=5), plan=plans),
    st.builds(PlanChange, at=moments, plan=plans),
    st.builds(Reading, at=moments, snapshot=snapshots, domain=st.none() | st.text(max_size=5)),
    st.builds(Event, at=moments, kind=st.text(max_size=5), subject=st.text(max_size=5)),
    st.builds(Outcome, at=moments, victim=st.text(max_size=5), freed_bytes=st.none() | st.integers(0, 2**62)),
)
#: Pieces of JSON that lead a parser astray more often than plain bytes do
PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b" ", b"\n", b"null", b"1e999", b"-1", b"9" * 30, b"\\ud800", b"\xff"),
    *(b'"type"', b'"snapshot"', b'"header"', b'"plan"', b'"at"', b'"takenAt"', b'"node"', b'"memory"', b'"containers"'),
    *(b'"2026-11-23T06:00:00Z"', b'{"id":"a","memory":{"currentBytes":1}}'),
]
fragments = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def refused(decode: Callable[[bytes], object], text: bytes) -> InputError | None:
    """The typed error that these bytes lead to, None if they can be used; anything else is a failure."""
    try:
        decode(text)
    except InputError as error:
        return error
    return None


def encode(value: object) -> bytes:
    return json.dumps(value).encode()


def without(value: dict[str, Any], *path: str | int) -> dict[str, Any]:
    """A deep copy that lacks one field."""
    copy: Any = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return copy  # type: ignore[no-any-return]


def replaced(value: dict[str, Any], new: object, *path: str | int) -> dict[str, Any]:
    """A deep copy in which one field is another."""
    copy: Any = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return copy  # type: ignore[no-any-return]


@pytest.mark.row("G2")
@given(lines)
def test_every_line_survives_being_written_down(line: Line) -> None:
    written = encode_line(line)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    assert decode_line(written) == line


@pytest.mark.row("G2")
@given(snapshots)
def test_a_bare_snapshot_is_a_reading(snap: Snapshot) -> None:
    written = msgspec.json.encode(snap)
    assert decode_line(written) == Reading(snapshot=snap)
    assert decode_snapshot(written) == snap


def test_a_snapshot_may_stand_beside_its_type() -> None:
    """`{"type": "snapshot", "at": ..., ...}`: formats.md leaves open where the snapshot's own fields stand."""
    inline = {"type": "snapshot", "at": SMALL["takenAt"]} | SMALL
    for line in (inline, without(inline, "takenAt")):
        found = decode_line(encode(line))
        assert isinstance(found, Reading)
        assert found.snapshot == decode_snapshot(encode(SMALL))
        assert found.at == START


@given(st.binary(max_size=200) | fragments)
@example(b"[" * 100_000)
@example(b'{"type": "snapshot", "snapshot": ' + b'{"a":' * 100_000)
@example(b'{"takenAt": "2026-11-23T06:00:00Z", "x": ' + b"[" * 100_000)
@example(b"")
@example(b"null")
@example(b'"\xed\xa0\x80"')
@example(b"1" * 5000)
def test_any_bytes_are_a_line_or_a_typed_error(garbage: bytes) -> None:
    for decode in (decode_line, decode_snapshot):
        error = refused(decode, garbage)
        assert error is None or (error.exit_code == 2 and error.remedy and error.source)


@given(st.data())
def test_a_snapshot_with_one_thing_wrong_is_used_or_refused_by_name(data: st.DataObject) -> None:
    value: Any = SMALL
    path: list[str | int] = []
    while isinstance(value, dict | list) and value and (not path or data.draw(st.booleans())):
        step = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else list(range(len(value)))))
        path.append(step)
        value = value[step]
    wrong = data.draw(st.sampled_from([None, -1, 1.5, "x", True, [], {}, [[]], 2**70, "2026-11-23T06:00:00"]))
    text = encode(replaced(SMALL, wrong, *path))
    error = refused(lambda found: decode_snapshot(found, "node.json"), text)
    assert (error is None) == (refused(decode_line, text) is None)
    if error is None:
        assert judged(decode_snapshot(text), Plan(rules=(Rule(guard_limit=True),))).candidates is not None
    else:
        assert error.field is not None
        assert error.field.startswith("$")
        assert str(error).startswith("node.json:")


REQUIRED = [
    (("takenAt",), "$.takenAt"),
    (("node",), "$.node"),
    (("containers",), "$.containers"),
    (("node", "memory"), "$.node.memory"),
    (("node", "memory", "totalBytes"), "$.node.memory.totalBytes"),
    (("node", "memory", "availableBytes"), "$.node.memory.availableBytes"),
    (("containers", 1, "id"), "$.containers[1].id"),
    (("containers", 1, "memory"), "$.containers[1].memory"),
    (("containers", 0, "memory", "currentBytes"), "$.containers[0].memory.currentBytes"),
]


@pytest.mark.parametrize(("path", "field"), REQUIRED, ids=[row[1] for row in REQUIRED])
def test_a_missing_required_field_is_named_with_its_line(path: tuple[str | int, ...], field: str) -> None:
    broken = without(SMALL, *path)
    with pytest.raises(InputError, match="missing required field") as caught:
        decode_line(encode(broken), "incident.jsonl", 17)
    assert (caught.value.line, caught.value.field) == (17, field)
    assert str(caught.value).startswith("incident.jsonl:17: ")
    pretty = json.dumps(broken, indent=1)
    with pytest.raises(InputError) as caught:
        decode_snapshot(pretty.encode(), "node.json")
    assert caught.value.field == field
    assert caught.value.line == line_of_parent(pretty, path)


def line_of_parent(pretty: str, path: tuple[str | int, ...]) -> int:
    """Where the object begins from which the field is missing, in json.dumps(indent=1)."""
    line = 1
    for step in path[:-1]:
        if isinstance(step, int):
            line = [index for index, text in enumerate(pretty.splitlines(), 1) if text == "  {"][step]
        else:
            line = _find(pretty, f'"{step}": ', line)
    return line


def _find(pretty: str, text: str, start: int = 0) -> int:
    return next(i for i, line in enumerate(pretty.splitlines(), 1) if i >= start and text in line)


def test_a_wrong_value_is_named_with_its_own_line() -> None:
    pretty = json.dumps(replaced(SMALL, "much", "containers", 1, "memory", "anonBytes"), indent=1)
    with pytest.raises(InputError) as caught:
        decode_snapshot(pretty.encode())
    assert caught.value.field == "$.containers[1].memory.anonBytes"
    assert caught.value.line == _find(pretty, '"much"')


BROKEN = [
    (b"", 1),
    (b"{", 1),
    (b'{\n"takenAt": "2026-11-23T06:00:00Z",\n}', 3),
    (b'{\n"takenAt":\n\n', 4),
    (b"nonsense", 1),
    (b"\xff\xfe{}", 1),
]


@pytest.mark.parametrize(("text", "line"), BROKEN)
def test_broken_json_is_named_with_its_line(text: bytes, line: int) -> None:
    with pytest.raises(InputError) as caught:
        decode_snapshot(text)
    assert caught.value.line == line


IGNORED = [
    {"extra": 1},
    {"extra": {"deep": [[{}]]}},
    {"extra": None},
    {"snapshots": "x" * 1000},
]


@pytest.mark.parametrize("extra", IGNORED)
@pytest.mark.parametrize("path", [(), ("node",), ("node", "memory"), ("containers", 0), ("containers", 0, "memory")])
def test_unknown_fields_are_ignored(extra: dict[str, Any], path: tuple[str | int, ...]) -> None:
    value: Any = SMALL
    for step in path:
        value = value[step]
    wider = value | extra
    text = encode(replaced(SMALL, wider, *path) if path else wider)
    assert decode_snapshot(text) == decode_snapshot(encode(SMALL))
    assert decode_line(text) == Reading(snapshot=decode_snapshot(encode(SMALL)))


WRONG = [
    ("a time without a zone", ("takenAt",), "2026-11-23T06:00:00", "timezone"),
    ("a negative size", ("containers", 0, "memory", "anonBytes"), -1, ">= 0"),
    ("a size beyond the kernel", ("containers", 0, "memory", "anonBytes"), 1 << 63, "<= 9223372036854775807"),
    ("no memory at all", ("node", "memory", "totalBytes"), 0, ">= 1"),
    ("a text for a number", ("node", "uptimeSeconds"), "long", "float"),
    ("an unknown QoS", ("containers", 0, "qos"), "Best", "Best"),
    ("an unknown restartPolicy", ("containers", 0, "restartPolicy"), "Sometimes", "Sometimes"),
    ("the same id twice", ("containers", 1, "id"), "a", "twice"),
]


@pytest.mark.parametrize(("words", "path", "value", "problem"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said(words: str, path: tuple[str | int, ...], value: object, problem: str) -> None:
    text = encode(replaced(SMALL, value, *path))
    with pytest.raises(InputError, match=r"formats\.md|own id") as caught:
        decode_snapshot(text)
    assert problem in str(caught.value)
    with pytest.raises(InputError):
        decode_line(text)


LINES: list[tuple[dict[str, Any], str]] = [
    ({"type": "nonsense"}, "$.type"),
    ({"type": 1}, "$.type"),
    ({"type": "plan"}, "$.plan"),
    ({"type": "snapshot"}, "$.takenAt"),
    ({"type": "event", "at": "yesterday"}, "$.at"),
    ({"type": "plan", "plan": {"mode": "Kill"}}, "$.plan.mode"),
]


@pytest.mark.parametrize(("line", "field"), LINES)
def test_a_wrong_line_of_another_kind_is_named(line: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_line(encode(line), "trace", 3)
    assert (caught.value.line, caught.value.field) == (3, field)


def test_a_header_without_a_plan_means_the_defaults() -> None:
    assert decode_line(b'{"type": "header", "version": "0.1.0"}') == Header(version="0.1.0", plan=Plan())
