"""Bills of materials as CycloneDX 1.6 (ECMA-424) has them: of an image, and of what a package brings with it.

The same input makes the same bill: the time in it is the commit's, and its serial number comes from what it says.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from e2e import archive
from packageurl import PackageURL
from tools.supply import contents, licences, lock

from memguard import __version__

#: Serial numbers are made below this one (RFC 9562, version 5).
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "memguard.io")
DEBIAN = "debian-13"
Sums = Mapping[tuple[str, str], str]


class IncompleteError(Exception):
    """Something is in an image that no package accounts for."""


class _Part(NamedTuple):
    """A component, and the names of those that it needs."""

    component: Component
    needs: frozenset[str]


def of_image(target: str, image: Path, root: Path, sums: Sums, at: datetime) -> str:
    """The bill of an image archive that was unpacked below `root`; `sums`: of the .deb of each package and version.

    Raises IncompleteError, and LookupError where a licence or a hash is not known.
    """
    if unknown := list(contents.strangers(root)):
        raise IncompleteError(f"memguard-{target}: of no package: {', '.join(unknown[:5])} ({len(unknown)} in all)")
    layers = archive.digests(image)
    named = [Property(name=f"memguard:image:layer:{number}", value=layer) for number, layer in enumerate(layers)]
    subject = _component(
        f"memguard-{target}", __version__, licences.OURS, type=ComponentType.CONTAINER,
        hashes=[_sha256(archive.identity(image))], properties=named,
    )  # fmt: skip
    wheels = [_wheel(found) for found in contents.wheels(root)]
    debs = [_deb(found, sums) for found in contents.debs(root)]
    ours = _component(
        "memguard", __version__, licences.OURS, hashes=[_sha256(layers[-1])], type=ComponentType.APPLICATION
    )
    direct = frozenset(part.component.name for part in wheels)
    return _written(subject, [_Part(ours, direct), *wheels, *debs], at)


def of_file(file: Path, name: str, extras: Iterable[str], at: datetime) -> str:
    """The bill of a file of ours with the packages that are locked for these extras. Raises LookupError."""
    sum_ = hashlib.sha256(file.read_bytes()).hexdigest()
    subject = _component(name, __version__, licences.OURS, hashes=[_sha256(sum_)], type=ComponentType.APPLICATION)
    return _written(subject, [_locked(lock.packages()[one]) for one in lock.chosen(*extras)], at)


def complaints(bill: str) -> list[str]:
    """What the published schema has against a bill."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill, all_errors=True)
    return [str(error) for error in found or ()]


def debian_sums(record: str) -> Sums:
    """The SHA-256 of each .deb by package and version, from what `apt-cache show` said of them."""
    found = {}
    for paragraph in record.split("\n\n"):
        facts = dict(re.findall(r"^(Package|Version|SHA256): (\S+)$", paragraph, re.MULTILINE))
        if len(facts) == 3:
            found[facts["Package"], facts["Version"]] = facts["SHA256"]
    return found


def _wheel(found: contents.Wheel) -> _Part:
    locked = lock.packages()[found.name]
    if locked.version != found.version:
        raise LookupError(f"{found.name} {found.version} is in the image, {locked.version} is locked")
    licence = licences.of_distribution(found.installed.metadata)
    hashes = [_sha256(locked.wheel(found.tags).sha256)]
    return _Part(_component(found.name, found.version, licence, purl=_pypi(locked), hashes=hashes), locked.needs)


def _locked(package: lock.Package) -> _Part:
    licence = licences.of_distribution(licences.installed(package.name, package.version))
    files = [
        ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(file.url), hashes=[_sha256(file.sha256)])
        for file in package.files
    ]
    made = _component(package.name, package.version, licence, purl=_pypi(package), external_references=files)
    return _Part(made, package.needs)


def _deb(found: contents.Deb, sums: Sums) -> _Part:
    if (found.name, found.version) not in sums:
        raise LookupError(f"the base has no record of {found.name} {found.version}")
    qualifiers = {"arch": found.architecture, "distro": DEBIAN}
    purl = PackageURL("deb", "debian", found.name, found.version, qualifiers)
    hashes = [_sha256(sums[found.name, found.version])]
    licence = licences.of_debian(found.name)
    return _Part(_component(found.name, found.version, licence, purl=purl, hashes=hashes), found.needs)


def _pypi(package: lock.Package) -> PackageURL:
    return PackageURL("pypi", None, package.name, package.version)


def _component(name: str, version: str, licence: str, *, purl: PackageURL | None = None, **facts: object) -> Component:
    reference = str(purl) if purl else f"{name}@{version}"
    expression = [LicenseExpression(licence)]
    return Component(name=name, version=version, bom_ref=reference, purl=purl, licenses=expression, **facts)  # type: ignore[arg-type]


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))


def _written(subject: Component, parts: list[_Part], at: datetime) -> str:
    bill = Bom(components=[part.component for part in parts])
    bill.metadata = BomMetaData(component=subject, timestamp=at.astimezone(UTC))
    by_name = {part.component.name: part.component for part in parts}
    bill.register_dependency(subject, by_name.values())
    for part in parts:
        bill.register_dependency(part.component, [by_name[name] for name in sorted(part.needs & by_name.keys())])
    bill.serial_number = uuid.uuid5(NAMESPACE, _content(bill))
    return JsonV1Dot6(bill).output_as_string(indent=2) + "\n"


def _content(bill: Bom) -> str:
    """All that it says but its number."""
    said = json.loads(JsonV1Dot6(bill).output_as_string())
    del said["serialNumber"]
    return json.dumps(said, sort_keys=True)
