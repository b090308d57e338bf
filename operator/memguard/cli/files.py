"""Files that a person hands us: snapshots and traces, plain or gzip, from disk or standard input.

Whatever is wrong with one becomes an InputError that names the file, the line and what to do.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from itertools import chain
from typing import IO, Any, cast

import msgspec

from memguard.core.model import LARGEST, UNREADABLE
from memguard.core.trace import Line, Reading, decode_line, decode_snapshot
from memguard.errors import InputError

STDIN = "-"
GZIP_MAGIC = b"\x1f\x8b"
#: 250 containers are half a megabyte of JSON; without a bound, `memguard rank /dev/zero` would eat the machine.
LONGEST_BYTES = 64 << 20
REMEDY = "Compare it with docs/formats.md, or write a new one with `memguard snapshot` or `memguard record`."
PATH_REMEDY = "Give the path of a snapshot or trace, or - for standard input."


def read_trace(source: str) -> Iterator[Line]:
    """The lines of a trace; a single snapshot, pretty-printed or not, is a trace of one reading.

    `source` is a path or `-`. Raises InputError, also when there is no line at all.
    """
    return parse_trace(numbered_lines(source), name_of(source))


def parse_trace(numbered: Iterator[tuple[int, bytes]], name: str) -> Iterator[Line]:
    """The same from lines that are at hand; `name` is what errors call them."""
    first = next(numbered, None)
    if first is None:
        raise InputError(name, "it is empty", remedy=REMEDY)
    numbered = chain([first], numbered)
    if is_json(first[1]):
        for number, line in numbered:
            yield decode_line(line, name, number)
    else:
        yield Reading(snapshot=decode_snapshot(_joined(numbered, name), name))


def numbered_lines(source: str) -> Iterator[tuple[int, bytes]]:
    """Number and text of every line that is not blank. Raises InputError for what cannot be read or unpacked."""
    name = name_of(source)
    with _opened(source) as file:
        number = 1
        while line := _read_line(file, name, number):
            if line.strip():
                yield number, line
            number += 1


def read_yaml(source: str, remedy: str) -> list[Any]:
    """The objects of a YAML or JSON file, as JSON has them: of each document, and of a List each of its items.

    Raises InputError, also when there is nothing in it; `remedy` is what to give instead.
    """
    name = name_of(source)
    text = _joined(numbered_lines(source), name)
    if not text:
        raise InputError(name, "it is empty", remedy=remedy)
    return [one for document in _documents(text, name, remedy) for one in _items(document)]


def _documents(text: bytes, name: str, remedy: str) -> list[Any]:
    """As JSON has them: YAML's own times, sets and endless numbers go through the same door."""
    import yaml

    try:
        found = msgspec.json.decode(msgspec.json.encode(list(yaml.load_all(text, _loader(yaml)))))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(name, f"is no YAML: {problem}", line=mark.line + 1 if mark else None, remedy=remedy) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(name, str(error), remedy=remedy) from None
    if any(abs(number) > LARGEST for number in _numbers(found)):
        raise InputError(name, "there is a number in it that no machine has", remedy=remedy)
    return [document for document in found if document is not None]


def _items(document: Any) -> list[Any]:
    items = document.get("items") if isinstance(document, dict) else None
    return items if isinstance(items, list) else [document]


def _loader(yaml: Any) -> Any:
    """A safe loader without aliases: a few lines with them stand for gigabytes, and kubectl writes none."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not read", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    return Loader


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value


def name_of(source: str) -> str:
    """What messages call it."""
    return "<stdin>" if source == STDIN else source


def is_json(text: bytes) -> bool:
    """Is this a whole JSON value?"""
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True


def begins_object(text: bytes) -> bool:
    """Does a JSON object begin here, whole or not?"""
    return text.lstrip().startswith(b"{")


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    """The file, unpacked where its first bytes say so."""
    if source == STDIN and sys.stdin is None:
        raise InputError(name_of(source), "standard input is closed", remedy=PATH_REMEDY)
    with ExitStack() as closing:
        try:
            file = sys.stdin.buffer if source == STDIN else closing.enter_context(open(source, "rb"))
            packed = isinstance(file, BufferedReader) and file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        except OSError as error:
            raise _unreadable(error, name_of(source)) from None
        yield cast("IO[bytes]", closing.enter_context(gzip.open(file))) if packed else file


def _read_line(file: IO[bytes], name: str, number: int) -> bytes:
    """The next line, empty at the end of the file."""
    try:
        line = file.readline(LONGEST_BYTES)
    except EOFError:
        problem = "the gzip stream ends in the middle"
        raise InputError(name, problem, line=number, remedy="Copy the whole file again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(name, f"gzip is damaged ({error})", line=number, remedy="Copy the file again.") from None
    except OSError as error:
        raise _unreadable(error, name) from None
    if len(line) == LONGEST_BYTES:
        raise _too_long(name, number)
    return line


def _joined(numbered: Iterator[tuple[int, bytes]], name: str) -> bytes:
    """One document over several lines."""
    text, lines = bytearray(), 0
    for number, line in numbered:
        # Blank lines were dropped: they are put back so that an error's line is the file's.
        text += b"\n" * (number - 1 - lines) + line
        lines = number
        if len(text) > LONGEST_BYTES:
            raise _too_long(name, number)
    return bytes(text)


def _unreadable(error: OSError, name: str) -> InputError:
    return InputError(name, f"cannot be read: {error.strerror or error}", remedy=PATH_REMEDY)


def _too_long(name: str, number: int) -> InputError:
    return InputError(name, f"more than {LONGEST_BYTES >> 20} MiB in one value", line=number, remedy=REMEDY)
