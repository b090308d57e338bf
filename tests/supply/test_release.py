"""A release is made twice, from two checkouts that differ in all that must not matter, and is the same to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tools import plugin
from tools.supply import bill, release

ROOT = Path(__file__).resolve().parents[2]
#: What a source distribution and a wheel are made of.
SOURCES = ("operator", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", ".gitignore")
AT = datetime(2026, 11, 30, tzinfo=UTC)
BUILD = (
    "build",
    "--wheel",
    "--sdist",
    "--quiet",
    "--no-build-isolation",
    "--python",
    sys.executable,
    "--out-dir",
    "out",
)


def checkout(place: Path, *, umask: int, modified: int) -> Path:
    """Our sources there, with other rights and times."""
    place.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    for path in place.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (modified, modified))
    return place


def built(place: Path, *, umask: int) -> dict[str, str]:
    """The sums of what uv builds there."""
    program = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": plugin.EPOCH}
    subprocess.run((program, *BUILD), cwd=place, env=environment, umask=umask, check=True)
    return {path.name: digest(path) for path in (place / "out").glob("memguard-*")}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return release.python(tmp_path_factory.mktemp("python"))


def test_wheel_and_source_are_the_same_whoever_builds_them(python: tuple[Path, Path], tmp_path: Path) -> None:
    here = {path.name: digest(path) for path in python}
    assert len(here) == 2
    elsewhere = checkout(tmp_path / "far" / "away", umask=0o077, modified=1_000_000_000)
    assert built(elsewhere, umask=0o077) == here


def test_the_source_holds_the_package_and_nothing_else(python: tuple[Path, Path]) -> None:
    with tarfile.open(python[1]) as tar:
        names = {name.split("/")[1] for name in tar.getnames()}
    assert names == {*SOURCES, "PKG-INFO"}


def test_the_chart_is_the_same_twice_and_what_helm_would_have_made(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    one, two = map(release.chart, places)
    assert digest(one) == digest(two)
    assert release.helm("package", str(release.CHART), "--destination", str(tmp_path)).returncode == 0
    assert contents(one) == contents(tmp_path / one.name)
    assert release.helm("lint", str(one)).returncode == 0


def contents(packed: Path) -> dict[str, bytes]:
    with tarfile.open(packed) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def test_the_plugin_is_the_same_twice(tmp_path: Path) -> None:
    """For one Python on this machine: more of them are more of the same."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    one, two = (plugin.build(tmp_path / name / plugin.NAME, [version]) for name in ("one", "two"))
    assert digest(one) == digest(two)


def test_the_sums_are_those_that_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / release.SUMS).write_text(release.sums(tmp_path))
    checked = subprocess.run(
        ["sha256sum", "--check", release.SUMS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert checked.stdout == "a.txt: OK\nb.txt: OK\n"


def test_the_time_is_the_commits_unless_somebody_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert release.moment() > datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert release.moment() == datetime(1970, 1, 2, tzinfo=UTC)


def test_the_wheels_bill_is_whole_and_the_same_twice(python: tuple[Path, Path]) -> None:
    from tools.supply import lock

    wheel, _ = python
    text = bill.of_file(wheel, "memguard", release.EXTRAS, AT)
    assert text == bill.of_file(wheel, "memguard", release.EXTRAS, AT)
    assert bill.complaints(text) == []
    found = json.loads(text)
    assert found["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest(wheel)}]
    components = {one["name"]: one for one in found["components"]}
    assert components.keys() == set(lock.chosen(*release.EXTRAS))
    for name, one in components.items():
        locked = lock.packages()[name]
        assert (one["version"], one["purl"]) == (locked.version, f"pkg:pypi/{name}@{locked.version}")
        hashes = {reference["url"]: reference["hashes"][0]["content"] for reference in one["externalReferences"]}
        assert hashes == {file.url: file.sha256 for file in locked.files}
        assert one["licenses"][0]["expression"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    assert components["yarl"]["bom-ref"] in needs[components["aiohttp"]["bom-ref"]]


def test_the_extras_are_those_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(release.EXTRAS) == project["optional-dependencies"].keys()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"components": [{"type": "library"}]}, "'name' is a required property"),
        ({"specVersion": "1.6", "surprise": 1}, "surprise"),
        ({"components": [{"type": "library", "name": "x", "hashes": [{"alg": "SHA-256", "content": "x"}]}]}, "'x'"),
    ],
)
def test_the_schema_would_complain(broken: dict[str, object], complaint: str) -> None:
    text = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", **broken})
    assert complaint in "".join(bill.complaints(text))
