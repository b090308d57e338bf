from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.kernel_files.trees import make_cgroup

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.record import Records

# Files are touched in the properties: a busy disk must not fail them.
settings.register_profile("kernel_files", deadline=None, print_blob=True)
settings.load_profile("kernel_files")

PATH = "kubepods.slice/kubepods-burstable.slice/web"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "cgroup"
    path.mkdir()
    return path


@pytest.fixture
def directory(root: Path) -> Path:
    return make_cgroup(root, PATH)


@pytest.fixture
def cgroup(root: Path, directory: Path) -> Iterator[Cgroup]:
    found = Cgroup(PATH, str(root))
    yield found
    found.close()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    found = Records(str(tmp_path / "run"))
    yield found
    found.close()
