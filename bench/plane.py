"""A control plane with memguard's operator set up in it, for benches that need no kubelet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.lab.control_plane import ControlPlane
from tests.cluster.operators import deploy_operator


@contextmanager
def plane(directory: Path, *, controllers: bool = False) -> Iterator[ControlPlane]:
    """Without controllers unless pods need them for their service account: as there are no kubelets, they would have
    every node be gone, and end the pods that do not tolerate it."""
    found = ControlPlane(directory, controller_manager=controllers, scheduler=False)
    try:
        found.start()
        deploy_operator(found)
        yield found
    finally:
        found.remove()
