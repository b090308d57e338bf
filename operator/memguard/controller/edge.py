"""kopf, at the edge: it hands on what happens to the administrators' policies, and nothing else.

It sees no kind of which there may be many (5,000 objects in it cost 280 MiB), writes nothing, keeps no index, posts no
Events. What a handler raises it would not try again, so the handler only tells the book; the book's own list twice a
minute makes good what was missed, also where kopf gave up a watch for good.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from memguard.controller.policy_book import PolicyBook
from memguard.kube.connection import SERVICE_ACCOUNT, TokenFile
from memguard.service.resources import CLUSTER_POLICIES


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """For whoever imports what it finds."""
    known = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]  # how an import is told that there is none
    try:
        yield
    finally:
        del sys.modules[package]
        if known is not None:
            sys.modules[package] = known


# Where the kubectl plugin is installed too, as in a developer's environment, kopf would take its client: 19 MiB.
with _absent("kubernetes"):
    import kopf


class Edge:
    """`run` it in a thread of its own, `stop` ends it from any. `ready` once kopf listens.

    `server`: where the pod's service account is known; None: as the KUBECONFIG of the environment says. `identity`:
    without one kopf asks for the user's name, and in a pod the user has none.
    """

    def __init__(self, book: PolicyBook, *, server: str | None, identity: str) -> None:
        self._book, self._server, self._identity = book, server, identity
        self._stopped = threading.Event()
        self.ready = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        logging.getLogger("kopf").setLevel(logging.WARNING)
        asyncio.run(
            kopf.operator(
                registry=self._registry(),
                settings=_settings(),
                clusterwide=True,
                standalone=True,
                identity=self._identity,  # type: ignore[arg-type]  # a str of a name that kopf keeps to itself
                stop_flag=self._stopped,
                ready_flag=self.ready,
            )
        )

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login if self._server else kopf.login_with_kubeconfig)
        one = CLUSTER_POLICIES
        kopf.on.event(one.group, one.version, one.plural, registry=registry)(self._told)
        return registry

    def _login(self, **_: Any) -> kopf.ConnectionInfo:
        """Asked again when a token is no longer accepted. kopf's own would need the cluster's DNS."""
        token = TokenFile(f"{SERVICE_ACCOUNT}/token").read()
        return kopf.ConnectionInfo(server=self._server or "", ca_path=f"{SERVICE_ACCOUNT}/ca.crt", token=token)

    async def _told(self, event: Any, **_: Any) -> None:
        self._book.tell(CLUSTER_POLICIES, event["object"], deleted=event["type"] == "DELETED")


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    return settings
