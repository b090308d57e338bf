"""The images, built from the Dockerfile without a container engine: buildah builds, mmdebstrap makes the base.

`python -m e2e.images` builds both and tells their sizes. Archives are cached as
`.cache/images/<hash of all inputs>/memguard-<target>.tar` below the repository's root, in the form that `docker load`,
`kind load image-archive` and `ctr images import` take. Needs root.

The same inputs make the same bytes: every time in them is SOURCE_DATE_EPOCH, or 0. Of the inputs the base alone is of
its day: Debian's archive has only the newest versions. What it took, with the hash of each package, is kept beside it.

Measured on 2 cores: the base 57 s once, then both images 25 s, after a change of code 7 s.
"""

from __future__ import annotations

import functools
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from e2e import archive
from e2e.lab.cache import CACHE, built, digest, run
from e2e.lab.errors import LabError
from tests.machine.image import REPOSITORY, locked

TARGETS = ("node", "operator")
IMAGES = CACHE / "images"
RECIPES = REPOSITORY / "deploy" / "image"
#: What the Dockerfile copies (.dockerignore), and the two files that say how.
INPUTS = ("Dockerfile", ".dockerignore", "LICENSE", "deploy/image", "operator/memguard")

SUITE = "trixie"
PYTHON = "3.13"  # the suite's
BASE_PACKAGES = ("python3", "python3-pip")
EXCLUDED = ("/usr/share/man/*/*", "/usr/share/locale/*", "/usr/share/info/*")
#: What apt says of each package of the base, its SHA256 among it; $1 is the base's root (mmdebstrap(1), HOOKS).
RECORD = """chroot "$1" dpkg-query --show --showformat='${Package}=${Version}\\n' |
xargs chroot "$1" apt-cache show --no-all-versions"""
#: Where it stands: beside the base, and beside each archive that was built on it.
PACKAGES = "packages"
#: Program -> Debian package.
PREREQUISITES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
MIB = 1 << 20
#: So many archives of a target are kept (45 MiB each), and so many layers of builds (some ten a build).
KEPT_ARCHIVES, KEPT_LAYERS = 6, 200


def build_images(targets: Sequence[str] = TARGETS) -> dict[str, Path]:
    """The archive of each target, built where one is missing. Raises LabError."""
    return {
        target: built(IMAGES / _key(target), functools.partial(_build, target)) / _name(target) for target in targets
    }


def build_anew(target: str, directory: Path) -> Path:
    """The archive, built below `directory` from the base and the wheels, and nothing else that was kept. Raises
    LabError."""
    _build(target, directory, store=directory)
    return directory / _name(target)


def base() -> Path:
    """A directory with what the images are built on: base.tar, and PACKAGES."""
    return built(IMAGES / f"base-{digest(*_base_inputs())}", make_base)


def make_base(out: Path) -> None:
    """The base of this day, into `out`. Raises LabError."""
    excluded = (f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED)
    included = f"--include={','.join(BASE_PACKAGES)}"
    recorded = f"--customize-hook={RECORD} >{shlex.quote(str(out / PACKAGES))}"
    options = ("--quiet", "--variant=minbase", included, *excluded, recorded)
    run("mmdebstrap", *options, SUITE, str(out / "base.tar"), env={"SOURCE_DATE_EPOCH": _epoch()})


def reference(target: str) -> str:
    """What the image is called in its archive, and after an import: another name for other contents, so that a cluster
    that was left running takes the new one."""
    return f"localhost/memguard-{target}:{_key(target)}"


def wheels(machine: str = platform.machine()) -> Path:
    """A directory with the locked wheels of both targets, for a machine; fetched as this environment's pip does it."""
    wanted = [RECIPES / f"{target}.txt" for target in TARGETS]
    key = digest(PYTHON, machine, *(path.read_bytes() for path in wanted))
    return built(IMAGES / f"wheels-{key}", functools.partial(_fetch, wanted, machine))


def requirements() -> Iterator[tuple[Path, str]]:
    """The files that pip installs from, with what uv.lock says they should hold."""
    for target, extras in {"node": ("--extra", "agent"), "operator": ("--extra", "operator")}.items():
        plain = ("--no-header", "--no-annotate", "--no-dev", "--no-emit-project")
        yield RECIPES / f"{target}.txt", run(_uv(), "export", "--frozen", "--quiet", *plain, *extras, cwd=REPOSITORY)


def _name(target: str) -> str:
    return f"memguard-{target}.tar"


