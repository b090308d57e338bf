"""What is built once and kept: a directory that is there is whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from e2e.lab.errors import LabError
from tests.machine.image import REPOSITORY, locked

CACHE = REPOSITORY / ".cache"


def digest(*inputs: str | bytes) -> str:
    """Name of what is built from these inputs."""
    parts = (part.encode() if isinstance(part, str) else part for part in inputs)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def built(directory: Path, build: Callable[[Path], None]) -> Path:
    """`directory`, filled by `build` where it is not there yet: atomically and once, whoever else asks for it."""
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with locked(directory.parent / f"{directory.name}.lock"):
            if not directory.exists():
                _build(directory, build)
    return directory


def _build(directory: Path, build: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="building-") as scratch:
        out = Path(scratch, "out")
        out.mkdir()
        build(out)
        out.rename(directory)


def run(
    *command: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """What the program printed; raises LabError with what it complained of. `env` adds to this process's own."""
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(command, input=stdin, env=environment, cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip()[-2000:]
        raise LabError(f"{' '.join(command[:3])} failed ({done.returncode}): {complaint}")
    return done.stdout.decode()
