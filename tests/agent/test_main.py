"""The command line, and the files of the agent's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from memguard.agent.agent import make_directory
from memguard.agent.disk import UNFINISHED, read_back, write_whole
from memguard.agent.main import Arguments, arguments, main
from memguard.errors import ConfigError
from memguard.service.crew import Crew
from memguard.service.journal import REPEAT_SECONDS, Journal

NEEDED = ["--node=n", "--socket", "/s", "--state=/d", "--listen", ":9465"]
ROOT = Path(__file__).resolve().parents[2]


def test_what_is_needed_and_what_can_be_said() -> None:
    assert arguments(NEEDED) == Arguments(node="n", socket="/s", state="/d", listen=":9465")
    more = ["--kubeconfig=k", "--namespace", "ours", "--guard-uid=7", "--vpa-events"]
    assert arguments([*NEEDED, *more]) == Arguments(
        node="n",
        socket="/s",
        state="/d",
        listen=":9465",
        kubeconfig="k",
        namespace="ours",
        guard_uid=7,
        vpa_events=True,
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "--node needs a value"),
        (["--node=n"], "--socket needs a value"),
        ([*NEEDED, "--node="], "--node needs a value"),
        ([*NEEDED, "--kubeconfig"], "--kubeconfig needs a value"),
        ([*NEEDED, "--guard-uid=root"], "--guard-uid takes a user's number, not 'root'"),
        ([*NEEDED, "--guard-uid=-1"], "--guard-uid takes a user's number, not '-1'"),
        ([*NEEDED, "--vpa-events=yes"], "unknown argument '--vpa-events=yes'"),
        ([*NEEDED, "--enforce"], "unknown argument '--enforce'"),
        ([*NEEDED, "node=n"], "unknown argument 'node=n'"),
        (["-x"], "unknown argument '-x'"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as error:
        arguments(words)
    assert problem in str(error.value)
    assert main(words) == 2
    assert capsys.readouterr().err == f"memguard agent: command line: {problem}. See memguard agent --help.\n"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in text for name in Arguments._fields)
    assert max(map(len, text.splitlines())) <= 120


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "memguard", "agent", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_outside_of_a_cluster_it_says_what_it_lacks(tmp_path: Path) -> None:
    ran = run("--node=n", "--socket=/none", f"--state={tmp_path}/state", "--listen=127.0.0.1:0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "KUBERNETES_SERVICE_HOST is not set. Run in a pod, or give a kubeconfig." in ran.stderr


def test_a_state_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run("--node=n", "--socket=/none", f"--state={tmp_path}/file", "--listen=127.0.0.1:0")
    assert ran.returncode == 2
    assert f"{tmp_path}/file: File exists" in ran.stderr
    with pytest.raises(ConfigError, match="Not a directory"):
        make_directory(f"{tmp_path}/file/state")


# --- threads


def test_a_thread_that_ends_by_itself_is_missed() -> None:
    reader, writer = os.pipe()
    crew, over = Crew(Journal(writer)), threading.Event()
    crew.start("steady", lambda: (over.wait(), None)[1])
    crew.start("short", lambda: None)
    pause = threading.Event()
    while not crew.idle:
        pause.wait(0.01)
    assert (crew.lost, crew.idle) == ("short", ("short",))
    assert json.loads(os.read(reader, 4096))["thread"] == "short"
    crew.leave()
    over.set()
    assert crew.part() == ()
    assert crew.lost == "short"
    for fd in (reader, writer):
        os.close(fd)


def test_who_was_asked_to_end_is_not_missed() -> None:
    crew, over = Crew(Journal(os.open(os.devnull, os.O_WRONLY))), threading.Event()
    crew.start("steady", lambda: (over.wait(), None)[1])
    crew.leave()
    over.set()
    assert (crew.part(), crew.lost, crew.idle) == ((), None, ("steady",))


# --- files and words


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(str(path), b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(str(path), b"new")
    assert path.read_bytes() == b"old"
    write_whole(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert not Path(f"{path}{UNFINISHED}").exists()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    troubles: list[str] = []
    numbers = msgspec.json.Decoder(int)
    (tmp_path / "good").write_text("5")
    (tmp_path / "bad").write_text("five")
    (tmp_path / "folder").mkdir()
    found = [read_back(str(tmp_path / name), numbers, troubles.append) for name in ("good", "none", "bad", "folder")]
    assert found == [5, None, None, None]
    assert ["bad is broken and ignored" in troubles[0], "folder cannot be read" in troubles[1]] == [True, True]


def test_the_log_has_the_guards_shape() -> None:
    reader, writer = os.pipe()
    at = datetime(2026, 11, 23, 6, tzinfo=UTC)
    Journal(writer, lambda: at).write("plan", version="v1", notes=())
    assert os.read(reader, 4096) == b'{"kind":"plan","at":"2026-11-23T06:00:00Z","version":"v1","notes":[]}\n'
    for fd in (reader, writer):
        os.close(fd)


def test_the_same_trouble_is_told_now_and_then() -> None:
    reader, writer = os.pipe()
    clock = [0.0]
    journal = Journal(writer, clock=lambda: clock[0])
    for clock[0] in (0.0, 1.0, REPEAT_SECONDS - 1, REPEAT_SECONDS + 1):
        journal.trouble("the disk is full")
        journal.trouble("another") if clock[0] == 1.0 else None
    assert [json.loads(line)["reason"] for line in os.read(reader, 4096).splitlines()] == [
        "the disk is full", "another", "the disk is full",
    ]  # fmt: skip
    for fd in (reader, writer):
        os.close(fd)
