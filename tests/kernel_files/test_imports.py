"""The guard's memory budget: what importing every reader and lever brings along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import memguard.kernel

MODULES = sorted(path.stem for path in Path(memguard.kernel.__file__).parent.glob("*.py") if path.stem != "__init__")
FORBIDDEN = ("asyncio", "ssl", "socket", "subprocess", "dataclasses", "logging", "pathlib", "tempfile", "threading")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {MODULES!r}: importlib.import_module('memguard.kernel.' + name)\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-S", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (result.stdout, result.stderr) == ("[]\n", "")
