"""`memguard guard`, as the help lists it: `__main__` starts the guard itself, without this command line's libraries."""

from __future__ import annotations

import typer


def guard(context: typer.Context) -> None:
    """Guard this machine.

    Brake, stop or kill the culprit before the kernel does; `memguard guard --help` has its options.
    """
    from memguard.guard.main import main

    raise typer.Exit(main(context.args))
