"""The program as a whole: how it starts, what it writes where, and what it does when it cannot."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli import incident
from tests.cli.conftest import Run

import memguard
from memguard.cli.app import COMMANDS

MEMGUARD = [sys.executable, "-m", "memguard"]
NAMES = ["guard", *(command.__name__ for command in COMMANDS)]


def test_version(run: Run) -> None:
    assert run("--version").out == f"memguard {memguard.__version__}\n"


def test_help_lists_every_command(run: Run) -> None:
    out = run("--help").out
    assert {"guard", "top", "snapshot", "record", "rank", "replay", "explain", "report", "doctor"} == set(NAMES)
    assert all(f"\n  {name} " in out for name in NAMES)


@pytest.mark.parametrize("name", NAMES[1:])
def test_every_command_has_examples_and_documents_its_exit_codes(run: Run, name: str) -> None:
    ran = run(name, "--help")
    assert ran.code == 0
    assert f"memguard {name}" in ran.out.split("Examples:")[1]
    assert "Exit codes: 0" in ran.out


@pytest.mark.parametrize("name", [name for name in NAMES[1:-1] if name != "report"])
def test_a_plan_is_said_to_replace_a_traces_only_where_there_is_a_trace(run: Run, name: str) -> None:
    out = " ".join(run(name, "--help").out.split())
    assert "--plan TOML" in out
    assert ("not the trace's" in out) == (name in ("rank", "replay", "explain"))


def test_the_guard_has_its_own_help_and_its_own_errors(run: Run) -> None:
    assert run("guard", "--help").out.startswith("usage: memguard guard")
    ran = run("guard", "--standalone", "--config", "/no/such/file.toml")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("missing", ["typer", "rich", "yaml"])
def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('gone', name={missing!r})\n")
    trace = incident.write_trace(tmp_path / "trace.jsonl")
    form = {"yaml": "yaml", "rich": "table", "typer": "json"}[missing]
    ran = subprocess.run(
        [*MEMGUARD, "rank", str(trace), "-o", form],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == f"memguard: {missing} is missing. In memguard's source: pip install '.[cli]'\n"


def test_standard_input_is_read_packed_or_not(trace: Path, tmp_path: Path) -> None:
    packed = incident.write_trace(tmp_path / "incident.jsonl.gz")
    outputs = set()
    for path in (trace, packed):
        with path.open("rb") as stdin:
            ran = subprocess.run([*MEMGUARD, "rank", "-", "-o", "json"], stdin=stdin, capture_output=True, check=True)
        outputs.add(ran.stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["victim"] == incident.LEAK


def test_bad_standard_input_is_called_by_its_name() -> None:
    ran = subprocess.run([*MEMGUARD, "rank", "-"], input=b"hello\n", capture_output=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"memguard: <stdin>:1: ")


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_a_reader_that_goes_away_is_no_traceback(trace: Path, form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*MEMGUARD, "rank", str(trace), "-o", form]
    ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_full_disk_is_said_in_one_line(trace: Path, form: str) -> None:
    with open("/dev/full", "wb") as full:
        command = [*MEMGUARD, "rank", str(trace), "-o", form]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 1
    assert ran.stderr == b"memguard: output: No space left on device. The output is not complete.\n"


def on_a_terminal(arguments: list[str], **environment: str) -> bytes:
    """What a command writes to a terminal of 120 columns."""
    master, slave = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "120"} | environment
    with subprocess.Popen([*MEMGUARD, *arguments], stdout=slave, env=env) as command:
        os.close(slave)
        written = b""
        try:
            while data := os.read(master, 65536):
                written += data
        except OSError:  # how Linux says that the other side is closed
            pass
        assert command.wait(timeout=30) == 0
    os.close(master)
    return written


def test_colour_is_for_terminals_and_no_color_is_honoured(run: Run, trace: Path) -> None:
    assert b"\x1b[1;31m" in on_a_terminal(["rank", str(trace)])
    assert b"\x1b[31m" not in on_a_terminal(["rank", str(trace)], NO_COLOR="1")
    assert b";31m" not in on_a_terminal(["rank", str(trace)], NO_COLOR="1")
    assert "\x1b" not in run("rank", trace).out


def test_a_name_cannot_play_with_the_terminal(run: Run, tmp_path: Path) -> None:
    snapshot = incident.snapshot(0)
    snapshot["containers"][0]["pod"] = "[red]:boom:\x1b[2J\r\nfake"
    (tmp_path / "node.json").write_text(json.dumps(snapshot))
    out = run("rank", tmp_path / "node.json").out
    assert "[red]:boom:\ufffd[2J" in out
    assert "\x1b" not in out
    assert "\r" not in out


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_nor_where_programs_read(run: Run, tmp_path: Path, form: str, read: Callable[[str], Any]) -> None:
    nasty = "ä\x1b[2J\x9b31m\x7f\r\n\u202efake\u2066"
    snapshot = incident.snapshot(0)
    snapshot["containers"][0]["pod"] = nasty
    (tmp_path / "node.json").write_text(json.dumps(snapshot))
    out = run("rank", tmp_path / "node.json", "-o", form).out
    assert out.replace("\n", "").isprintable()
    assert nasty in {one["pod"] for one in read(out)["candidates"]}


def test_a_name_that_the_encoding_lacks_is_written_all_the_same(tmp_path: Path) -> None:
    snapshot = incident.snapshot(0)
    snapshot["containers"][0]["pod"] = "корзина"
    (tmp_path / "node.json").write_text(json.dumps(snapshot))
    ran = subprocess.run(
        [*MEMGUARD, "rank", str(tmp_path / "node.json")],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\\u043a" in ran.stdout
