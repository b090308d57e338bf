"""Completion as kubectl asks a plugin for it: kubectl_complete-memguard hands on the words that were typed so far.

kubectl reads what its own commands print: a candidate a line, with a tab before its description, and at the end a colon
with a directive (spf13/cobra, shell completions).
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex

import typer
from typer.completion import completion_init, shell_complete  # type: ignore[attr-defined]

COMMAND = "__complete"
#: cobra's directives: complete nothing else, or files where nothing was found.
NO_FILES, FILES = 4, 0


def complete(app: typer.Typer, program: str, words: list[str]) -> str:
    """The candidates for the last of the words, which may be empty."""
    *typed, begun = words or [""]
    before = {name: os.environ.get(name) for name in ("_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION")}
    # fish's form of Typer's completion is the one that has a candidate a line, with its description behind a tab
    os.environ["_TYPER_COMPLETE_ARGS"] = f"{shlex.join([program.replace(' ', '-'), *typed])} {begun}"
    os.environ["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    completion_init()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        shell_complete(typer.main.get_command(app), {}, program, "_MEMGUARD_COMPLETE", "complete_fish")
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
    found = [line for line in printed.getvalue().splitlines() if line.strip()]
    return "\n".join([*found, f":{NO_FILES if found else FILES}"]) + "\n"
