"""A trace that is being written: line by line, each on disk before the next begins, and never after half a line."""

from __future__ import annotations

import gzip
import os
import sys
from types import TracebackType
from typing import IO, cast

from memguard.cli.files import STDIN, is_json, numbered_lines
from memguard.core.trace import Line, decode_line, encode_line
from memguard.errors import InputError

STDOUT = STDIN
PACKED = ".gz"
TAIL_BYTES = 1 << 16


class TraceFile:
    """A context. An existing trace is continued; a file that is none is refused, never overwritten (InputError)."""

    def __init__(self, path: str) -> None:
        self._file = sys.stdout.buffer if path == STDOUT else _opened(path)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not sys.stdout.buffer:
            self._file.close()

    def write(self, line: Line) -> None:
        """Append a line and flush it."""
        self._file.write(encode_line(line))
        self._file.flush()


def _opened(path: str) -> IO[bytes]:
    try:
        if os.path.isfile(path) and os.path.getsize(path):
            _mend(path)
        return cast("IO[bytes]", gzip.open(path, "ab")) if path.endswith(PACKED) else open(path, "ab")
    except OSError as error:
        remedy = "Give a file that you may write, or - for standard output."
        raise InputError(path, f"cannot be written: {error.strerror}", remedy=remedy) from None


def _mend(path: str) -> None:
    """Check that it is a trace, and drop the half line that a killed recording left: nothing could read past it."""
    lines = numbered_lines(path)
    number, first = next(lines, (1, b""))
    if not is_json(first):
        raise InputError(path, "is no trace", remedy="Give a new file, or a trace to continue.", line=number)
    decode_line(first, path, number)
    if path.endswith(PACKED):
        for _ in lines:  # a damaged stream would swallow what is appended: the reading says so
            pass
    else:
        _drop_half_line(path)


def _drop_half_line(path: str) -> None:
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - TAIL_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
