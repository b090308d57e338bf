"""scan.c, compiled once for each of its texts: the measure of what a pass over many cgroups must cost at least."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from bench.kernel.runs import FOLDER

SOURCE = Path(__file__).with_name("scan.c")


def scan_program() -> Path:
    """The static program. Raises CalledProcessError when gcc refuses."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = FOLDER / f"scan-{digest}"
    if not program.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        flags = ("-O2", "-static", "-Wall", "-Wextra", "-Werror")
        subprocess.run(("gcc", *flags, "-o", str(program), str(SOURCE)), check=True)
    return program
