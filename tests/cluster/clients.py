"""What tests of the client need of a control plane: clients with and without a proxy, a namespace, objects."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from e2e.lab.control_plane import ADMIN, ControlPlane
from tests.cluster.proxy import DEADLINE_SECONDS, POLL_SECONDS, Proxy

from memguard.kube.client import Client
from memguard.kube.connection import Connection, FixedToken, Token, read_pem, tls_context
from memguard.kube.objects import ObjectMeta
from memguard.kube.resources import NAMESPACES, Resource
from memguard.kube.wire import Wire

_numbers = itertools.count(1)


class ConfigMap(msgspec.Struct, frozen=True, kw_only=True):
    metadata: ObjectMeta
    data: dict[str, str] = {}


CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap", type=ConfigMap)
#: The controller manager puts one of its own into each namespace.
OURS = "metadata.name!=kube-root-ca.crt"


def connect(plane: ControlPlane, url: str = "", token: Token | None = None) -> Connection:
    """A connection of the administrator, to the control plane or to where it is proxied."""
    authority = str(plane.certificates.authority)
    token = token or FixedToken(plane.token(ADMIN))
    return Connection(url or plane.url, tls=lambda: tls_context(read_pem(authority), authority), token=token)


@contextmanager
def client_of(connection: Connection, timeout_seconds: float = 10) -> Iterator[Client]:
    client = Client(Wire(connection, timeout_seconds=timeout_seconds))
    try:
        yield client
    finally:
        client.close()


def proxy_of(plane: ControlPlane, host: str = "127.0.0.1") -> Proxy:
    """The certificate that it shows is the API server's, which names 127.0.0.1 and no other of this machine."""
    certificates = plane.certificates
    return Proxy(plane.url, certificates.authority, certificates.file("apiserver.crt"), host)


def new_namespace(client: Client) -> str:
    """A namespace that nothing else is in; it ends with the control plane."""
    name = f"kube-client-{os.getpid()}-{next(_numbers)}"
    return client.create(NAMESPACES, {"metadata": {"name": name}}).metadata.name


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, node: str = "node-a", **labels: str) -> dict[str, object]:
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "pause"}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def wait_until(true: Callable[[], object]) -> None:
    """Wait for something that nobody tells us of."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(POLL_SECONDS)
