"""`memguard clean-up`: undoes what an operator that is gone for good left on nodes and beside itself.

The nodes' own guards lift their lines when they are stopped. A taint stays: nothing in an uninstall takes it off.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

from memguard.controller.deeds import Deeds
from memguard.controller.experience import NAME
from memguard.controller.taints import present
from memguard.errors import NotFoundError
from memguard.kube.client import Client
from memguard.kube.lease import RETRY_SECONDS, Elector
from memguard.kube.objects import Node
from memguard.kube.resources import CONFIG_MAPS, LEASES, NODES, Selection
from memguard.kube.retry import retry
from memguard.kube.wire import Wire
from memguard.service.command import answer, connection, options
from memguard.service.journal import Journal
from memguard.service.resources import LEASE

USAGE = """usage: memguard clean-up [options]

Undoes what the operator leaves when it is uninstalled: takes its taint off every node, deletes its lease and what it
learned. While an operator acts it waits, for as long as it is let.

  --namespace NAME    where the operator kept its lease (memguard-system)
  --kubeconfig FILE   how to reach the API server; without it as every pod does

exit codes: 0 done, 1 something failed, 2 the command line or a configuration is wrong.
"""
ATTEMPTS = 6

T = TypeVar("T")
Sleep = Callable[[float], bool]


class Arguments(NamedTuple):
    """The command line."""

    namespace: str = "memguard-system"
    kubeconfig: str | None = None


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    return answer("clean-up", USAGE, argv, _run)


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    return Arguments(**options("clean-up", argv, Arguments._fields, ()))


def clean_up(client: Client, namespace: str, journal: Journal, sleep: Sleep) -> None:
    """All of it; raises KubeError for what could not be done."""
    elector = Elector(client, LEASE, namespace, "clean-up", trouble=journal.trouble)
    while not _try(elector.step, sleep):  # an operator that acts would put the taint on again
        sleep(RETRY_SECONDS)
    while tainted := tuple(_try(lambda: _tainted(client), sleep)):
        for node in tainted:
            _try(lambda: Deeds(client).taint(node, None), sleep)  # noqa: B023 (called at once)
            journal.write("untainted", node=node.metadata.name)
    with suppress(NotFoundError):
        _try(lambda: client.delete(CONFIG_MAPS, NAME, namespace), sleep)
    with suppress(NotFoundError):
        _try(lambda: client.delete(LEASES, LEASE, namespace), sleep)
    journal.write("cleaned")


def _tainted(client: Client) -> Iterator[Node]:
    return (node for node in client.list_all(Selection(NODES)).objects if present(node) is not None)


def _try(call: Callable[[], T], sleep: Sleep) -> T:
    return retry(call, attempts=ATTEMPTS, sleep=sleep, random=random.random)


def _run(argv: list[str]) -> int:
    wanted = arguments(argv)
    client = Client(Wire(connection(wanted.kubeconfig)))
    clean_up(client, wanted.namespace, Journal(sys.stdout.fileno()), threading.Event().wait)
    return 0
