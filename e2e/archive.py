"""What is in an image archive (`docker save`): its layers, its configuration and its files."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Layer(NamedTuple):
    """One layer of an image, unpacked and as a registry would send it."""

    size_bytes: int
    compressed_bytes: int


def layers(archive: Path) -> list[Layer]:
    """The layers of an archive, the lowest first."""
    return [Layer(len(content), len(gzip.compress(content))) for content in contents(archive)]


def contents(archive: Path) -> Iterator[bytes]:
    """Each layer, the lowest first: an archive (tar) of its files."""
    with tarfile.open(archive) as tar:
        for name in _manifest(tar).layers:
            yield _content(tar, name)


def configuration(archive: Path) -> dict[str, object]:
    """What the image says about how to run it: User, Entrypoint, Env, Labels."""
    with tarfile.open(archive) as tar:
        return dict(json.loads(_content(tar, _manifest(tar).config))["config"])


def digests(archive: Path) -> list[str]:
    """What each layer holds, the lowest first: equal for equal contents."""
    with tarfile.open(archive) as tar:
        return list(json.loads(_content(tar, _manifest(tar).config))["rootfs"]["diff_ids"])


def identity(archive: Path) -> str:
    """The image's id, as `docker image inspect` has it: the sum of its configuration, which names every layer's."""
    with tarfile.open(archive) as tar:
        return f"sha256:{hashlib.sha256(_content(tar, _manifest(tar).config)).hexdigest()}"


def unpack(archive: Path, root: Path, *, lowest: int = 0) -> Path:
    """The image's file system below `root`; of the layers from `lowest` on, where not all are wanted."""
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in _manifest(tar).layers[lowest:]:
            # Not tarfile's own extraction: Debian 12's Python (3.11.2) has no filters yet, later ones want one.
            subprocess.run(("tar", "--extract", "--directory", root), input=_content(tar, name), check=True)
    return root


class _Manifest(NamedTuple):
    config: str
    layers: list[str]


def _manifest(tar: tarfile.TarFile) -> _Manifest:
    image = json.loads(_content(tar, "manifest.json"))[0]
    return _Manifest(image["Config"], image["Layers"])


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    return b"" if file is None else file.read()
