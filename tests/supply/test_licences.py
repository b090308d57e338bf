"""What is shipped is under licences that are allowed, and somebody has read them."""

from __future__ import annotations

from email.message import Message

import pytest
from tools.supply import licences


def said(**facts: str) -> Message:
    found = Message()
    for name, value in {"Name": "somebody", "Version": "1", **facts}.items():
        found[name.replace("_", "-")] = value
    return found


def test_every_shipped_python_package_is_allowed() -> None:
    found = list(licences.shipped())
    assert len(found) > 30
    assert not [(name, said) for name, _, said, _ in found if not licences.allowed(name, said)]


def test_every_debian_package_is_allowed() -> None:
    assert not [name for name, said in licences.DEBIAN.items() if not licences.allowed(name, said)]


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("MIT", True),
        ("MIT AND Apache-2.0", True),
        ("GPL-2.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("MIT OR GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT AND (BSD-3-Clause OR SSPL-1.0)", True),
        ("(MIT OR SSPL-1.0) AND AGPL-3.0-only", False),
        ("GPL-3.0-or-later", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-2.0-or-later", False),
    ],
)
def test_what_is_allowed(expression: str, holds: bool) -> None:
    assert licences.allowed("somebody", expression) == holds


def test_an_exception_holds_for_its_package_alone() -> None:
    for package, expression in licences.EXCEPTIONS:
        assert licences.allowed(package, expression)
        assert not licences.allowed("somebody", expression)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "ISC"}, "ISC"),
        ({"License_Expression": "MIT", "License": "something of our own"}, "MIT"),
        ({"Name": "Jinja2"}, licences.READ["jinja2"]),
    ],
)
def test_where_a_licence_is_said(facts: dict[str, str], found: str) -> None:
    assert licences.of_distribution(said(**facts)) == found


@pytest.mark.parametrize(
    "facts", [{}, {"License": "BSD"}, {"License": "free"}, {"License_Expression": "LicenseRef-Ours"}]
)
def test_a_licence_that_nobody_has_read_is_refused(facts: dict[str, str]) -> None:
    with pytest.raises(LookupError, match=r"somebody 1 says no SPDX licence: read it"):
        licences.of_distribution(said(**facts))


def test_nothing_is_read_by_hand_that_says_it_by_itself() -> None:
    shipped = {name: version for name, version, _, _ in licences.shipped()}
    assert licences.READ.keys() <= shipped.keys()
    for name in licences.READ:
        found = licences.installed(name, shipped[name])
        bare = said(License_Expression=found.get("License-Expression") or "", License=found.get("License") or "")
        with pytest.raises(LookupError):
            licences.of_distribution(bare)


def test_another_version_than_the_locked_one_is_no_answer() -> None:
    with pytest.raises(LookupError, match=r"is installed, 0\.1 is locked: make setup"):
        licences.installed("msgspec", "0.1")
    with pytest.raises(LookupError, match="nowhere 1 is not installed here: make setup"):
        licences.installed("nowhere", "1")
    with pytest.raises(LookupError, match="read the licence of Debian's bash"):
        licences.of_debian("bash")
