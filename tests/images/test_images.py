"""What is in the images, and that it runs as it is run in a pod: as nobody, on a root that cannot be written."""

from __future__ import annotations

import re
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from e2e import archive, images
from tests.chart.manifests import PROFILES, containers, node_pod
from tests.images import chroot

import memguard

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
#: What is a package to import in which image.
PACKAGES = {
    "node": ("core", "kernel", "guard", "api", "kube", "service", "agent"),
    "operator": ("core", "kernel", "api", "kube", "service", "controller"),
}
#: Nothing of this belongs in an image: package managers, compilers, shells, what pulls half of the registry in.
UNWANTED = re.compile(
    r"(^|/)(pip|ensurepip|setuptools|wheel|apt|dpkg|gcc|cc|sh|bash|dash|perl|kubernetes|pydantic|typer|rich"
    r"|idlelib|tkinter|test)([-_.][^/]*)?(/|$)"
)
#: An interpreter alone and the guard: kept by what it locks (docs/images.md has the figures).
GUARD_MIB = 17.0
#: As a registry sends it; kopf brings aiohttp.
LARGEST_MIB = {"node": 20, "operator": 24}

IMPORT_ALL = """
import importlib, pkgutil
for name in {names}:
    package = importlib.import_module("memguard." + name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print("all of them")
"""
WRITABLE = """
import os
print([name for place, _, files in os.walk("/") for name in (place, *(f"{place}/{file}" for file in files))
       if os.access(name, os.W_OK) and not os.path.islink(name)])
"""
IMPORT_EXTENSIONS = """
import importlib, pathlib, sysconfig
for path in pathlib.Path(sysconfig.get_path("stdlib"), "lib-dynload").iterdir():
    importlib.import_module(path.name.partition(".")[0])
print("all of them")
"""

each_target = pytest.mark.parametrize("target", images.TARGETS)


def files(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()]


@pytest.mark.parametrize("name", ["bin/sh", "x/pip/_vendor/a.py", "x/pip-25.1.dist-info/WHEEL", "x/test/a.py"])
def test_what_is_unwanted_would_be_seen(name: str) -> None:
    assert UNWANTED.search(name)


@each_target
def test_it_holds_python_and_memguard_and_nothing_else(roots: dict[str, Path], target: str) -> None:
    found = files(roots[target])
    programs = {name.rpartition("/")[2] for name in found if re.search(r"(^|/)s?bin/", name)}
    assert {re.sub(r"python3\.\d+", "python3", name) for name in programs} == {"python3", "memguard"}
    notes = re.compile(r"^(var/lib/dpkg/status\.d|usr/share/doc)/")
    assert not [name for name in found if UNWANTED.search(name) and not notes.search(name)]
    documents = [name for name in found if name.startswith(("usr/share/", "usr/include/", "var/", "home/", "root/"))]
    assert not [name for name in documents if not re.search(r"^usr/share/doc/[^/]+/copyright$|/status\.d/", name)]


@each_target
def test_a_scanner_finds_what_it_looks_for(roots: dict[str, Path], target: str) -> None:
    notes = list((roots[target] / "var/lib/dpkg/status.d").iterdir())
    noted = {path.name: path.read_text() for path in notes if path.suffix != ".md5sums"}
    assert {path.stem for path in notes if path.suffix == ".md5sums"} >= {"libc6", "libssl3t64"}
    assert {"libc6", "libssl3t64", "libpython3.13-stdlib"} <= noted.keys()
    assert not [
        name for name, status in noted.items() if f"Package: {name}\n" not in status or "\nVersion: " not in status
    ]
    assert (roots[target] / "etc/os-release").read_text()


@each_target
def test_all_bytecode_is_there_and_never_made_anew(roots: dict[str, Path], target: str) -> None:
    sources = list(roots[target].rglob("*.py"))
    assert len(sources) > 400
    for source in sources:
        compiled = list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc"))
        assert len(compiled) == 1, source
        flags = compiled[0].read_bytes()[len(MAGIC_NUMBER) :][:4]
        assert int.from_bytes(flags, "little") == 0b01, f"{source}: by hash, and unchecked"


@each_target
def test_it_runs_as_nobody_who_may_write_nothing(roots: dict[str, Path], target: str) -> None:
    done = chroot.ran(roots[target], "/opt/memguard/bin/memguard", "--version")
    assert (done.returncode, done.stdout) == (0, f"memguard {memguard.__version__}\n")
    assert chroot.printed(roots[target], WRITABLE) == "[]\n"


