"""A command that runs until somebody says stop: its words, its exit code, and its life."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Collection
from typing import Protocol

from memguard.errors import ConfigError, MemguardError
from memguard.kube.connection import Connection, in_cluster
from memguard.service.journal import Journal

STOPS = (signal.SIGTERM, signal.SIGINT)
LOOK_SECONDS = 0.5


class Service(Protocol):
    """What is started, and ends in good order when it is asked to. `lost`: a thread that ended by itself."""

    @property
    def lost(self) -> str | None:
        """Without it the service is of no use."""

    def start(self) -> None:
        """All of it."""

    def stop(self) -> None:
        """In good order."""


def answer(name: str, usage: str, argv: list[str], live: Callable[[list[str]], int]) -> int:
    """The exit code of `memguard NAME`; what is wrong is said in one line."""
    if not {"-h", "--help"}.isdisjoint(argv):
        print(usage, end="")  # noqa: T201 - this is the command's answer
        return 0
    try:
        return live(argv)
    except MemguardError as error:
        print(f"memguard {name}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def options(
    name: str, argv: list[str], known: Collection[str], needed: Collection[str], flags: Collection[str] = ()
) -> dict[str, str]:
    """The options of a command line by name, with _ for -; a flag's value is "yes". Raises ConfigError."""
    found: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        key = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or key not in known or (key in flags and equals):
            raise wrong(name, f"unknown argument {word!r}")
        found[key] = "yes" if key in flags else value if equals else next(words, "")
    for key in (*needed, *found):
        if not found.get(key):
            raise wrong(name, f"--{key.replace('_', '-')} needs a value")
    return found


def wrong(name: str, problem: str) -> ConfigError:
    """The command line cannot be followed."""
    return ConfigError("command line", problem, remedy=f"See memguard {name} --help.")


def connection(kubeconfig: str | None) -> Connection:
    """To the API server: as a kubeconfig says, or as every pod has it. Raises ConfigError."""
    if kubeconfig is None:
        return in_cluster()
    from memguard.kube.kubeconfig import read_kubeconfig

    return read_kubeconfig(kubeconfig)


def serve(make: Callable[[Journal], Service]) -> int:
    """Until a signal says stop, or a thread that is needed has ended; the exit code."""
    told = _stop_pipe()
    service = make(Journal(sys.stdout.fileno()))
    service.start()
    while service.lost is None and not select.select([told], [], [], LOOK_SECONDS)[0]:
        pass
    service.stop()
    return 0 if service.lost is None else 1


def _stop_pipe() -> int:
    """Readable when a signal said stop; nothing is done in its handler.

    Not sigtimedwait: CPython's returns as if a signal had come where the process stood still (SIGSTOP, a frozen
    cgroup, a debugger) for longer than it waits, and the command would end.
    """
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in STOPS:
        signal.signal(number, lambda *_: None)
    return reader
