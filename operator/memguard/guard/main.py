"""`memguard guard --standalone --config FILE`: the command line, and the fork of the janitor before all else."""

from __future__ import annotations

import sys

from memguard.errors import ConfigError, MemguardError

USAGE = """usage: memguard guard --standalone --config FILE [--check]

Guards this machine: ranks containers, and brakes, stops or kills the culprit before the kernel's OOM killer fires.
Without a rule that says Enforce it only observes.

  --standalone    take the plan from a file, not from an agent
  --config FILE   the plan and everything else, in TOML (docs/guard.md)
  --check         read the configuration, say whether it is good, and stop

signals: SIGHUP reads the configuration again (a broken one leaves the last good one in force), SIGTERM stops.
exit codes: 0 stopped as asked, 1 this machine cannot be guarded, 2 the configuration or the command line is wrong.
"""


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    try:
        path, check = arguments(argv)
        if path is None:
            print(USAGE, end="")  # noqa: T201 - this is the command's answer
            return 0
        return _check(path) if check else _guard(path)
    except MemguardError as error:
        print(f"memguard guard: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def arguments(argv: list[str]) -> tuple[str | None, bool]:
    """The configuration's path (None: help is wanted) and whether only to check it. Raises ConfigError."""
    path, check, standalone = None, False, False
    words = iter(argv)
    for word in words:
        match word:
            case "-h" | "--help":
                return None, False
            case "--standalone":
                standalone = True
            case "--check":
                check = True
            case "--config":
                path = next(words, None)
            case _ if word.startswith("--config="):
                path = word.partition("=")[2]
            case _:
                raise ConfigError("command line", f"unknown argument {word!r}", remedy="See memguard guard --help.")
    if not path or not (standalone or check):
        raise ConfigError(
            "command line", "--standalone and --config FILE are both needed", remedy="See memguard guard --help."
        )
    return path, check


def _check(path: str) -> int:
    from memguard.guard.config import load_config

    load_config(path)
    shown = path.encode(errors="backslashreplace").decode()  # a name need not be text
    print(f"{shown}: good")  # noqa: T201
    return 0


def _guard(path: str) -> int:
    """Fork first: the janitor lives in what was imported so far, a third of the guard's memory."""
    from memguard.guard.janitor import spawn_janitor

    janitor = spawn_janitor()
    from memguard.guard.life import live

    return live(path, janitor)
