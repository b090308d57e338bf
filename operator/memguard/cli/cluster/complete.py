"""Completion as kubectl asks a plugin for it: kubectl_complete-memguard hands on the words that were typed so far.

kubectl reads what its own commands print: a candidate a line, with a tab before its description, and at the end a colon
with a directive (spf13/cobra, shell completions).
"""

from __future__ import annotations

import typer
from typer._completion_classes import FishComplete

COMMAND = "__complete"
#: cobra's directives: complete nothing else, or files where nothing was found.
NO_FILES, FILES = 4, 0


def complete(app: typer.Typer, program: str, words: list[str]) -> str:
    """The candidates for the last of the words, which may be empty."""
    *typed, begun = words or [""]
    # fish's form is the one that has a candidate a line, with its description behind a tab
    completion = FishComplete(typer.main.get_command(app), {}, program, "")
    found = [completion.format_completion(one) for one in completion.get_completions(typed, begun)]
    return "\n".join([*found, f":{NO_FILES if found else FILES}"]) + "\n"
