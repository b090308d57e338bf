"""What is locked, and by what: Python packages, Go modules, and what goes into the images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.tags import parse_tag
from packaging.utils import parse_wheel_filename
from tools.supply import lock

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "e2e" / "tools").rglob("go.mod"))
SHA256 = re.compile(r"[0-9a-f]{64}")


def test_every_python_package_is_locked_with_the_hash_of_each_of_its_files() -> None:
    found = lock.packages()
    assert len(found) > 100
    assert not [one.name for one in found.values() if not one.files]
    assert not [file.url for one in found.values() for file in one.files if not SHA256.fullmatch(file.sha256)]


def test_what_is_shipped_is_in_the_lock_and_nothing_of_windows_is() -> None:
    plugin = set(lock.chosen("kubectl"))
    assert plugin <= lock.packages().keys()
    assert {"msgspec", "kubernetes", "certifi", "typing-extensions"} <= plugin
    assert "colorama" not in plugin
    assert set(lock.chosen()) == {"msgspec"}


def test_a_wheel_is_found_by_its_tags() -> None:
    msgspec = lock.packages()["msgspec"]
    wheels = [file for file in msgspec.files if file.name.endswith(".whl")]
    assert len(wheels) > 10
    assert [msgspec.wheel(parse_wheel_filename(file.name)[3]) for file in wheels] == wheels
    with pytest.raises(LookupError, match=r"no wheel of msgspec .* for cp27-cp27m-win32"):
        msgspec.wheel(parse_tag("cp27-cp27m-win32"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.parent.name)
def test_every_go_module_that_is_asked_for_has_its_sum(module: Path) -> None:
    """Go refuses whatever has none or another; under another name where go.mod replaces it."""
    text = module.read_text()
    wanted = set(re.findall(r"^(?:require )?\t?(\S+\.\S+) (v\S+)", text, re.MULTILINE))
    replaced = dict(re.findall(r"^(?:replace )?\t?(\S+)(?: v\S+)? => (.+)$", text, re.MULTILINE))
    built = {tuple(replaced[name].split()) if name in replaced else (name, version) for name, version in wanted}
    sums = set(re.findall(r"^(\S+) (v\S+?)(?:/go\.mod)? h1:", (module.parent / "go.sum").read_text(), re.MULTILINE))
    assert wanted
    assert built <= sums


def test_nothing_is_installed_into_an_image_but_by_hash() -> None:
    recipe = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [line for line in recipe.splitlines() if re.search(r"\b(pip|apt-get|apk|curl|wget)\b", line)]
    (install,) = (line for line in installs if not line.startswith(("#", "ARG")))
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert not re.search(r"^ADD ", recipe, re.MULTILINE)
