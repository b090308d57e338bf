"""The chart, and Helm as everybody here runs it: to render, and on a cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.lab import binaries
from e2e.lab.errors import LabError
from tests.machine.image import REPOSITORY

CHART = REPOSITORY / "charts" / "memguard"
RELEASE, NAMESPACE = "memguard", "memguard-system"
#: What it is told to wait for under emulation, and some more.
PATIENCE_SECONDS = 900

Values = dict[str, Any]


def helm(
    *words: str, values: Mapping[str, Any] | None = None, program: str = "helm"
) -> subprocess.CompletedProcess[str]:
    """What it did, whether that went well or not. `program`: "helm", or "helm3"."""
    given = () if values is None else ("--values", "-")
    stdin = None if values is None else json.dumps(values)
    command = [str(binaries.tool(program)), *words, *given]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)


class Helm:
    """Helm as the administrator of a cluster, in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str = NAMESPACE, program: str = "helm") -> None:
        self._options = ("--kubeconfig", str(kubeconfig), "--namespace", namespace)
        self._program = program

    def run(self, *words: str, values: Values | None = None) -> str:
        """What it printed; raises LabError with its complaint."""
        ran = helm(*words, *self._options, values=values, program=self._program)
        if ran.returncode:
            raise LabError(f"helm {words[0]} failed ({ran.returncode}): {ran.stderr.strip()}")
        return ran.stdout

    def upgrade(self, values: Values, *options: str) -> str:
        """The release with these values, there before or not; returns when all of it is ready, or raises LabError."""
        words = ("upgrade", "--install", RELEASE, str(CHART), "--create-namespace", "--wait")
        return self.run(*words, *options, values=values)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """As Helm lays values over others."""
    both = dict(below)
    for name, value in above.items():
        old = both.get(name)
        both[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