def _key(target: str) -> str:
    paths = (path for name in INPUTS for path in _files(REPOSITORY / name))
    contents = (part for path in paths for part in (str(path.relative_to(REPOSITORY)), path.read_bytes()))
    return digest(target, _epoch(), *_base_inputs(), *contents)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _base_inputs() -> tuple[str, ...]:
    return (SUITE, *BASE_PACKAGES, *EXCLUDED, RECORD)


def _epoch() -> str:
    """Every time in the image: the same inputs make the same bytes."""
    return os.environ.get("SOURCE_DATE_EPOCH", "0")


def _build(target: str, out: Path, store: Path = IMAGES) -> None:
    _check_prerequisites()
    found, tag = wheels(), reference(target)
    with locked(store / "storage.lock"):
        buildah = _Buildah.at(store)
        arguments = {"BASE": _import_base(buildah), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheelhouse"}
        options = (word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}"))
        # The wheels are there and nothing else is fetched: no network.
        confined = ("--network", "none", "--volume", f"{found}:/wheelhouse:ro")
        dated = ("--timestamp", _epoch())
        buildah.run("bud", buildah.layers, *dated, "--target", target, *confined, *options, "--tag", tag, ".")
        shutil.copy(base() / PACKAGES, out / PACKAGES)
        buildah.run("push", "--quiet", tag, f"docker-archive:{out / _name(target)}:{tag}")
        _forget(target, buildah)


def _check_prerequisites() -> None:
    missing = sorted(package for program, package in PREREQUISITES.items() if not shutil.which(program))
    if missing:
        raise LabError(f"Building images needs these packages: apt-get install -y {' '.join(missing)}")
    if os.geteuid() != 0:
        raise LabError("Building images needs root: run `python -m e2e.images` as root once, the cache stays.")


def _forget(target: str, buildah: _Buildah) -> None:
    """What was built of older code, which nobody asks for again."""
    archives = sorted(IMAGES.glob(f"*/{_name(target)}"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-KEPT_ARCHIVES]:
        shutil.rmtree(old.parent)
    if len(buildah.run("images", "--all", "--quiet").split()) > KEPT_LAYERS:
        buildah.run("rmi", "--all", "--force")


class _Buildah(NamedTuple):
    """buildah with a storage of our own."""

    store: Path
    driver: str

    @classmethod
    def at(cls, store: Path) -> _Buildah:
        """Layers as the kernel stacks them; copies where it does not (inside of most containers)."""
        try:
            cls(store, "overlay").run("info")
        except LabError:
            return cls(store, "vfs")
        return cls(store, "overlay")

    @property
    def layers(self) -> str:
        """Kept for the next build where they are cheap: with vfs each is a copy of everything, a second or two."""
        return f"--layers={'true' if self.driver == 'overlay' else 'false'}"

    def run(self, *arguments: str) -> str:
        """What it printed."""
        storage = (
            "--storage-driver",
            self.driver,
            "--root",
            str(self.store / "storage"),
            "--runroot",
            str(self.store / "run"),
        )
        return run("buildah", *storage, *arguments, cwd=REPOSITORY, env={"BUILDAH_ISOLATION": "chroot"})


def _import_base(buildah: _Buildah) -> str:
    """The base's name in buildah's storage."""
    tar = base() / "base.tar"
    name = f"localhost/{tar.parent.name}:latest"
    if name not in buildah.run("images", "--format", "{{.Name}}:{{.Tag}}").split():
        container = buildah.run("from", "scratch").strip()
        buildah.run("add", "--quiet", container, str(tar), "/")
        buildah.run("commit", "--quiet", "--timestamp", "0", "--rm", container, name)
    return name


def _fetch(wanted: Sequence[Path], machine: str, out: Path) -> None:
    # glibc 2.28: every distribution with cgroup v2 by default has that or a newer one.
    platform = ("--python-version", PYTHON, "--platform", f"manylinux_2_28_{machine}", "--only-binary", ":all:")
    for path in wanted:
        options = ("--quiet", "--no-deps", "--require-hashes", "--dest", str(out), "--requirement", str(path))
        run(sys.executable, "-m", "pip", "download", *platform, *options)


def _uv() -> str:
    return os.environ.get("UV") or shutil.which("uv") or str(CACHE / "uv" / "bin" / "uv")


def main() -> None:
    """Build both and tell their sizes."""
    for target, file in build_images().items():
        sys.stdout.write(f"{reference(target)}  {file.relative_to(REPOSITORY)}\n")
        for layer in archive.layers(file):
            sizes = (layer.size_bytes / MIB, layer.compressed_bytes / MIB)
            sys.stdout.write("  {:6.2f} MiB, compressed {:6.2f} MiB\n".format(*sizes))


if __name__ == "__main__":
    main()
