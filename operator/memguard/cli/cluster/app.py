"""The commands of the plugin, put together."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from memguard import __version__
from memguard.cli.app import run_app
from memguard.cli.cluster.complete import COMMAND, complete
from memguard.cli.cluster.doctor.command import doctor
from memguard.cli.cluster.explain.command import explain
from memguard.cli.cluster.fairness.command import fairness
from memguard.cli.cluster.history.command import history
from memguard.cli.cluster.pause.command import pause, resume
from memguard.cli.cluster.report.command import report
from memguard.cli.cluster.scorecard.command import scorecard
from memguard.cli.cluster.simulate.command import simulate
from memguard.cli.cluster.top.command import top

PROGRAM = "kubectl memguard"
COMMANDS = (top, explain, history, report, scorecard, fairness, simulate, doctor, pause, resume)

app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    add_completion=False,  # kubectl completes: kubectl_complete-memguard asks `__complete`
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in COMMANDS:
    app.command()(_command)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"memguard {__version__}")


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _memguard(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """See which nodes are short of memory, why something was ended, what a policy would do, and stop it all."""


def run(arguments: list[str]) -> int:
    """Run one command line. Returns the exit code; raises MemguardError for what a person must be told."""
    if arguments[:1] == [COMMAND]:
        sys.stdout.write(complete(app, PROGRAM, arguments[1:]))
        return 0
    return run_app(app, PROGRAM, arguments)
