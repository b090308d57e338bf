"""docs/cli.md as tools/generate/commands.py writes it, from commands made for it."""

from __future__ import annotations

import pytest
import typer
from tools.generate.commands import described

app = typer.Typer()


@app.command()
def look(*, kubeconfig: str = "here", far: bool = False) -> None:
    """Look around.

    It takes a while.

    \b
    Examples:
      tool look --far

      tool look

    \b
    Exit codes: 0 seen, 1 it is dark; 2
    bad input.
    """


@app.command()
def call(*, kubeconfig: str = "here") -> None:
    """Call."""


@app.command()
def version() -> None:
    """Print the version."""


@pytest.fixture(scope="module")
def page() -> str:
    return "\n".join(described(app, "tool"))


def test_only_examples_stand_as_console_commands(page: str) -> None:
    assert page.count("```console") == 1
    assert "```console\n$ tool look --far\n$ tool look\n```" in page


def test_a_block_of_several_lines_loses_none(page: str) -> None:
    assert "\nExit codes: 0 seen, 1 it is dark; 2 bad input.\n" in page


def test_what_every_command_takes_is_told_once(page: str) -> None:
    assert page.count("`--kubeconfig <str>`") == 1
    assert page.count("`--far") == 1
    assert page.index("### Options of every command of tool") < page.index("--kubeconfig") < page.index("### tool look")
