"""The cluster that these tests share. MEMGUARD_CLUSTER=kind has them run in the user's way (kind.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.cluster import BACKEND, Cluster, ours
from e2e.deployment import Deployment
from e2e.images import build_images


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a machine for each node is the lab's."""
    for item in items:
        if BACKEND == "kind" and item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="kind's nodes share the memory, kernel and clock of this machine"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with today's images: the one that `make cluster` left running, else one for this session."""
    found = ours()
    stays = found.is_up()
    found.up(tuple(build_images().values()))
    yield found
    if not stays:
        found.down()


@pytest.fixture(scope="session")
def memguard(cluster: Cluster) -> Deployment:
    """memguard in its enforce profile on every node: it observes by default, and its budgets suffice for all tests."""
    found = Deployment(cluster)
    found.install()
    return found
