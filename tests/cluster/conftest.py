"""A real API server for the session: everything that needs one but no kubelet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.clients import client_of, connect, new_namespace, proxy_of
from tests.cluster.proxy import Proxy

from memguard.kube.client import Client

NODES = ("node-a", "node-b")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, API server and controller manager (no scheduler): pods stay where `spec.nodeName` puts them."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), nodes=NODES, scheduler=False)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[Client]:
    with client_of(connect(control_plane)) as client:
        yield client


@pytest.fixture
def namespace(client: Client) -> str:
    return new_namespace(client)


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[Proxy]:
    with proxy_of(control_plane) as proxy:
        yield proxy
        assert proxy.pending == 0
