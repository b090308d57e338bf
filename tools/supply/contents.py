"""What lies in an image, by whom it came: Debian's packages, Python's, ours; and whatever nobody can account for."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from email.parser import Parser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name

NOTES = "var/lib/dpkg/status.d"
LIBRARY = "opt/memguard/lib"
OURS = ("opt/memguard/LICENSE", "opt/memguard/bin/memguard", f"{LIBRARY}/memguard/")
#: Made in the base from what its packages say, so in none of them: the loader's cache, and the name service's file.
MADE = {"etc/ld.so.cache", "etc/nsswitch.conf"}
_BYTECODE = re.compile(r"__pycache__/(?P<module>[^/]+)\.cpython-\d+\.pyc$")


class Deb(NamedTuple):
    """A Debian package that has files in the image, and the MD5 sums of all of its files."""

    name: str
    version: str
    architecture: str
    needs: frozenset[str]
    sums: frozenset[str]


class Wheel(NamedTuple):
    """An installed Python package, and the SHA-256 sums of its files by where they stand."""

    name: str
    version: str
    tags: frozenset[Tag]
    sums: Mapping[str, str]
    installed: Distribution


def debs(root: Path) -> list[Deb]:
    """By the notes that deploy/image/rootfs.py leaves for scanners."""
    notes = root / NOTES
    return [_deb(path) for path in sorted(notes.iterdir()) if path.suffix != ".md5sums"]


def _deb(path: Path) -> Deb:
    said = Parser().parsestr(path.read_text())
    needed = f"{said['Depends'] or ''}, {said['Pre-Depends'] or ''}"
    names = frozenset(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]+)", needed))
    sums = frozenset(path.with_name(f"{path.name}.md5sums").read_text().split()[::2])
    return Deb(said["Package"], said["Version"], said["Architecture"], names, sums)


def wheels(root: Path) -> list[Wheel]:
    """By what pip wrote down when it installed them."""
    found = distributions(path=[str(root / LIBRARY)])
    return sorted((_wheel(each) for each in found), key=lambda wheel: wheel.name)


def _wheel(installed: Distribution) -> Wheel:
    said = Parser().parsestr(installed.read_text("WHEEL") or "")
    tags = frozenset(tag for line in said.get_all("Tag", ()) for tag in parse_tag(line))
    sums = {f"{LIBRARY}/{file}": file.hash.value for file in installed.files or () if file.hash}
    return Wheel(canonicalize_name(installed.name), installed.version, tags, sums, installed)


def strangers(root: Path) -> Iterator[str]:
    """Files that are of no package, or hold something else than their package says; none, or the bill is not whole."""
    known_debs = frozenset().union(*(deb.sums for deb in debs(root)))
    known_wheels = {path: sum_ for wheel in wheels(root) for path, sum_ in wheel.sums.items()}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or path.is_dir() or _is_ours(name) or name in MADE or _is_compiled(path):
            continue
        if name in known_wheels:
            if _urlsafe(hashlib.sha256(path.read_bytes())) != known_wheels[name]:
                yield name
        elif hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() not in known_debs:
            yield name


def _is_ours(name: str) -> bool:
    """Our own files, the notes on packages, and RECORD, which cannot hold its own sum."""
    record = name.startswith(f"{LIBRARY}/") and name.endswith(".dist-info/RECORD")
    return name.startswith(OURS) or name.startswith(f"{NOTES}/") or record


def _is_compiled(path: Path) -> bool:
    """Bytecode whose source stands beside it."""
    found = _BYTECODE.search(path.as_posix())
    return found is not None and (path.parents[1] / f"{found['module']}.py").is_file()


def _urlsafe(found: hashlib._Hash) -> str:
    return base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode()
