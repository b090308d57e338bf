"""`memguard guard --standalone --config FILE`: the command line, and the fork of the janitor before all else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from memguard.errors import ConfigError, MemguardError, UnfitError

if TYPE_CHECKING:
    from memguard.guard.config import Config

USAGE = """usage: memguard guard --standalone --config FILE [--check]
       memguard guard --socket PATH --peer-uid UID [--config FILE]
       memguard guard --supervise [--config FILE]

Guards this machine: ranks containers, and brakes, stops or kills the culprit before the kernel's OOM killer fires.
Without a rule that says Enforce it only observes.

  --standalone    take the plan from a file, not from an agent
  --socket PATH   take the plan from an agent that comes to this socket; until one comes it only observes
  --peer-uid UID  the user that the agent runs as; nobody else is heard
  --supervise     wait for the death of the guard beside this process, and lift every line that it leaves
  --config FILE   the plan (standalone) and everything else, in TOML (docs/guard.md)
  --check         read the configuration, say whether it is good and how many cgroups each pattern matches, and stop

signals: SIGHUP reads the configuration again (a broken one leaves the last good one in force), SIGTERM stops.
exit codes: 0 stopped as asked, 1 this machine cannot be guarded, 2 the configuration or the command line is wrong.
"""
SEE_HELP = "See memguard guard --help."


class Arguments(NamedTuple):
    """The command line."""

    config: str | None = None
    socket: str | None = None
    peer_uid: int | None = None
    standalone: bool = False
    supervise: bool = False
    check: bool = False
    help: bool = False


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    try:
        wanted = arguments(argv)
        if wanted.help:
            print(USAGE, end="")  # noqa: T201 - this is the command's answer
            return 0
        if wanted.check:
            return _check(wanted.config or "")
        return _supervise(wanted.config) if wanted.supervise else _guard(wanted)
    except MemguardError as error:
        print(f"memguard guard: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    found: dict[str, Any] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        match name:
            case "-h" | "--help":
                return Arguments(help=True)
            case "--standalone" | "--supervise" | "--check" if not equals:
                found[name[2:]] = True
            case "--config" | "--socket" | "--peer-uid":
                found[name[2:].replace("-", "_")] = value if equals else next(words, "")
            case _:
                raise _wrong(f"unknown argument {word!r}")
    return _checked(found)


def _checked(found: dict[str, Any]) -> Arguments:
    for name in ("config", "socket", "peer_uid"):
        if found.get(name) == "":
            raise _wrong(f"--{name.replace('_', '-')} needs a value")
    uid = found.get("peer_uid")
    if uid is not None and not uid.isdecimal():
        raise _wrong(f"--peer-uid takes a user's number, not {uid!r}")
    wanted = Arguments(**found | ({"peer_uid": int(uid)} if uid is not None else {}))
    if wanted.standalone + (wanted.socket is not None) + wanted.supervise > 1:
        raise _wrong("--standalone, --socket and --supervise exclude each other")
    if wanted.socket is not None and wanted.peer_uid is None:
        raise _wrong("--socket and --peer-uid are both needed")
    by_itself = not (wanted.socket or wanted.supervise)
    if (wanted.check or by_itself) and (wanted.config is None or not (wanted.standalone or wanted.check)):
        raise _wrong("--standalone and --config FILE are both needed")
    return wanted


def _wrong(problem: str) -> ConfigError:
    return ConfigError("command line", problem, remedy=SEE_HELP)


def _check(path: str) -> int:
    from memguard.guard.config import load_config

    config = load_config(path)
    shown = path.encode(errors="backslashreplace").decode()  # a name need not be text
    print(f"{shown}: good")  # noqa: T201
    _count(config)
    return 0


def _count(config: Config) -> None:
    """What the patterns match now. Nothing is no error: it may be still to come, or meant for another machine."""
    from memguard.guard.census import census

    try:
        found = census(config)
    except UnfitError as error:
        _warn(f"whom the patterns match cannot be seen here: {error}")
        return
    for one in found:
        if one.cgroups:
            count = "1 cgroup matches" if one.cgroups == 1 else f"{one.cgroups} cgroups match"
            print(f"{one.field}: {count} {one.glob!r} now")  # noqa: T201
        else:
            _warn(f"{one.field}: 0 cgroups match {one.glob!r} now. Compare it with systemd-cgls --all.")


def _warn(words: str) -> None:
    print(f"memguard guard: warning: {words}", file=sys.stderr)  # noqa: T201


def _supervise(path: str | None) -> int:
    """Only what is needed is imported: this process does nothing but wait."""
    from memguard.guard.config import Config, load_config

    config = load_config(path) if path else Config()
    from memguard.guard.supervisor import supervise

    return supervise(config.cgroup_root, config.run_directory)


def _guard(wanted: Arguments) -> int:
    """Fork first: the janitor lives in what was imported so far, a third of the guard's memory.

    Beside an agent there is a supervisor instead, in a container of its own.
    """
    from memguard.guard.janitor import spawn_janitor

    janitor = spawn_janitor() if wanted.socket is None else None
    from memguard.guard.life import live

    return live(wanted, janitor)
