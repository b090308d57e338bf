"""What may be imported where: every module that the guard imports is memory that it locks."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "aiohttp", "asyncio", "click", "concurrent", "email", "http", "kopf", "logging", "multiprocessing", "pydantic",
    "rich", "ssl", "threading", "typer", "urllib", "yaml",
}  # fmt: skip

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported(code: str, *arguments: str) -> set[str]:
    """Top-level modules that are there after running `code` in a fresh interpreter."""
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r})\n"
    command = [sys.executable, "-I", "-c", path + code, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.row("G4")
@pytest.mark.parametrize("package", ["memguard.core", "memguard.kernel", "memguard.guard"])
def test_the_guard_imports_the_standard_library_and_msgspec(package: str) -> None:
    before = imported("print(*sorted({name.partition('.')[0] for name in sys.modules}))")
    found = imported(IMPORT_ALL, package) - before
    assert not found & FORBIDDEN
    assert found - sys.stdlib_module_names <= {"memguard", "msgspec", "typing_extensions"}


@pytest.mark.row("G4")
def test_the_door_leads_to_the_guard_without_the_command_line() -> None:
    code = "from memguard.__main__ import main; main(['guard', '--help']); print(*sorted(sys.modules))"
    found = imported(code)
    assert "memguard.guard.main" in found
    assert not [name for name in found if name.startswith("memguard.cli")]
    assert not {name.partition(".")[0] for name in found} & FORBIDDEN


def test_json_does_not_wait_for_rich(tmp_path: Path) -> None:
    from tests.cli import incident

    trace = incident.write_trace(tmp_path / "trace.jsonl")
    code = "from memguard.__main__ import main; main(sys.argv[1:]); print(*sorted(sys.modules))"
    assert "rich.console" not in imported(code, "rank", str(trace), "-o", "json")
    assert "rich.console" in imported(code, "rank", str(trace))


def test_what_runs_in_the_machine_imports_what_there_is() -> None:
    """A name that is gone would be found half an hour later, by the boot that needs it."""
    guests = [*(ROOT / "tests" / "kernel" / "inside").glob("*.py"), ROOT / "tests" / "kernel_files" / "in_machine.py"]
    wanted = {
        (node.module, alias.name)
        for path in guests
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("memguard")
        for alias in node.names
    }
    gone = [
        f"{module}.{name}"
        for module, name in sorted(wanted)
        if not hasattr(importlib.import_module(module), name) and importlib.util.find_spec(f"{module}.{name}") is None
    ]
    assert wanted
    assert gone == []
