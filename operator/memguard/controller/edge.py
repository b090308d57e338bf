"""kopf, at the edge: it hands on what happens to the two policy kinds, and nothing else.

It sees no other kind (5,000 objects in it cost 280 MiB), writes nothing, keeps no index, posts no Events. What a
handler raises it would not try again, so the handlers only tell the book; the book's own list each minute makes good
what was missed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import kopf

from memguard.controller.policy_book import PolicyBook
from memguard.kube.resources import Resource
from memguard.service.resources import CLUSTER_POLICIES, POLICIES


class Edge:
    """`run` it in a thread of its own, `stop` ends it from any. `ready` once kopf listens.

    `in_cluster`: with the pod's service account; otherwise as the KUBECONFIG of the environment says.
    """

    def __init__(self, book: PolicyBook, *, in_cluster: bool) -> None:
        self._book, self._in_cluster = book, in_cluster
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
                stop_flag=self._stopped,
                ready_flag=self.ready,
            )
        )

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        login = kopf.login_with_service_account if self._in_cluster else kopf.login_with_kubeconfig
        kopf.on.login(registry=registry)(login)
        for resource in (POLICIES, CLUSTER_POLICIES):
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(self._teller(resource))
        return registry

    def _teller(self, resource: Resource[Any]) -> Any:
        async def told(event: Any, **_: Any) -> None:
            self._book.tell(resource, event["object"], deleted=event["type"] == "DELETED")

        return told


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    return settings
