"""`memguard operator`: the command line, and the process's life."""

from __future__ import annotations

import os
from typing import NamedTuple

from memguard.service.command import answer, connection, options, serve, wrong

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
#: All of them are held in memory, 6 KiB each with a dozen candidates.
MOST_DECISIONS = 6000


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
    return answer("operator", USAGE, argv, _live)


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    found = {"identity": os.uname().nodename} | options("operator", argv, Arguments._fields, ("listen",))
    usual = Arguments._field_defaults
    days, count = (found.pop(name, f"{usual[name]:g}") for name in ("keep_days", "keep_decisions"))
    if not (days.replace(".", "", 1).isdecimal() and count.isdecimal()):
        raise wrong("operator", f"--keep-days and --keep-decisions take numbers, not {days!r} and {count!r}")
    if int(count) > MOST_DECISIONS:
        raise wrong("operator", f"--keep-decisions takes {MOST_DECISIONS} at most")
    return Arguments(**found, keep_days=float(days), keep_decisions=int(count))


def _live(argv: list[str]) -> int:
    from memguard.controller.operator import Operator

    wanted = arguments(argv)
    if wanted.kubeconfig is not None:
        os.environ["KUBECONFIG"] = wanted.kubeconfig  # kopf finds it there
    reached = connection(wanted.kubeconfig)
    return serve(lambda journal: Operator(wanted, reached, journal))
