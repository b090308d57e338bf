"""What uv.lock says: every Python package with its files and their hashes, and which of them we ship."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from tools.plugin import PYTHONS, ROOT, uv

#: What we ship runs on these; uv writes its markers with the words of PEP 508.
SYSTEMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
)


class File(NamedTuple):
    """A file of a package in the index: a wheel, or the source."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """As pip calls it."""
        return self.url.rpartition("/")[2]


class Package(NamedTuple):
    """A locked package, and the names of those that it needs somewhere."""

    name: str
    version: str
    files: tuple[File, ...]
    needs: frozenset[str]

    def wheel(self, tags: frozenset[Tag]) -> File:
        """The file that was installed, by the tags that its WHEEL has. Raises LookupError."""
        for file in self.files:
            if file.name.endswith(".whl") and parse_wheel_filename(file.name)[3] == tags:
                return file
        raise LookupError(f"uv.lock has no wheel of {self.name} {self.version} for {', '.join(map(str, tags))}")


@functools.cache
def packages() -> Mapping[str, Package]:
    """All of them, by name; ours is not among them."""
    entries = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {entry["name"]: _package(entry) for entry in entries if "registry" in entry["source"]}


def _package(entry: dict[str, Any]) -> Package:
    files = [*entry.get("wheels", ()), *([entry["sdist"]] if "sdist" in entry else ())]
    optional = entry.get("optional-dependencies", {}).values()
    needs = [*entry.get("dependencies", ()), *(need for extra in optional for need in extra)]
    hashed = tuple(File(file["url"], file["hash"].removeprefix("sha256:")) for file in files)
    return Package(entry["name"], entry["version"], hashed, frozenset(need["name"] for need in needs))


def chosen(*extras: str) -> list[str]:
    """Names of what is installed with these extras, wherever we run."""
    options = (word for extra in extras for word in ("--extra", extra))
    plain = ("--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate", "--no-header")
    lines = uv("export", "--frozen", "--quiet", *plain, *options).splitlines()
    return [canonicalize_name(wanted.name) for wanted in map(Requirement, lines) if _somewhere(wanted)]


def _somewhere(wanted: Requirement) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate(environment) for environment in _environments())


def _environments() -> Iterator[dict[str, str]]:
    for system in SYSTEMS:
        for version in PYTHONS:
            yield {**system, "python_version": version, "python_full_version": f"{version}.0"}