@each_target
def test_everything_of_ours_can_be_imported(roots: dict[str, Path], target: str) -> None:
    assert chroot.printed(roots[target], IMPORT_ALL.format(names=PACKAGES[target])) == "all of them\n"


def test_every_extension_of_the_standard_library_has_its_libraries(roots: dict[str, Path]) -> None:
    assert chroot.printed(roots["node"], IMPORT_EXTENSIONS) == "all of them\n"


def test_words_of_any_language_can_be_said(roots: dict[str, Path]) -> None:
    """Without a locale and without a variable."""
    assert chroot.printed(roots["node"], "print('h\\u00e9')") == "hé\n"


def test_the_guard_is_as_small_as_promised(roots: dict[str, Path]) -> None:
    resident = chroot.resident_mib(roots["node"], "import memguard.guard.life")
    assert 8.0 < resident < GUARD_MIB


@each_target
def test_it_says_how_it_is_run(archives: dict[str, Path], target: str) -> None:
    found = archive.configuration(archives[target])
    assert (found["User"], found["Entrypoint"], found["Cmd"]) == ("64123:64123", ["memguard"], ["--version"])
    assert set(found["Env"]) == {"PATH=/opt/memguard/bin", "MALLOC_ARENA_MAX=1"}  # type: ignore[call-overload]
    labels = dict(found["Labels"])  # type: ignore[call-overload]
    assert labels["org.opencontainers.image.title"] == f"memguard-{target}"
    assert labels["org.opencontainers.image.version"] == memguard.__version__


@each_target
def test_a_change_of_code_is_a_small_layer(archives: dict[str, Path], tmp_path: Path, target: str) -> None:
    found = archive.layers(archives[target])
    assert len(found) == 3
    assert found[-1].compressed_bytes < 2 * MIB
    assert sum(layer.compressed_bytes for layer in found) < LARGEST_MIB[target] * MIB
    code = files(archive.unpack(archives[target], tmp_path, lowest=2))
    assert {name.split("/")[2] for name in code} == {"LICENSE", "bin", "lib"}
    assert {name.split("/")[3] for name in code if name.startswith("opt/memguard/lib/")} == {"memguard"}


def test_both_have_the_same_python_and_the_same_code(archives: dict[str, Path]) -> None:
    """So a node that has one has most of the other; and the same inputs make the same bytes."""
    node, operator = (archive.digests(archives[target]) for target in images.TARGETS)
    assert (node[0], node[2]) == (operator[0], operator[2])


#: e_machine (elf.h)
@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_locked_wheels_are_there_for_both_machines(tmp_path: Path, machine: str, number: int) -> None:
    from zipfile import ZipFile

    found = {path.name.partition("-")[0]: path for path in images.wheels(machine).glob("*.whl")}
    texts = "".join(path.read_text() for path, _ in images.requirements())
    wanted = {name.replace("-", "_") for name in re.findall(r"^([\w-]+)==", texts, re.MULTILINE)}
    assert {name.lower() for name in found} == wanted
    machines = set()
    for path in found.values():
        with ZipFile(path) as wheel:
            machines |= {
                int.from_bytes(wheel.read(name)[18:20], "little") for name in wheel.namelist() if ".so" in name
            }
    assert machines == {number}


def test_nothing_is_made_for_one_machine_only() -> None:
    recipes = [ROOT / "Dockerfile", *(ROOT / "deploy" / "image").iterdir()]
    names = re.compile(r"amd64|x86[-_]64|aarch64|arm64|linux-gnu")
    assert not [path.name for path in recipes if path.is_file() and names.search(path.read_text())]


def test_what_pip_installs_is_what_the_lock_says() -> None:
    """`make generate` writes them anew."""
    assert not [path.name for path, text in images.requirements() if path.read_text() != text]
    assert all("--hash=sha256:" in path.read_text() for path, _ in images.requirements())


@pytest.mark.parametrize("profile", PROFILES)
def test_the_chart_runs_it_as_it_is_built(profile: str, archives: dict[str, Path]) -> None:
    found = containers(node_pod(profile))
    assert {each["image"] for each in found.values()} == {f"memguard-node:{memguard.__version__}"}
    user = found["agent"]["securityContext"]["runAsUser"]
    assert archive.configuration(archives["node"])["User"] == f"{user}:{user}"
