"""`python -m bench benign`: half an hour of real programs on a tight node; false kills per hour must be none."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bench.kernel import report
from bench.kernel.runs import ROOT, commit, fingerprint
from tests.machine.guest.spec import Command, Job
from tests.machine.image import BENIGN
from tests.machine.machine import Machine

INSIDE = ROOT / "tests" / "kernel" / "inside"
MINUTES, MEMORY_MB, CPUS = 30.0, 1072, 2
#: Beside the time asked for: boot, initdb, and everything starting up on an emulated machine.
START_SECONDS = 900


def benign(argv: list[str]) -> int:
    """Run it. Exit code 1 when anybody died, was restarted, or missed a probe."""
    parser = argparse.ArgumentParser(prog="python -m bench benign", description=benign.__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--memory-mb", type=int, default=MEMORY_MB)
    options = parser.parse_args(argv)
    told = run(options.minutes * 60, options.memory_mb)
    found = list(wrong(told))
    hours = told["seconds"] / 3600
    section = {
        "commit": commit(), "code": fingerprint(), "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "memoryMiB": options.memory_mb, "falseKillsPerHour": round(len(told["decisions"]) / hours, 2), "wrong": found,
        **told,
    }  # fmt: skip
    report.update("benign", section)
    print(json.dumps(section, indent=1))
    return int(bool(found))


def run(seconds: float, memory_mb: int) -> dict[str, Any]:
    """What the machine told. Raises MachineError when it could not do its job."""
    limit = seconds + START_SECONDS
    command = Command(name="benign", script=f"python3 -m inside.benign {seconds}", timeout_seconds=limit)
    machine = Machine(image=BENIGN, extra_files=(("inside", INSIDE),))
    result = machine.run(Job(commands=(command,)), clock="real", cpus=CPUS, memory_mb=memory_mb, timeout_s=limit + 120)
    done = result.commands()[0]
    if done.exit_code:
        raise SystemExit(f"the programs could not be run: {done.stderr[-3000:]}")
    return dict(json.loads(done.stdout))


def wrong(told: dict[str, Any]) -> Iterator[str]:
    """What must not have happened."""
    yield from (f"a decision: {reason}" for reason in told["decisions"])
    yield from (f"{name} ended with {code}" for name, code in told["ended"].items())
    yield from (f"{name} missed a probe" for name in told["missed"])
    if told["kernelOomKills"]:
        yield f"the kernel killed {told['kernelOomKills']} processes"
    if told["exit"] != 0 or told["noise"]:
        yield f"the guard ended with {told['exit']}: {told['noise']}"
