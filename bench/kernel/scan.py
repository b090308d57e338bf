"""scan.c, compiled once for each of its texts: the measure of what a pass over many cgroups must cost at least."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from bench.kernel.runs import FOLDER

SOURCE = Path(__file__).with_name("scan.c")


def scan_program() -> Path:
    """The static program. Raises CalledProcessError when gcc refuses."""
    return compiled(SOURCE, "-static")


def compiled(source: Path, *flags: str) -> Path:
    """What gcc makes of a file of C. Raises CalledProcessError when it refuses."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    target = FOLDER / f"{source.stem}-{digest}"
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        warnings = ("-Wall", "-Wextra", "-Werror")
        subprocess.run(("gcc", "-O2", *warnings, *flags, "-o", str(target), str(source)), check=True)
    return target
