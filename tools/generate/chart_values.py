"""The chart's values.yaml as what it is: the one place where values are named, defaulted and explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

_MARK = "# -- "
#: A key, and what stands on its line.
_KEY = re.compile(r"(?P<indent> *)(?P<name>[\w.-]+):(?: (?P<inline>\S.*))?$")


class Value(NamedTuple):
    """One documented value: its path, what stands there, and what it is for."""

    path: tuple[str, ...]
    default: Any
    words: str


def values(text: str) -> Iterator[Value]:
    """All values that a comment `# -- ...` documents, in the order of the file."""
    defaults, path, words = yaml.safe_load(text), list[str](), list[str]()
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(_MARK):
            words = [stripped.removeprefix(_MARK)]
        elif stripped.startswith("# ") and words:
            words.append(stripped.removeprefix("# "))
        elif key := _KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["name"]]
            if words:
                yield Value(tuple(path), _at(defaults, path), " ".join(words))
            words = []
        else:
            words = []


def _at(found: Any, path: list[str]) -> Any:
    for name in path:
        found = found[name]
    return found
