"""Markdown as the generators write it: tables, code blocks, and the marked parts of documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_NUMBER = re.compile(r"[-+]?[\d.]+")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; columns that hold numbers and nothing else are aligned right."""
    names, cells = list(head), [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    rule = ["---:" if _is_numeric([row[index] for row in cells]) else "---" for index in range(len(names))]
    return "".join(f"| {' | '.join(row)} |\n" for row in (names, rule, *cells))


def _is_numeric(column: list[str]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and all(map(_NUMBER.fullmatch, filled))


def code(text: str, language: str = "text") -> str:
    """A code block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def filled(text: str, mark: str, write: Callable[[str], str]) -> str:
    """A document with each part between `<!-- MARK: NAME -->` and `<!-- end -->` written anew from its name."""
    part = re.compile(rf"(<!-- {mark}: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return part.sub(lambda found: f"{found[1]}{write(found[2])}{found[3]}", text)
