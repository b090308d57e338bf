"""Both images, built as every cluster of the tests has them, and an API server to read the manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import archive, images
from e2e.lab.control_plane import ControlPlane


@pytest.fixture(scope="session")
def archives() -> dict[str, Path]:
    """Cached by all inputs; a minute and a half the first time."""
    return images.build_images()


@pytest.fixture(scope="session")
def roots(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each image's file system."""
    directory = tmp_path_factory.mktemp("images")
    directory.parent.chmod(0o755)  # programs run in there as nobody
    directory.chmod(0o755)
    return {target: archive.unpack(file, directory / target) for target, file in archives.items()}


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server; nothing is to be scheduled or controlled."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), controller_manager=False, scheduler=False)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
