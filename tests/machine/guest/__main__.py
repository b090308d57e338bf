"""`python3 -m guest JOB.json --result FILE`: runs the job and appends one JSON line per finished piece to FILE."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import cgroups, node
from .cell import Site, run_cell
from .result import CommandResult
from .spec import Command, job_from

CGROUP = Path("/sys/fs/cgroup")


class Results:
    """JSON lines on a raw disk or a file, each one durable before the next piece begins."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    def write(self, kind: str, **content: Any) -> None:
        """Appends one record."""
        data = (json.dumps({"kind": kind, **content}) + "\n").encode()
        while data:
            data = data[os.write(self._fd, data) :]
        os.fsync(self._fd)


def main() -> None:
    """Runs all pieces; an error in one is a record and does not end the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--scratch", action="store_true", help="this machine is somebody's: stay below one slice")
    options = parser.parse_args()
    share = Path.cwd()
    site = make_site(share, scratch=options.scratch)
    results = Results(options.result)
    results.write("boot", **facts())
    job = job_from(json.loads(options.job.read_text()))
    for command in job.commands:
        guarded(results, "command", command.name, lambda command=command: run_command(command, site))
    for cell in job.cells:
        guarded(results, "cell", cell.name, lambda cell=cell: run_cell(cell, site))
    results.write("end", uptime_seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


def make_site(share: Path, *, scratch: bool) -> Site:
    """Where things are; prepares the source of streaming reads."""
    run = Path("/run/memguard-test")
    run.mkdir(exist_ok=True)
    # On a tmpfs the loads' own code is never evicted: a page of it that came back from the emulated disk would be
    # measured as a stall of the load, in real time even where all other time is virtual.
    loads = Path(shutil.copy(share / "loads", run / "loads"))
    if scratch:
        return Site(CGROUP / "memguard-test.slice", run, loads, node.sparse_file(run), scratch=True)
    return Site(CGROUP, run, loads, node.prepare(run), scratch=False)


def facts() -> dict[str, Any]:
    """What the host may want to know about this machine."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "memory": {key: node.meminfo()[key] for key in ("MemTotal", "MemFree", "MemAvailable")},
        "uptime_seconds": time.clock_gettime(time.CLOCK_BOOTTIME),
    }


def guarded(results: Results, kind: str, name: str, run: Any) -> None:
    """One piece: its record, or its traceback."""
    try:
        results.write(kind, name=name, result=asdict(run()))
    except Exception:  # whatever went wrong here must not lose the other cells
        results.write("error", name=name, error=traceback.format_exc())


def run_command(command: Command, site: Site) -> CommandResult:
    """One shell command with its output."""
    cgroups.make(site.root, "kubepods.slice/kubepods-burstable.slice")
    cgroups.enable(site.root / "kubepods.slice/kubepods-burstable.slice", cgroups.CONTROLLERS)
    environment = {
        **os.environ,
        "MG_CGROUP": str(site.root),
        "MG_KUBEPODS": str(site.root / "kubepods.slice"),
        "MG_RUN": str(site.run),
        "MG_LOADS": str(site.loads),
    }
    began = time.monotonic()
    try:
        done = subprocess.run(
            ("sh", "-c", command.script), env=environment, capture_output=True, timeout=command.timeout_seconds,
            check=False,
        )  # fmt: skip
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, out, err = None, late.stdout or b"", late.stderr or b""
    return CommandResult(
        name=command.name,
        exit_code=code,
        stdout=out.decode(errors="replace"),
        stderr=err.decode(errors="replace"),
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
