"""The command line of `memguard clean-up`; what it does is tried on a real API server (tests/cluster/test_chart.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memguard.__main__ import main as memguard
from memguard.controller.clean_up import Arguments, arguments

ROOT = Path(__file__).resolve().parents[2]


def test_what_can_be_said() -> None:
    assert arguments([]) == Arguments("memguard-system", None)
    assert arguments(["--namespace=ours", "--kubeconfig", "k"]) == Arguments("ours", "k")


def test_what_is_wrong_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert memguard(["clean-up", "--nodes"]) == 2
    assert "unknown argument '--nodes'. See memguard clean-up --help." in capsys.readouterr().err
    assert memguard(["clean-up", "--help"]) == 0
    assert "takes its taint off every node" in capsys.readouterr().out


def test_it_runs_in_the_node_image() -> None:
    """That has neither kopf nor aiohttp."""
    code = "import sys, memguard.controller.clean_up; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r}); {code}"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"kopf", "aiohttp", "kubernetes", "typer", "rich"} & set(loaded)
