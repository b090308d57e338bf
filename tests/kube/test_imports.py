"""The agent's image has little more than the standard library and msgspec: this package makes do with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import memguard.kube
for module in pkgutil.iter_modules(memguard.kube.__path__, "memguard.kube."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_it_is_the_standard_library_and_msgspec() -> None:
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(ROOT / "operator")]
    found = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "memguard" in found
    assert found - sys.stdlib_module_names <= {"memguard", "msgspec", "typing_extensions"}
    assert not found & {"asyncio", "logging", "multiprocessing", "concurrent", "yaml"}
