"""The Node object that we run on: its labels choose the policy, its UID owns the report.

It is asked for now and then and not watched: kubelet changes its status every few seconds, and its labels hardly ever
change.
"""

from __future__ import annotations

import random as _random
import threading
from collections.abc import Callable

from memguard.errors import KubeError
from memguard.kube.client import Client
from memguard.kube.objects import Node
from memguard.kube.resources import NODES
from memguard.kube.retry import BACKOFF
from memguard.service.journal import Journal

ASK_SECONDS = 60.0


class OwnNode:
    """`node` is None before the first answer, and `problem` says why. `run` it in a thread, `stop` ends it."""

    def __init__(
        self,
        client: Client,
        name: str,
        on_change: Callable[[], None],
        journal: Journal,
        *,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._client, self._name, self._on_change, self._journal = client, name, on_change, journal
        self._random = random
        self._stopped = threading.Event()
        self.node: Node | None = None
        self.problem = "the Node was not read yet"

    @property
    def uid(self) -> str:
        """Which one of that name; empty while it is not known."""
        return self.node.metadata.uid if self.node else ""

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()

    def run(self) -> None:
        """Ask until stopped."""
        failures = 0
        while not self._stopped.is_set():
            try:
                self._ask()
                failures = 0
                seconds = ASK_SECONDS * (0.5 + self._random())
            except KubeError as error:
                failures += 1
                self.problem = str(error)
                self._journal.trouble(self.problem)
                seconds = BACKOFF.delay_seconds(failures, self._random, error.retry_after_seconds)
            self._stopped.wait(seconds)

    def _ask(self) -> None:
        before, self.node = self.node, self._client.get(NODES, self._name)
        if before is None or _facts(before) != _facts(self.node):
            self._on_change()


def _facts(node: Node) -> tuple[str, dict[str, str]]:
    return node.metadata.uid, node.metadata.labels
