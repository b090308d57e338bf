"""kopf and what it brings (aiohttp) are the operator's alone, and behind one door there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import memguard.controller

CONTROLLER = sorted(Path(memguard.controller.__file__).parent.glob("*.py"))
ROOT = Path(__file__).resolve().parents[2]
KOPFS = {"kopf", "aiohttp"}
#: kopf takes the kubernetes package where it finds it: 19 MiB. pydantic and the rest are the command line's.
FORBIDDEN = {"kubernetes", "kubernetes_asyncio", "pykube", "pydantic", "typer", "rich"}


def loaded(code: str) -> set[str]:
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r})\n{code}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def tops(module: str) -> set[str]:
    return {name.partition(".")[0] for name in loaded(f"import {module}; print(*sys.modules)")}


@pytest.mark.row("G4")
@pytest.mark.parametrize("module", ["memguard.guard.main", "memguard.agent.agent", "memguard.__main__"])
def test_what_runs_on_every_node_knows_nothing_of_kopf(module: str) -> None:
    assert not tops(module) & (KOPFS | FORBIDDEN)


@pytest.mark.row("K1", "G4")
def test_the_operator_is_kopf_without_a_second_client() -> None:
    found = tops("memguard.controller.operator")
    assert found >= KOPFS
    assert not found & FORBIDDEN


def test_the_door_leads_to_the_operator_without_the_command_line() -> None:
    found = loaded("from memguard.__main__ import main; main(['operator', '--help']); print(*sys.modules)")
    assert "memguard.controller.main" in found
    assert not [name for name in found if name.startswith(("memguard.cli", "prometheus_client", *KOPFS))]


@pytest.mark.parametrize("path", CONTROLLER, ids=[path.stem for path in CONTROLLER])
def test_kopf_is_at_the_edge_alone(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    assert ("kopf" in names) == (path.stem == "edge")
    assert not [name for name in names if name.startswith(("memguard.guard", "memguard.kernel", "memguard.agent"))]
