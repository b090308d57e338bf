"""Whatever a file holds: one line on stderr that names it and the remedy, exit code 2, and never a traceback."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli import incident
from tests.cli.conftest import Run

from memguard.__main__ import main

READERS = ("rank", "replay", "explain")
Write = Callable[[Path], None]


def text(content: str) -> Write:
    return lambda path: path.write_text(content) and None


def raw(content: bytes) -> Write:
    return lambda path: path.write_bytes(content) and None


def snapshot(*path: str | int, value: Any) -> Write:
    """A snapshot in which one place holds something else."""
    whole = incident.snapshot(0)
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return text(json.dumps(whole))


def without(*path: str | int) -> Write:
    whole = incident.snapshot(0)
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return text(json.dumps(whole))


GOOD_LINE = json.dumps(incident.snapshot(0))
#: the second container's id stands on line 20
TWICE = json.dumps(
    {
        "takenAt": "2026-11-23T06:00:00Z",
        "node": {"memory": {"totalBytes": 2, "availableBytes": 1}},
        "containers": [{"memory": {"currentBytes": 1}, "id": "a"}] * 2,
    },
    indent=0,
)
PACKED = gzip.compress((GOOD_LINE + "\n").encode() * 50)

# what is wrong: how the file is made, and what the message must name
BAD_FILES: dict[str, tuple[Write, tuple[str, ...]]] = {
    "missing": (lambda path: None, ("No such file",)),
    "directory": (lambda path: path.mkdir(), ("Is a directory",)),
    "empty": (text(""), ("empty",)),
    "blank lines": (text("\n  \n\n"), ("empty",)),
    "header only": (text('{"type": "header"}\n'), ("no snapshot",)),
    "no JSON": (text("hello\n"), (":1:", "malformed")),
    "binary garbage": (raw(bytes(range(256)) * 20), (":1:", "malformed")),
    "not UTF-8": (raw(b'{"takenAt": "\xff\xfe"}\n'), (":1:", "takenAt")),
    "half a document": (text(GOOD_LINE[:200]), (":1:", "truncated")),
    "half a pretty document": (text(json.dumps(incident.snapshot(0), indent=2)[:-2]), ("truncated",)),
    "half a last line": (text(GOOD_LINE + "\n" + GOOD_LINE[:100]), (":2:", "truncated")),
    "gzip, truncated": (raw(PACKED[: len(PACKED) // 2]), ("gzip", "ends")),
    "gzip, damaged": (raw(PACKED[:30] + b"\0\0\0\0" + PACKED[34:]), ("gzip", "damaged")),
    "gzip of nothing": (raw(gzip.compress(b"")), ("empty",)),
    "array": (text("[]\n"), ("object", "array")),
    "deep nesting": (text("[" * 100_000), (":1:", "object")),
    "deep nesting on one line": (text('{"a":' * 50_000 + "1" + "}" * 50_000), (":1:", "recursion")),
    "missing field": (without("containers"), ("containers",)),
    "missing memory total": (without("node", "memory", "totalBytes"), ("totalBytes", "$.node.memory")),
    "wrong type": (
        snapshot("containers", 0, "memory", "currentBytes", value="12Mi"),
        ("$.containers[", "currentBytes"),
    ),
    "negative size": (snapshot("containers", 1, "memory", "anonBytes", value=-1), ("anonBytes", ">= 0")),
    "huge size": (snapshot("node", "memory", "totalBytes", value=1 << 70), ("totalBytes",)),
    "wrong enum": (snapshot("containers", 0, "qos", value="Best"), ("Best", "qos")),
    "wrong enum that plays with the terminal": (
        snapshot("containers", 0, "qos", value="\x1b[2J\nok"),
        ("$.containers[",),
    ),
    "time without zone": (snapshot("takenAt", value="2026-11-23T06:00:00"), ("takenAt",)),
    "no time": (snapshot("takenAt", value="yesterday"), ("takenAt",)),
    "an id twice": (snapshot("containers", 1, "id", value=incident.LEAK), (":1:", "$.containers[1].id")),
    "an id twice in a pretty document": (text(TWICE), (":20:", "$.containers[1].id")),
    "unknown line type": (text('{"type": "surprise"}\n'), ("surprise",)),
    "second line wrong": (text(GOOD_LINE + '\n{"type": "header", "version": 3}\n'), (":2:", "version")),
}


def assert_refused(code: int, out: str, err: str, *words: str) -> None:
    assert (code, out) == (2, "")
    assert err.startswith("memguard: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert err[:-1].isprintable()
    for word in words:
        assert word.lower() in err.lower()


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(run: Run, tmp_path: Path, command: str, what: str) -> None:
    make, words = BAD_FILES[what]
    path = tmp_path / "input"
    make(path)
    ran = run(command, path)
    assert_refused(ran.code, ran.out, ran.err, *words)
    assert str(path) in ran.err


BAD_PLANS = {
    "missing": (None, "No such file"),
    "no TOML": ("mode = \n", ":1:"),
    "unknown key": ('mod = "Enforce"\n', "'mode'"),
    "unknown key in a rule": ("[[rules]]\nprotect = true\n", "'protected'"),
    "wrong value": ('mode = "Kill"\n', "Kill"),
    "out of range": ("[[rules]]\nadjustment = 2000\n", "1000"),
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("what", BAD_PLANS)
def test_a_bad_plan_is_refused_in_one_line(run: Run, trace: Path, tmp_path: Path, command: str, what: str) -> None:
    content, words = BAD_PLANS[what]
    plan = tmp_path / "plan.toml"
    if content is not None:
        plan.write_text(content)
    ran = run(command, trace, "--plan", plan)
    assert_refused(ran.code, ran.out, ran.err, words)
    assert str(plan) in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("rank",),
        ("rank", "a", "b"),
        ("rank", "-o", "xml", "a"),
        ("replay", "--unknown", "a"),
        ("explode",),
        ("top", "--interval", "0"),
        ("top", "--interval", "soon"),
        ("record", "--count", "0"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Error: " in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: bytes
) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    code = main([command, str(path)])
    out, err = capsys.readouterr()
    assert_refused(code, out, err)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


PLACES = places(incident.snapshot(0))[1:]


@pytest.mark.parametrize("command", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=JSON_VALUES)
def test_any_value_in_any_place_is_taken_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: tuple[str | int, ...], value: Any
) -> None:
    path = tmp_path / "input"
    snapshot(*place, value=value)(path)
    code = main([command, str(path)])
    out, err = capsys.readouterr()
    if code:
        assert_refused(code, out, err)
