"""The commands in docs/cli.md, from the very objects that parse the command lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tools.markdown import code, filled, table

from memguard.agent.main import USAGE as AGENT
from memguard.cli.app import app as machine
from memguard.cli.cluster.app import app as plugin
from memguard.controller.main import USAGE as OPERATOR
from memguard.guard.main import USAGE as GUARD

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
#: Those whose options are their own: they are read without the command line's libraries.
PLAIN = {"guard": GUARD, "agent": AGENT, "operator": OPERATOR}
#: How the docstrings of commands set off what is not to be filled.
VERBATIM = "\b\n"


def outputs() -> Iterator[tuple[Path, str]]:
    """The document with what it should hold."""
    parts = {"machine_commands": machine_commands, "plugin_commands": plugin_commands}
    yield PAGE, filled(PAGE.read_text(), "generated", lambda name: parts[name]())


def machine_commands() -> str:
    """All commands of `memguard`."""
    told = _commands(machine, "memguard", without=frozenset(PLAIN))
    plain = (f"### memguard {name}\n\n{code(usage)}" for name, usage in PLAIN.items())
    return "\n".join((*told, *plain))


def plugin_commands() -> str:
    """All commands of `kubectl memguard`."""
    return "\n".join(_commands(plugin, "kubectl memguard"))


def _commands(app: typer.Typer, program: str, without: frozenset[str] = frozenset()) -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        if name not in without and not command.hidden:
            yield f"### {program} {name}\n\n{_told(command, f'{program} {name}')}"


def _told(command: Any, path: str) -> str:
    """Usage, the docstring with its examples, and a table of what it takes."""
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    prose, *rest = command.help.split(VERBATIM)
    parts = [code(usage).rstrip(), prose.strip(), *map(_verbatim, rest)]
    records = [record for one in command.params if (record := one.get_help_record(context))]
    if records:
        parts.append(table(("option", "meaning"), ((f"`{left}`", right) for left, right in records)).rstrip())
    return "\n\n".join(parts) + "\n"


def _verbatim(block: str) -> str:
    """Examples as a console shows them; exit codes as a sentence."""
    head, _, lines = block.strip().partition("\n")
    if not lines:
        return head
    commands = "\n".join(f"$ {line.strip()}" for line in lines.splitlines() if line.strip())
    return code(commands, "console").rstrip()
