"""The journal: whatever the reader does, the guard never waits and no line is ever half of two."""

from __future__ import annotations

import fcntl
import json
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.guard.journal import QUEUE_LINES, Journal

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
PIPE_BYTES = 4096


@dataclass
class Pipe:
    """A journal into a small pipe, and its reader."""

    journal: Journal
    reader: int
    read: bytes = b""

    def take(self, size: int = 1 << 20) -> None:
        try:
            self.read += os.read(self.reader, size)
        except BlockingIOError:
            return

    def drain(self) -> list[dict[str, Any]]:
        """Everything that can still be had, line by line."""
        before = None
        while before != len(self.read):
            before = len(self.read)
            self.journal.flush()
            self.take()
        return [json.loads(line) for line in self.read.splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    yield from _pipe()


def _pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(writer, True)  # as a shell hands it over
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield Pipe(Journal(writer, lambda: NOW), reader)
    for fd in (reader, writer):
        os.close(fd)


def test_a_line_is_its_kind_the_time_and_the_facts_in_their_order(pipe: Pipe) -> None:
    pipe.journal.write("decision", victim="a", score=7, at_last=None)
    pipe.take()
    assert pipe.read == b'{"kind":"decision","at":"2026-11-23T06:00:00Z","victim":"a","score":7,"at_last":null}\n'


@pytest.mark.row("G4")
def test_a_reader_that_does_not_read_stops_nobody(pipe: Pipe) -> None:
    count = QUEUE_LINES * 3
    for number in range(count):
        pipe.journal.write("nobody", number=number, words="x" * 100)
    assert pipe.journal.dropped_lines > 0
    lines = pipe.drain()
    assert len(lines) == count - pipe.journal.dropped_lines
    numbers = [line["number"] for line in lines]
    assert numbers == sorted(numbers)
    assert numbers[-1] == count - 1, "the oldest are dropped, the newest are kept"


def test_lines_say_how_many_were_dropped_before_them(pipe: Pipe) -> None:
    for number in range(QUEUE_LINES * 2):
        pipe.journal.write("nobody", number=number, words="x" * 100)
    pipe.drain()
    pipe.read = b""
    pipe.journal.write("stop")
    assert pipe.drain() == [{"kind": "stop", "at": "2026-11-23T06:00:00Z", "droppedLines": pipe.journal.dropped_lines}]


def test_a_line_longer_than_the_pipe_goes_through_in_parts(pipe: Pipe) -> None:
    pipe.journal.write("decision", words="x" * PIPE_BYTES * 3)
    pipe.journal.write("stop")
    assert [line["kind"] for line in pipe.drain()] == ["decision", "stop"]


STEPS = st.lists(st.integers(0, PIPE_BYTES * 2).map(lambda size: ("write", size)) | st.tuples(
    st.just("read"), st.integers(1, PIPE_BYTES)), max_size=40)  # fmt: skip


@given(STEPS)
def test_lines_stay_whole_whatever_the_reader_does(steps: list[tuple[str, int]]) -> None:
    for pipe in _pipe():
        written = 0
        for what, size in steps:
            if what == "read":
                pipe.take(size)
            else:
                pipe.journal.write("line", number=written, words="x" * size)
                written += 1
        assert [line["number"] for line in pipe.drain()] == list(range(written))


def test_a_reader_that_is_gone_costs_lines_and_nothing_else() -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.close(reader)
    journal = Journal(writer, lambda: NOW)
    for _ in range(5):
        journal.write("nobody")
    journal.flush()
    assert journal.dropped_lines == 5
    os.close(writer)


def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    """Part of a line was taken and no more: what comes later, when there is room again, stands on a line of its own."""
    path = tmp_path / "journal"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            journal = Journal(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), lambda: NOW)
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            for number in range(5):
                journal.write("line", number=number)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            for number in range(5, 8):
                journal.write("line", number=number)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    lines = path.read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines[-3:]] == [5, 6, 7]
    assert json.loads(lines[-1])["droppedLines"] > 0


@pytest.mark.parametrize(
    ("named", "read"),
    [
        ("\x1b[2J\x9b31m\x7f\r", None),
        ("\u202egnp\u2066\u200b\u2028\U000e0041", None),
        ("line\n{", None),
        ("ä€ 漢", None),
        (os.fsdecode(b"a\xff\n"), "a\\udcff\n"),
    ],
)
def test_no_name_is_more_than_a_name(pipe: Pipe, named: str, read: str | None) -> None:
    """Of a cgroup or a process: any bytes but NUL and a slash. The log is read on a terminal."""
    pipe.journal.write("trouble", reason=named, more={named: (named,)})
    pipe.take()
    assert pipe.read.decode().removesuffix("\n").isprintable()
    read = read or named
    assert json.loads(pipe.read) == {
        "kind": "trouble",
        "at": "2026-11-23T06:00:00Z",
        "reason": read,
        "more": {read: [read]},
    }


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_every_text_is_written_and_can_be_printed(text: str) -> None:
    for pipe in _pipe():
        pipe.journal.write("trouble", reason=text)
        pipe.take()
        assert pipe.read.count(b"\n") == 1
        assert pipe.read[:-1].decode().isprintable()
        assert not _is_text(text) or json.loads(pipe.read)["reason"] == text


def _is_text(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
