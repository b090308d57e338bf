"""Both images, built as every cluster of the tests has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e import archive, images


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
