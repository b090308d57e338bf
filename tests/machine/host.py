"""The other backend: the same guest on this host's own kernel, confined to a scratch slice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.machine.image import REPOSITORY, MachineError
from tests.machine.qemu import RecordReader, Run
from tests.machine.share import make_share


def check_host(cgroup: Path = Path("/sys/fs/cgroup")) -> None:
    """Raises MachineError unless this host can run cells itself: root, and cgroup v2 with the memory controller."""
    controllers = cgroup / "cgroup.controllers"
    if os.geteuid() != 0:
        raise MachineError("MEMGUARD_BACKEND=host needs root; unset it to use the virtual machine.")
    if not controllers.exists():
        raise MachineError(f"MEMGUARD_BACKEND=host needs cgroup v2 at {cgroup}; unset it to use the virtual machine.")
    if "memory" not in controllers.read_text().split():
        raise MachineError(
            f"MEMGUARD_BACKEND=host needs the memory controller in {controllers}; unset it to use the virtual machine."
        )


def run_on_host(job: bytes, directory: Path, timeout_s: float) -> Run:
    """Runs the guest below the scratch slice memguard-test.slice; raises MachineError where that cannot be done."""
    check_host()
    began = time.monotonic()
    share, records = directory / "share", directory / "records"
    make_share(job, share, packages=(), extra_files=())
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator")}
    command = [sys.executable, "-m", "guest", "job.json", "--result", str(records), "--scratch"]
    timed_out, console = False, ""
    try:
        done = subprocess.run(
            command, cwd=share, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        console = done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        timed_out = True
    reader = RecordReader(records)
    if records.exists():
        reader.read()
    return Run(tuple(reader.records), console, time.monotonic() - began, timed_out)
