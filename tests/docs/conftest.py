"""The site, once for all tests of this directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.built import build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory."""
    return build(tmp_path_factory.mktemp("docs"))
