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
EXAMPLES = "Examples:"
#: As it is typed, and what it means.
Option = tuple[str, str]


def outputs() -> Iterator[tuple[Path, str]]:
    """The document with what it should hold."""
    parts = {"machine_commands": machine_commands, "plugin_commands": plugin_commands}
    yield PAGE, filled(PAGE.read_text(), "generated", lambda name: parts[name]())


def machine_commands() -> str:
    """All commands of `memguard`."""
    told = described(machine, "memguard", without=frozenset(PLAIN))
    plain = (f"### memguard {name}\n\n{code(usage)}" for name, usage in PLAIN.items())
    return "\n".join((*told, *plain))


def plugin_commands() -> str:
    """All commands of `kubectl memguard`."""
    return "\n".join(described(plugin, "kubectl memguard"))


def described(app: typer.Typer, program: str, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """What all commands take, but for those without any option, then a section for each."""
    group: Any = typer.main.get_command(app)
    commands = {
        f"{program} {name}": one for name, one in group.commands.items() if name not in without and not one.hidden
    }
    options = {path: _options(command, path) for path, command in commands.items()}
    shared = _shared([those for those in options.values() if those])
    if shared:
        yield f"### Options of every command of {program}\n\n{_table(shared)}"
    for path, command in commands.items():
        yield f"### {path}\n\n{_told(command, path, [one for one in options[path] if one not in shared])}"


def _shared(options: list[list[Option]]) -> list[Option]:
    """What each command takes, as the first lists it."""
    return [one for one in options[0] if all(one in those for those in options)]


def _told(command: Any, path: str, options: list[Option]) -> str:
    """Usage, the docstring with its examples, and a table of what it takes."""
    usage = " ".join([path, *command.collect_usage_pieces(_context(command, path))])
    prose, *rest = command.help.split(VERBATIM)
    parts = [code(usage).rstrip(), prose.strip(), *map(_verbatim, rest)]
    if options:
        parts.append(_table(options).rstrip())
    return "\n\n".join(parts) + "\n"


def _options(command: Any, path: str) -> list[Option]:
    context = _context(command, path)
    return [record for one in command.params if (record := one.get_help_record(context))]


def _context(command: Any, path: str) -> Any:
    return command.make_context(path, [], resilient_parsing=True)


def _table(options: list[Option]) -> str:
    return table(("option", "meaning"), ((f"`{left}`", right) for left, right in options))


def _verbatim(block: str) -> str:
    """Examples as a console shows them; all else, such as exit codes, in one line."""
    head, *lines = (line.strip() for line in block.strip().splitlines())
    if head != EXAMPLES:
        return " ".join((head, *lines))
    return code("\n".join(f"$ {line}" for line in lines if line), "console").rstrip()
