"""Both images once more, in a storage of their own and from nothing that an earlier build left but base and wheels."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import archive, images


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


# Half a minute on a free machine.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", images.TARGETS)
def test_the_same_inputs_make_the_same_bytes(archives: dict[str, Path], elsewhere: Path, target: str) -> None:
    again = images.build_anew(target, elsewhere)
    assert archive.digests(again) == archive.digests(archives[target])
    assert archive.identity(again) == archive.identity(archives[target])
    assert digest(again) == digest(archives[target])


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
