"""Licences: what each shipped part is under, which are allowed, and docs/licences.md, which says both.

Expressions are SPDX's (spdx.org/licenses). What a package's metadata says is taken where it is one; else somebody has
read the licence that lies in the package, and its name stands here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import PackageMetadata as Metadata
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from license_expression import (
    LicenseExpression,
    LicenseSymbol,
    LicenseWithExceptionSymbol,
    Licensing,
    get_spdx_licensing,
)
from packaging.utils import canonicalize_name
from tools.plugin import ROOT
from tools.supply import lock

PAGE = ROOT / "docs" / "licences.md"
OURS = "Apache-2.0"
#: What may be shipped: licence -> what it asks of whoever passes memguard on.
ALLOWED = {
    "0BSD": "nothing",
    "Apache-2.0": "its text and notices are kept",
    "BSD-2-Clause": "its text is kept",
    "BSD-3-Clause": "its text is kept",
    "bzip2-1.0.6": "its text is kept with the source",
    "GPL-3.0-or-later WITH GCC-exception-3.1": "nothing of what is compiled with GCC; the library itself stays free",
    "ISC": "its text is kept",
    "LGPL-2.1-or-later": "the library can be exchanged, which it can: it is linked dynamically; its source is Debian's",
    "MIT": "its text is kept",
    "MPL-2.0": "changes to its own files are published; we have none",
    "PSF-2.0": "its text is kept",
    "Python-2.0.1": "its text is kept",
    "Zlib": "its text is kept with the source",
}
#: Allowed for one package alone, and why.
EXCEPTIONS = {("base-files", "GPL-2.0-or-later"): "one file of it is in the images: os-release, a name and a version"}
#: Python packages whose metadata names a family, or an abbreviation of their own.
READ = {
    "aiosignal": "Apache-2.0",
    "jinja2": "BSD-3-Clause",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "shellingham": "ISC",
}
#: Debian packages with files in an image: what these files are under, read in the package's copyright file, which also
#: lists the sources of tools, tests and documents that are not there.
DEBIAN = {
    "base-files": "GPL-2.0-or-later",
    "gcc-14-base": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libbz2-1.0": "bzip2-1.0.6",
    "libc6": "LGPL-2.1-or-later",
    "libexpat1": "MIT",
    "libffi8": "MIT",
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "liblzma5": "0BSD",
    "libpython3.13-minimal": "Python-2.0.1",
    "libpython3.13-stdlib": "Python-2.0.1",
    "libssl3t64": "Apache-2.0",
    "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libuuid1": "BSD-3-Clause",
    "libzstd1": "BSD-3-Clause OR GPL-2.0-only",
    "python3.13-minimal": "Python-2.0.1",
    "zlib1g": "Zlib",
}
#: What is shipped in which form, by the extras that are installed for it.
SHIPPED = {"node image": ("agent",), "operator image": ("operator",), "plugin": ("kubectl",), "package": ("cli",)}

PREFACE = """\
# Licences

Generated from `uv.lock` by `make generate`; do not edit.

memguard is under the Apache License 2.0. What comes with it is under the licences below, and the texts come along: of
Python packages in their `dist-info`, of Debian packages in `/usr/share/doc/PACKAGE/copyright`. A test refuses whatever
is not in the first table. The bills of materials ([supply chain](supply-chain.md)) have the same for each artifact.
"""


@functools.cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


def of_distribution(found: Metadata) -> str:
    """The licence of an installed Python package. Raises LookupError where nobody has read it yet."""
    name = canonicalize_name(found["Name"])
    for said in (found.get("License-Expression"), found.get("License"), READ.get(name)):
        if said and not _spdx().validate(said).errors:
            return said
    raise LookupError(f"{name} {found['Version']} says no SPDX licence: read it, and name it in {__name__}.READ")


def of_debian(package: str) -> str:
    """The licence of what a Debian package has in our images. Raises LookupError where nobody has read it yet."""
    if package not in DEBIAN:
        raise LookupError(f"read the licence of Debian's {package}, and name it in {__name__}.DEBIAN")
    return DEBIAN[package]


def allowed(package: str, expression: str) -> bool:
    """Whether we may ship it: all parts of an AND, one part of an OR."""
    return _holds(_spdx().parse(expression, validate=True), package)


def _holds(part: LicenseExpression, package: str) -> bool:
    if isinstance(part, LicenseSymbol | LicenseWithExceptionSymbol):
        return str(part) in ALLOWED or (package, str(part)) in EXCEPTIONS
    held = [_holds(one, package) for one in part.args]
    return any(held) if part.operator.strip() == "OR" else all(held)


def shipped() -> Iterator[tuple[str, str, str, list[str]]]:
    """Name, version, licence, and where it is shipped, of each Python package. Raises LookupError."""
    places = {place: set(lock.chosen(*extras)) for place, extras in SHIPPED.items()}
    for name in sorted(set().union(*places.values())):
        version = lock.packages()[name].version
        yield name, version, of_distribution(installed(name, version)), [at for at in places if name in places[at]]


def installed(name: str, version: str) -> Metadata:
    """What the locked package says of itself. Raises LookupError where this environment has another one."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        raise LookupError(f"{name} {version} is not installed here: make setup") from None
    if found["Version"] != version:
        raise LookupError(f"{name} {found['Version']} is installed, {version} is locked: make setup")
    return found


def outputs() -> Iterator[tuple[Path, str]]:
    """The page."""
    asked = "\n".join(f"| {name} | {what} |" for name, what in ALLOWED.items())
    excused = "\n".join(f"| {name}, for {package} alone | {why} |" for (package, name), why in EXCEPTIONS.items())
    python = "\n".join(f"| {name} | {version} | {said} | {', '.join(at)} |" for name, version, said, at in shipped())
    debian = "\n".join(f"| {name} | {said} |" for name, said in DEBIAN.items())
    yield (
        PAGE,
        f"{PREFACE}\n## Allowed\n\n| licence | asks |\n|---|---|\n{asked}\n{excused}\n"
        f"\n## Python packages\n\n| package | version | licence | in |\n|---|---|---|---|\n{python}\n"
        "\n## Debian packages in the images\n\nOf the files that are there; versions are in the bills of materials.\n\n"
        f"| package | licence |\n|---|---|\n{debian}\n",
    )
