"""The kubectl plugin as a single file: `make plugin` for this machine; `make release` makes it for all.

A file holds our code and all locked dependencies; it needs a Python (3.11 or newer) and nothing else. Compiled parts
are told apart by their names, so that one file serves several versions of Python; each kind of machine has its own.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from memguard import __version__

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
KREW = ROOT / "deploy" / "krew"
NAME = "kubectl-memguard"
COMPLETION = KREW / "kubectl_complete-memguard"
MANIFEST = KREW / "memguard.yaml"
#: What a release serves.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: Without which a build would not be the same twice: the time that files in it bear.
EPOCH = "315532800"


class Target(NamedTuple):
    """A kind of machine, as krew and as uv call it."""

    os: str
    arch: str
    uv: str

    @property
    def archive(self) -> str:
        """The file's name in a release."""
        return f"{NAME}-{self.os}-{self.arch}.tar.gz"


TARGETS = (
    Target("linux", "amd64", "x86_64-manylinux_2_28"),
    Target("linux", "arm64", "aarch64-manylinux_2_28"),
    Target("darwin", "amd64", "x86_64-apple-darwin"),
    Target("darwin", "arm64", "aarch64-apple-darwin"),
)


def build(output: Path, pythons: Sequence[str], target: Target | None = None) -> Path:
    """The file, for these versions of Python on this kind of machine (None: this one). Raises CalledProcessError."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        site, wheels = Path(directory, "site"), Path(directory, "wheels")
        locked = Path(directory, "locked.txt")
        locked.write_text(uv("export", "--frozen", "--quiet", "--no-dev", "--no-emit-project", "--extra", "kubectl"))
        for version in pythons:
            where = ["--python-platform", target.uv, "--only-binary", ":all:"] if target else []
            _install(site, "--python-version", version, *where, "--require-hashes", "-r", str(locked))
        uv("build", "--wheel", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(wheels))
        # Only unpacked: uv would write down where it lay and when, and no two builds would be the same.
        (wheel,) = wheels.glob("*.whl")
        shutil.unpack_archive(wheel, site, "zip")
        _forget_programs(site)
        _run(
            sys.executable, "-m", "shiv", "--site-packages", str(site), "--console-script", NAME, "--compressed",
            "--reproducible", "--python", "/usr/bin/env python3", "--output-file", str(output),
        )  # fmt: skip
    return output


def release(out: Path, url: str | None = None) -> Iterator[Path]:
    """An archive a kind of machine, into the directory; where it is known at which address they will be served, krew's
    manifest of them stands beside them."""
    sums = {}
    for target in TARGETS:
        with tempfile.TemporaryDirectory() as directory:
            program = build(Path(directory, NAME), PYTHONS, target)
            archive = packed(out / target.archive, program)
        sums[target.archive] = hashlib.sha256(archive.read_bytes()).hexdigest()
        yield archive
    if url is not None:
        (out / MANIFEST.name).write_text(filled(MANIFEST.read_text(), url, sums))


def filled(manifest: str, url: str, sums: dict[str, str]) -> str:
    """The manifest with the addresses and the sums of what was built; SystemExit where one is missing."""
    content = yaml.safe_load(manifest)
    content["spec"]["version"] = f"v{__version__}"
    for one in content["spec"]["platforms"]:
        name = one["uri"].rpartition("/")[2]
        if name not in sums:
            raise SystemExit(f"{MANIFEST}: there is no {name}")
        one["uri"], one["sha256"] = f"{url.rstrip('/')}/{name}", sums[name]
    return yaml.safe_dump(content, sort_keys=False, width=118, allow_unicode=True)


def packed(archive: Path, program: Path) -> Path:
    """With what completes it, and the licence; the same contents make the same archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(archive, "wb", mtime=int(EPOCH)) as zipped, tarfile.open(fileobj=zipped, mode="w") as packed:
        for path in (program, COMPLETION, ROOT / "LICENSE"):
            packed.add(path, path.name, filter=plain)
    return archive


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file of nobody in particular, and of no time."""
    executable = bool(member.mode & stat.S_IXUSR)
    member.mode, member.mtime = 0o755 if executable else 0o644, int(EPOCH)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _install(site: Path, *what: str) -> None:
    uv("pip", "install", "--quiet", "--target", str(site), *what)


def _forget_programs(site: Path) -> None:
    """Scripts name the Python that built them; ours is found by its entry point."""
    shutil.rmtree(site / "bin", ignore_errors=True)


def uv(*arguments: str) -> str:
    """What uv printed, run in this repository. Raises CalledProcessError."""
    program = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    return _run(program, *arguments)


def _run(*command: str) -> str:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout


def main() -> int:
    """Build the file."""
    built = build(DIST / NAME, [f"{sys.version_info.major}.{sys.version_info.minor}"])
    version = platform.python_version()
    sys.stdout.write(
        f"{built.relative_to(ROOT)}: {built.stat().st_size >> 20} MiB, for Python {version} on this machine\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
