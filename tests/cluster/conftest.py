"""A real API server for the session: everything that needs one but no kubelet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.lab.control_plane import ControlPlane

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
