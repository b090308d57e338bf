"""What the agent imports is memory on every node; and what it could reach it must not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import memguard.agent

AGENT = sorted(Path(memguard.agent.__file__).parent.glob("*.py"))
ROOT = Path(__file__).resolve().parents[2]
#: asyncio: half the memory of the whole. memguard.kernel and memguard.guard: what touches the node.
FORBIDDEN = {"aiohttp", "asyncio", "kopf", "kubernetes", "pydantic", "rich", "typer", "yaml"}


def loaded(code: str) -> set[str]:
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r})\n{code}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.row("G4")
def test_the_standard_library_msgspec_and_prometheus_client() -> None:
    before = loaded("print(*sys.modules)")
    found = loaded("import memguard.agent.agent, memguard.kube.kubeconfig; print(*sys.modules)") - before
    tops = {name.partition(".")[0] for name in found}
    # prometheus_client.asgi names asyncio in a function only
    assert not tops & FORBIDDEN
    assert tops - sys.stdlib_module_names <= {"memguard", "msgspec", "prometheus_client", "typing_extensions"}
    assert not [name for name in found if name.startswith(("memguard.guard", "memguard.kernel", "memguard.cli"))]


def test_the_door_leads_to_the_agent_without_the_command_line() -> None:
    found = loaded("from memguard.__main__ import main; main(['agent', '--help']); print(*sys.modules)")
    assert "memguard.agent.main" in found
    assert not [name for name in found if name.startswith(("memguard.cli", "memguard.guard", "prometheus_client"))]


@pytest.mark.parametrize("path", AGENT, ids=[path.stem for path in AGENT])
def test_no_module_reaches_for_the_guard(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith(("memguard.guard", "memguard.kernel", "memguard.cli"))
