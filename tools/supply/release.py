"""All that a release hands out, in build/release: `python -m tools.supply release [URL]`.

The same commit makes the same bytes, wherever and whenever it is built; SHA256SUMS has the sum of each file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from e2e import archive, images
from e2e.helm import CHART, helm
from e2e.lab.errors import LabError
from tools import plugin
from tools.plugin import EPOCH, ROOT, uv
from tools.supply import bill

from memguard import __version__

RELEASE = ROOT / "build" / "release"
SUMS = "SHA256SUMS"
#: The extras that the wheel offers.
EXTRAS = ("agent", "cli", "kubectl", "operator")


def release(out: Path, url: str | None = None) -> None:
    """All of it into the directory, which is emptied before. `url`: where it will be served, for krew's manifest.

    Raises LabError where images cannot be built here, CalledProcessError, and what bills raise.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    at = moment()
    wheel, _ = python(out)
    chart(out)
    programs = list(plugin.release(out, url))
    _write(out, "memguard", bill.of_file(wheel, "memguard", EXTRAS, at))
    for program in programs:
        _write(out, program.name.partition(".")[0], bill.of_file(program, plugin.NAME, ("kubectl",), at))
    for target, text in image_bills(at):
        _write(out, f"memguard-{target}", text)
    (out / SUMS).write_text(sums(out))


def moment() -> datetime:
    """SOURCE_DATE_EPOCH, or the commit's time."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        command = ("git", "log", "-1", "--format=%ct")
        seconds = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return datetime.fromtimestamp(int(seconds), UTC)


def python(out: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution."""
    locked = ("--quiet", "--no-build-isolation", "--python", sys.executable)
    uv("build", "--wheel", "--sdist", *locked, "--out-dir", str(out))
    (out / ".gitignore").unlink(missing_ok=True)  # uv's own
    return out / f"memguard-{__version__}-py3-none-any.whl", out / f"memguard-{__version__}.tar.gz"


def chart(out: Path) -> Path:
    """The chart's package, as Helm makes it but for the times and the order of the files. Raises LabError."""
    with tempfile.TemporaryDirectory() as directory:
        ran = helm("package", str(CHART), "--destination", directory)
        if ran.returncode:
            raise LabError(f"helm package failed: {ran.stderr.strip()}")
        (made,) = Path(directory).iterdir()
        return repacked(made, out / made.name)


def repacked(packed: Path, into: Path) -> Path:
    """The same files in the order of their names, all of the same time and of nobody."""
    with (
        tarfile.open(packed) as old,
        into.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=int(EPOCH)) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member)
            new.addfile(plugin.plain(member), io.BytesIO(content.read()) if content else None)
    return into


def image_bills(at: datetime) -> Iterator[tuple[str, str]]:
    """The bill of each image as it is built from this checkout."""
    for target, file in images.build_images().items():
        known = bill.debian_sums(file.with_name(images.PACKAGES).read_text())
        with tempfile.TemporaryDirectory() as directory:
            yield target, bill.of_image(target, file, archive.unpack(file, Path(directory, target)), known, at)


def sums(directory: Path) -> str:
    """What `sha256sum --check` reads."""
    found = ((path.name, path.read_bytes()) for path in sorted(directory.iterdir()) if path.name != SUMS)
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in found)


def _write(out: Path, name: str, text: str) -> None:
    (out / f"{name}.cdx.json").write_text(text)
