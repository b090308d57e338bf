"""`make rows`: the mission's rows (docs/decision-process.md) with the tests that are marked to carry them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "decision-process.md"
LATER = "later"
_ROW = re.compile(r"\| ([A-Z]\d+) \| (.+) \| .* \| (.+) \|")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Row(NamedTuple):
    """One promise: its name, what it requires, and the code that keeps it."""

    name: str
    required: str
    code: str


def rows(text: str) -> list[Row]:
    """The rows of the document, in its order."""
    return [Row(*match.groups()) for line in text.splitlines() if (match := _ROW.fullmatch(line))]


def marked(source: str) -> Iterator[tuple[str, str]]:
    """Row and test of every `pytest.mark.row(...)` in a test module, whatever it marks: module, class, test, case."""
    yield from _marked(ast.parse(source), "")


def _marked(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ClassDef | Function):
        name = f"{name}::{node.name}" if name else node.name
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.row":
        yield from ((str(ast.literal_eval(argument)), name) for argument in node.args)
    for child in ast.iter_child_nodes(node):
        yield from _marked(child, name)


def tests_of(root: Path) -> dict[str, list[str]]:
    """All tests below `root` by the row they carry, as `path::test`."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("test_*.py")):
        for row, name in marked(path.read_text()):
            test = f"{path.relative_to(root)}::{name}" if name else str(path.relative_to(root))
            found.setdefault(row, []).append(test)
    return found


def report(listed: list[Row], tests: dict[str, list[str]]) -> Iterator[str]:
    """The lines of the report: each row with its tests, then what is missing."""
    for row in listed:
        carried = tests.get(row.name, [])
        flag = "" if carried or row.code == LATER else "   <- NO TEST"
        yield f"{row.name:4} {row.required}"
        yield f"     code: {row.code}{flag}"
        yield from (f"     test: {test}" for test in carried)
    bare = [row for row in listed if row.name not in tests]
    missing = [row.name for row in bare if row.code != LATER]
    later = [row.name for row in bare if row.code == LATER]
    yield f"\n{len(listed)} rows, {len(listed) - len(bare)} with tests."
    yield f"No test: {', '.join(missing) or 'none'}. Later: {', '.join(later) or 'none'}."


def main() -> int:
    """Print the report."""
    for line in report(rows(TABLE.read_text()), tests_of(ROOT / "tests")):
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
