from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli import incident
from tests.cli.trees import FakeMachine, fake_machine

from memguard.__main__ import main


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `memguard ARGUMENTS...` in this process."""

    def _run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return _run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """The incident as a trace."""
    return incident.write_trace(tmp_path / "incident.jsonl")


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """A small machine as files."""
    return fake_machine(tmp_path / "machine")
