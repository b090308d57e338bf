"""The images' bills of materials: whole, valid, and of what is really there."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e import archive, images
from tools.supply import bill, contents, licences

AT = datetime(2026, 11, 30, tzinfo=UTC)
each_target = pytest.mark.parametrize("target", images.TARGETS)


def made(target: str, file: Path, root: Path, at: datetime = AT) -> str:
    known = bill.debian_sums(file.with_name(images.PACKAGES).read_text())
    return bill.of_image(target, file, root, known, at)


@pytest.fixture(scope="session")
def bills(archives: dict[str, Path], roots: dict[str, Path]) -> dict[str, str]:
    return {target: made(target, archives[target], roots[target]) for target in images.TARGETS}


def components(text: str, kind: str) -> dict[str, dict[str, Any]]:
    """By name, of those whose purl is of a kind."""
    return {
        one["name"]: one for one in json.loads(text)["components"] if one.get("purl", "").startswith(f"pkg:{kind}/")
    }


@each_target
def test_no_file_of_the_image_is_of_nobody(roots: dict[str, Path], target: str) -> None:
    """Each is Debian's or a wheel's, and holds what they say it holds, or it is ours."""
    assert list(contents.strangers(roots[target])) == []


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("usr/bin/nc", "a program of nobody"),
        ("opt/memguard/lib/backdoor.py", "a module of nobody"),
        ("opt/memguard/lib/msgspec/__init__.py", "another content than the wheel's"),
        ("usr/lib/python3.13/os.py", "another content than Debian's"),
        ("usr/lib/python3.13/__pycache__/backdoor.cpython-313.pyc", "bytecode without its source"),
    ],
)
def test_whatever_is_smuggled_in_is_found(roots: dict[str, Path], tmp_path: Path, where: str, what: str) -> None:
    root = tmp_path / "root"
    for part in (contents.NOTES, "opt/memguard/lib", "usr/lib/python3.13/json"):
        shutil.copytree(roots["node"] / part, root / part, symlinks=True)
    assert list(contents.strangers(root)) == []
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).write_text(what)
    assert list(contents.strangers(root)) == [where]


def test_a_bill_that_would_not_be_whole_is_refused(archives: dict[str, Path], roots: dict[str, Path]) -> None:
    with pytest.raises(LookupError, match=r"the base has no record of base-files"):
        bill.of_image("node", archives["node"], roots["node"], {}, AT)


@each_target
def test_the_schema_has_nothing_against_it(bills: dict[str, str], target: str) -> None:
    assert bill.complaints(bills[target]) == []


@each_target
def test_it_names_all_that_is_there(bills: dict[str, str], roots: dict[str, Path], target: str) -> None:
    found = json.loads(bills[target])
    wheels = {path.name.partition("-")[0] for path in (roots[target] / contents.LIBRARY).glob("*.dist-info")}
    assert {name.replace("-", "_") for name in components(bills[target], "pypi")} == wheels
    debs = {path.name for path in (roots[target] / contents.NOTES).iterdir() if path.suffix != ".md5sums"}
    assert components(bills[target], "deb").keys() == debs
    assert len(found["components"]) == 1 + len(wheels) + len(debs)
    for one in found["components"]:
        assert one["version"]
        assert re.fullmatch(r"[0-9a-f]{64}", one["hashes"][0]["content"]), one
        assert licences.allowed(one["name"], one["licenses"][0]["expression"]), one
    whole = next(
        one["dependsOn"] for one in found["dependencies"] if one["ref"] == f"memguard-{target}@{bill.__version__}"
    )
    assert set(whole) == {one["bom-ref"] for one in found["components"]}


@each_target
def test_each_brings_the_text_of_its_licence(roots: dict[str, Path], target: str) -> None:
    root = roots[target]
    for wheel in contents.wheels(root):
        assert [file for file in wheel.sums if re.search(r"\.dist-info/.*(LICEN[CS]E|COPYING)", file, re.IGNORECASE)], (
            wheel
        )
    assert not [
        deb.name for deb in contents.debs(root) if not (root / "usr/share/doc" / deb.name / "copyright").exists()
    ]


@each_target
def test_the_hashes_are_those_that_pip_checked(bills: dict[str, str], target: str) -> None:
    wanted = (images.RECIPES / f"{target}.txt").read_text()
    for name, one in components(bills[target], "pypi").items():
        (section,) = re.findall(rf"^{name}=={re.escape(one['version'])} (.*(?:\n    .*)*)", wanted, re.MULTILINE)
        assert f"--hash=sha256:{one['hashes'][0]['content']}" in section


@each_target
def test_it_is_of_this_image(bills: dict[str, str], archives: dict[str, Path], target: str) -> None:
    subject = json.loads(bills[target])["metadata"]["component"]
    assert subject["type"] == "container"
    assert f"sha256:{subject['hashes'][0]['content']}" == archive.identity(archives[target])
    assert [one["value"] for one in subject["properties"]] == archive.digests(archives[target])


def test_the_list_of_debian_packages_has_those_and_no_others(bills: dict[str, str]) -> None:
    there = {name for text in bills.values() for name in components(text, "deb")}
    assert licences.DEBIAN.keys() == there


@each_target
def test_the_same_image_has_the_same_bill(
    bills: dict[str, str], archives: dict[str, Path], roots: dict[str, Path], target: str
) -> None:
    again = made(target, archives[target], roots[target])
    assert again == bills[target]
    later = made(target, archives[target], roots[target], datetime(2027, 1, 1, tzinfo=UTC))
    numbers = {json.loads(text)["serialNumber"] for text in (again, later)}
    assert len(numbers) == 2
