"""The cluster that these tests share. MEMGUARD_CLUSTER=kind has them run in the user's way (kind.py)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from e2e import cluster as clusters
from e2e.cluster import Cluster
from e2e.deployment import Deployment
from e2e.images import build_images


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with today's images: the one that `make cluster` left running, else one for this session."""
    found = clusters.of("kind" if os.environ.get("MEMGUARD_CLUSTER") == "kind" else "lab")
    stays = found.is_up()
    found.up(tuple(build_images().values()))
    yield found
    if not stays:
        found.down()


@pytest.fixture(scope="session")
def memguard(cluster: Cluster) -> Deployment:
    """memguard in its enforce profile on every node, with its default policy: it observes."""
    found = Deployment(cluster)
    found.install()
    return found
