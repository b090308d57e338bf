"""On which line of a TOML file something stands: tomllib says what is written, not where.

Needed for an error only, and imported then: what the guard imports is locked memory.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

#: A value over more lines than this is not followed to its end: each line more is parsed with all before it.
LONGEST_VALUE_LINES = 200


def line_of(text: str, path: str) -> int | None:
    """The line (from 1) on which what stands at a path (`rules[1].match.pod`) begins, or the innermost around it.

    None where it cannot be told. `text` is valid TOML.
    """
    line, nearest = None, ""
    tables: dict[str, int] = {}
    table = ""
    for number, statement in _statements(text):
        data = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _opened(data, tables)
            found = iter([table])
        else:
            found = _keys(data, table, path)
        for key in found:
            if len(key) > len(nearest) and _leads_to(key, path):
                line, nearest = number, key
    return line


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Every header and every key with its value, as TOML of its own, with the line on which it begins."""
    lines, begun = text.split("\n"), 0
    for end in range(1, len(lines) + 1):
        statement = "\n".join(lines[begun:end]) + "\n"
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it goes on
            if end - begun >= LONGEST_VALUE_LINES:
                return
            continue
        yield begun + 1, statement
        begun = end


def _opened(data: Any, tables: dict[str, int]) -> str:
    """The path of the table that a header opens; `tables` counts those of each array."""
    path = ""
    while data:
        [(key, data)] = data.items()
        path = f"{path}.{key}" if path else key
        if isinstance(data, list):
            tables[path] = tables.get(path, -1) + 1
            data = None
        if path in tables:
            path = f"{path}[{tables[path]}]"
    return path


def _keys(value: Any, at: str, path: str) -> Iterator[str]:
    """The paths in a value, on the way to `path`."""
    if isinstance(value, dict):
        inner = {f"{at}.{key}" if at else key: item for key, item in value.items()}
    else:
        inner = {f"{at}[{index}]": item for index, item in enumerate(value)} if isinstance(value, list) else {}
    for key, item in inner.items():
        if _leads_to(key, path):
            yield key
            yield from _keys(item, key, path)


def _leads_to(outer: str, path: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))
