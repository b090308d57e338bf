from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.trees import FakeMachine

TYPES = ["header", "snapshot", "snapshot"]


def types(path: Path) -> list[str]:
    """The kinds of a trace's lines."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line)["type"] for line in text.splitlines()]


def record(run: Run, machine: FakeMachine, *options: object) -> None:
    ran = run("record", *machine.options, "--interval", "0.01", "--count", "2", *options)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.gz"])
def test_the_header_comes_first_and_a_trace_is_continued(
    run: Run, machine: FakeMachine, tmp_path: Path, name: str
) -> None:
    record(run, machine, "-o", tmp_path / name)
    assert types(tmp_path / name) == TYPES
    record(run, machine, "-o", tmp_path / name)
    assert types(tmp_path / name) == TYPES * 2


@pytest.mark.row("G2")
@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.gz"])
def test_what_was_recorded_can_be_ranked_and_replayed(
    run: Run, machine: FakeMachine, tmp_path: Path, name: str
) -> None:
    record(run, machine, "-o", tmp_path / name)
    assert len(json.loads(run("rank", tmp_path / name, "-o", "json").out)["candidates"]) == 2
    replayed = json.loads(run("replay", tmp_path / name, "-o", "json").out)
    assert replayed["summary"] == {"snapshots": 2, "decisions": 0}


def test_the_plan_is_recorded(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('mode = "Enforce"\n')
    record(run, machine, "--plan", plan, "-o", tmp_path / "trace.jsonl")
    header = json.loads((tmp_path / "trace.jsonl").read_text().splitlines()[0])
    assert header["plan"]["mode"] == "Enforce"


def test_half_a_line_of_a_killed_recording_is_dropped(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    record(run, machine, "-o", path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:150])
    record(run, machine, "-o", path)
    assert types(path) == TYPES * 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"my notes\n"),
        ("shopping.json", b'{"milk": 2}\n'),
        ("node.json", b'{\n  "takenAt": "2026-11-23T06:00:00Z"\n}\n'),
        ("cut.jsonl.gz", gzip.compress(b'{"type": "header"}\n' * 99)[:-12]),
        ("plain.jsonl.gz", b"my notes\n"),
    ],
)
def test_what_is_no_trace_is_never_written_to(
    run: Run, machine: FakeMachine, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ran = run("record", *machine.options, "--count", "1", "-o", path)
    assert ran.code == 2
    assert str(path) in ran.err
    assert path.read_bytes() == content


def test_an_unwritable_place_is_bad_input(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    ran = run("record", *machine.options, "--count", "1", "-o", tmp_path / "no" / "such" / "directory.jsonl")
    assert ran.code == 2
    assert "cannot be written: No such file or directory" in ran.err


@pytest.mark.parametrize("name", ["traces", "traces.gz"])
def test_a_directory_is_no_place_for_a_trace(run: Run, machine: FakeMachine, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    ran = run("record", *machine.options, "--count", "1", "-o", tmp_path / name)
    assert ran.code == 2
    assert "cannot be written: Is a directory. Give a file that you may write, or - for standard output." in ran.err


def test_a_duration_ends_it(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    run("record", *machine.options, "--interval", "0.05", "--duration", "0.12", "-o", tmp_path / "trace.jsonl")
    assert 1 < len(types(tmp_path / "trace.jsonl")) <= 4


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_whole_trace(machine: FakeMachine, tmp_path: Path, ending: signal.Signals) -> None:
    path = tmp_path / "trace.jsonl"
    os.mkfifo(path)  # its reader sees each line as soon as it is written: nothing is waited for by the clock
    command = [sys.executable, "-m", "memguard", "record", *machine.options, "--interval", "0.01", "-o", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as recording, path.open("rb") as trace:
        first = [trace.readline() for _ in range(3)]
        recording.send_signal(ending)
        lines = [*first, *trace]
        assert recording.wait(timeout=30) == 0
        assert recording.stderr is not None
        assert recording.stderr.read() == b""
    assert lines[-1].endswith(b"\n")
    assert {json.loads(line)["type"] for line in lines} == {"header", "snapshot"}
