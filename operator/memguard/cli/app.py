"""The commands, put together."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from memguard import __version__
from memguard.cli.doctor import doctor
from memguard.cli.explain import explain
from memguard.cli.guard import guard
from memguard.cli.rank import rank
from memguard.cli.record import record
from memguard.cli.replay import replay
from memguard.cli.report import report
from memguard.cli.snapshot import snapshot
from memguard.cli.top import top
from memguard.errors import MemguardError

COMMANDS = (top, snapshot, record, rank, replay, explain, report, doctor)

app = typer.Typer(
    name="memguard",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Its options are its own: the guard reads them without this library.
app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(guard)
for _command in COMMANDS:
    app.command()(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memguard {__version__}")
        raise typer.Exit


@app.callback()
def _memguard(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Rank, brake and stop whole containers before the kernel's OOM killer fires, and explain every decision."""


def run(arguments: list[str]) -> int:
    """Run one command line. Returns the exit code; raises MemguardError for what a person must be told."""
    return run_app(app, "memguard", arguments)


def run_app(commands: typer.Typer, program: str, arguments: list[str]) -> int:
    """The same for any of our programs."""
    # A name that this terminal's encoding cannot show must not end the program.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(commands, program, arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return MemguardError.exit_code
    except OSError as error:
        _drop_output()
        raise MemguardError(f"{error.filename or 'output'}: {error.strerror}. The output is not complete.") from None
    return code


def _run(commands: typer.Typer, program: str, arguments: list[str]) -> int:
    try:
        commands(args=arguments, prog_name=program)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _drop_output() -> None:
    """What is still buffered has nowhere to go: without this, Python tries once more at exit, and complains."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
