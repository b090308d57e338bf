"""The share: a small disk with everything that the guest needs beyond its image, made anew for each run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.machine.image import CACHE, REPOSITORY, MachineError, check_prerequisites, locked

HERE = Path(__file__).parent
PACKAGE = REPOSITORY / "operator" / "memguard"
GUEST_PYTHON = "3.13"
MIB = 1 << 20

BOOT_SCRIPT = """\
export PYTHONPATH=/share/python
for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = result ] && result=/dev/${disk##*/}; done
python3 -m guest job.json --result $result
"""


def make_share(job: bytes, share: Path, packages: Iterable[str], extra_files: Iterable[tuple[str, Path]]) -> None:
    """Lays out what the guest mounts as /share: packages, runner, loads and the job."""
    python = share / "python"
    python.mkdir(parents=True)
    if pins := tuple(packages):
        shutil.copytree(_wheels(pins), python, dirs_exist_ok=True)
    shutil.copytree(PACKAGE, python / "memguard", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "guest", share / "guest", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(loads(), share / "loads")
    (share / "job.json").write_bytes(job)
    (share / "boot.sh").write_text(BOOT_SCRIPT)
    for name, source in extra_files:
        (shutil.copytree if source.is_dir() else shutil.copy)(source, share / name)


def loads() -> Path:
    """The compiled loads.c, cached by its text."""
    source = HERE / "loads.c"
    directory = CACHE / f"loads-{_digest(source.read_bytes())}"
    if not (directory / "loads").exists():
        check_prerequisites()
        flags = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")
        _into_cache(directory, lambda out: _checked("gcc", *flags, "-o", str(out / "loads"), str(source)))
    return directory / "loads"


def _wheels(names: Iterable[str]) -> Path:
    """Unpacked wheels of the guest's Python version, in the versions of uv.lock."""
    versions = {package["name"]: package["version"] for package in tomllib.loads(_lock_text())["package"]
              if "version" in package}  # fmt: skip
    pins = sorted(f"{name}=={versions[name]}" for name in names)
    directory = CACHE / f"wheels-{_digest(repr((pins, GUEST_PYTHON)).encode())}"
    target = ("--python-version", GUEST_PYTHON, "--python-platform", "x86_64-manylinux_2_28")
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", *target)
    uv = os.environ.get("UV", "uv")  # `uv run` names itself there
    if not directory.exists():
        _into_cache(directory, lambda out: _checked(uv, "pip", "install", *options, "--target", str(out), *pins))
    return directory


def _lock_text() -> str:
    return (REPOSITORY / "uv.lock").read_text()


def _into_cache(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fills `directory` atomically, once, whoever else wants it at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / f"{directory.name}.lock"):
        if directory.exists():
            return
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as scratch:
            out = Path(scratch, "out")
            out.mkdir()
            fill(out)
            out.rename(directory)


def make_disk(directory: Path, image: Path) -> None:
    """An ext4 image of the directory, with some room."""
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    megabytes = 32 + 2 * size // MIB
    _checked(
        "mke2fs", "-F", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(directory), str(image), f"{megabytes}M"
    )


def _checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{' '.join(command[:3])} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
