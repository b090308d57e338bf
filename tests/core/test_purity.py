"""The core decides: it reads no file and no clock, draws no random number, and holds nothing between calls."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import memguard.core

CORE = sorted(Path(memguard.core.__file__).parent.glob("*.py"))
#: Everything that the core may import, in full
ALLOWED = {
    "__future__",
    "collections.abc",
    "datetime",
    "fnmatch",
    "hashlib",
    "math",
    "msgspec",
    "operator",
    "statistics",
    "typing",
}
HEAVY = {"asyncio", "ssl", "socket", "subprocess", "logging", "random", "json", "tempfile", "pydantic", "typer"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.row("G2")
@pytest.mark.parametrize("path", CORE, ids=[path.stem for path in CORE])
def test_nothing_is_imported_that_could_look_around(path: Path) -> None:
    for node in ast.walk(tree(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name in ALLOWED or name.startswith(("memguard.core", "memguard.errors")), name


@pytest.mark.row("G2")
@pytest.mark.parametrize("path", CORE, ids=[path.stem for path in CORE])
def test_no_clock_no_file_no_print(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in CLOCKS | {"open", "print", "input", "exec", "eval"}, ast.unparse(node)
        assert not isinstance(node, ast.Global), "nothing is held between calls"


@pytest.mark.row("G2")
@pytest.mark.parametrize("path", CORE, ids=[path.stem for path in CORE])
def test_every_value_is_frozen(path: Path) -> None:
    module = __import__(f"memguard.core.{path.stem}", fromlist=["*"]) if path.stem != "__init__" else memguard.core
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__:
            assert value.__struct_config__.frozen or value.__name__.startswith("_"), value


@pytest.mark.row("G4")
def test_the_core_is_light() -> None:
    """The guard locks all of its memory: what the core pulls in is paid for on every node."""
    program = "import sys, memguard.core.replay, memguard.core.feedback, memguard.core.quantity; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(CORE[0].parents[2])},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    assert HEAVY.isdisjoint(loaded)
