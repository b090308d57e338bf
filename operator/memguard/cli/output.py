"""How a result leaves: a table for people, JSON or YAML for programs.

Colour and width are the terminal's business: without one there is no colour, and NO_COLOR is honoured (rich does).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from memguard.core.spelling import harmless

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Columns where nobody watches: no sentence is broken and no table cut, so that other programs can read lines.
PIPE_WIDTH = 4096


class Format(StrEnum):
    """`-o`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def emit(document: msgspec.Struct, form: Format, view: Callable[[], RenderableType]) -> None:
    """Print a document; `view` draws it for people, and imports rich for them only (80 ms)."""
    if form is Format.TABLE:
        console().print(view())
    else:
        write(encode(document, form))


def encode(document: msgspec.Struct, form: Format, *, stream: bool = False) -> bytes:
    """The document as JSON or YAML in UTF-8, with its newline.

    In a `stream` others follow: JSON takes one line each, YAML begins each with `---`. What cannot be printed stands
    there as an escape, in both: a name that was not meant for a terminal may get to one.
    """
    packed = msgspec.json.encode(document)
    if form is Format.YAML:
        # JSON is YAML, and goes through the same encoder: both forms say the same to the last digit.
        text = _yaml(msgspec.json.decode(packed), stream=stream, letters=True)
        if not text.replace("\n", "").isprintable():
            text = _yaml(msgspec.json.decode(packed), stream=stream, letters=False)
        return text.encode()
    return harmless(msgspec.json.format(packed, indent=-1 if stream else 2).decode()).encode() + b"\n"


def _yaml(plain: Any, *, stream: bool, letters: bool) -> str:
    """With `letters` beyond ASCII as they are, or as escapes."""
    import yaml

    found: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=letters, width=PIPE_WIDTH, explicit_start=stream)
    return found


def write(data: bytes) -> None:
    """Bytes to standard output, at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def console() -> Console:
    """Where tables go. Names come from others' files, so nothing in them is markup, an emoji or a control code."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def plain(text: str) -> str:
    """The text without what would move a cursor, begin a line or recolour a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
