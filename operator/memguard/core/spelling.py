"""How what others named is spelt in lines of ours: a log is read on a terminal.

A cgroup's or a process' name is any bytes, an owner's any text. As JSON it stays exact: what could move a cursor,
recolour a screen or turn the order of letters round stands there as `\\u202e`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


def encode(document: Any, to_json: Callable[[Any], bytes] = msgspec.json.encode) -> bytes:
    """The document as one line of JSON, whatever the strings in it are; what is no text has its bytes written out."""
    try:
        data = to_json(document)
    except UnicodeEncodeError:
        data = to_json(_as_text(document))
    return data if data.isascii() and b"\x7f" not in data else harmless(data.decode()).encode()


def harmless(json: str) -> str:
    """The same JSON, in letters that can be printed."""
    return json if json.isprintable() else "".join(map(_escaped, json))


def _escaped(character: str) -> str:
    """JSON has no such characters outside of strings, but for the ends of lines."""
    if character.isprintable() or character == "\n":
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_as_text(key): _as_text(one) for key, one in value.items()}
    if isinstance(value, msgspec.Struct):
        return _as_text(msgspec.to_builtins(value))
    return [_as_text(one) for one in value] if isinstance(value, list | tuple) else value
