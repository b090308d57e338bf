"""`memguard operator`: the command line, and the process's life."""

from __future__ import annotations

import os
import signal
import sys
from typing import NamedTuple

from memguard.errors import ConfigError, MemguardError

USAGE = """usage: memguard operator --listen ADDRESS:PORT [options]

Thinks minutes ahead, with what only the cluster knows: evicts within PodDisruptionBudgets before a node runs short of
memory, tells the nodes what it learned, keeps the status of policies. Of several replicas one acts.

  --listen ADDR:PORT    where /metrics, /healthz and /readyz are served; without an address at all of them
  --namespace NAME      where the lease and what was learned are kept (memguard-system)
  --identity NAME       who this replica is (the host's name)
  --kubeconfig FILE     how to reach the API server; without it as every pod does
  --keep-days DAYS      records of decisions are deleted when they are so old (7)
  --keep-decisions N    and the oldest, where there are more than this (5000; 6000 at most)

SIGTERM stops, and gives the lease back.
exit codes: 0 stopped as asked, 1 something failed, 2 the command line or a configuration is wrong.
"""
SEE_HELP = "See memguard operator --help."
#: All of them are held in memory, 2 KiB each.
MOST_DECISIONS = 6000
STOPS = (signal.SIGTERM, signal.SIGINT)


class Arguments(NamedTuple):
    """The command line."""

    listen: str
    namespace: str = "memguard-system"
    identity: str = ""
    kubeconfig: str | None = None
    keep_days: float = 7.0
    keep_decisions: int = 5000


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    if not {"-h", "--help"}.isdisjoint(argv):
        print(USAGE, end="")  # noqa: T201 - this is the command's answer
        return 0
    try:
        return _live(arguments(argv))
    except MemguardError as error:
        print(f"memguard operator: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    found: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or name not in Arguments._fields:
            raise _wrong(f"unknown argument {word!r}")
        found[name] = value if equals else next(words, "")
    for name in ("listen", *found):
        if not found.get(name):
            raise _wrong(f"--{name.replace('_', '-')} needs a value")
    found.setdefault("identity", os.uname().nodename)
    days, count = found.pop("keep_days", "7"), found.pop("keep_decisions", "5000")
    if not (days.replace(".", "", 1).isdecimal() and count.isdecimal()):
        raise _wrong(f"--keep-days and --keep-decisions take numbers, not {days!r} and {count!r}")
    if int(count) > MOST_DECISIONS:
        raise _wrong(f"--keep-decisions takes {MOST_DECISIONS} at most")
    return Arguments(**found, keep_days=float(days), keep_decisions=int(count))


def _wrong(problem: str) -> ConfigError:
    return ConfigError("command line", problem, remedy=SEE_HELP)


def _live(wanted: Arguments) -> int:
    """Until a signal says stop, or a thread that is needed has ended."""
    from memguard.controller.operator import Operator
    from memguard.kube.connection import in_cluster
    from memguard.kube.kubeconfig import read_kubeconfig
    from memguard.service.journal import Journal

    # Taken by sigtimedwait alone: no handler runs in the middle of anything. Threads inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    if wanted.kubeconfig is None:
        connection = in_cluster()
    else:
        os.environ["KUBECONFIG"] = wanted.kubeconfig  # kopf finds it there
        connection = read_kubeconfig(wanted.kubeconfig)
    operator = Operator(wanted, connection, Journal(sys.stdout.fileno()))
    operator.start()
    while operator.lost is None and signal.sigtimedwait(STOPS, 0.5) is None:
        pass
    operator.stop()
    return 0 if operator.lost is None else 1
