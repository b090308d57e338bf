"""`python -m bench benign`: half an hour of real programs on a tight node, and a minute of page-cache churn.

Nobody may die: false kills per hour must be none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from bench.kernel import report
from bench.kernel.cells import churning
from bench.kernel.guards import memguard
from bench.kernel.journal import read_journal
from bench.kernel.runs import ROOT, commit, fingerprint, minute
from bench.kernel.verdict import clean_guard, survived
from tests.machine.guest.spec import Command, Guard, Job
from tests.machine.image import BENIGN
from tests.machine.machine import Machine

INSIDE = ROOT / "tests" / "kernel" / "inside"
MINUTES, MEMORY_MB, CPUS = 30.0, 1072, 2
#: Beside the time asked for: boot, initdb, and everything starting up on an emulated machine.
START_SECONDS = 900
CHURN_SECONDS, COMPARED_SECONDS = 60.0, 20.0
SLOWER_AT_MOST = 0.1


def benign(argv: list[str]) -> int:
    """Run it. Exit code 1 when anybody died, was restarted, or missed a probe."""
    parser = argparse.ArgumentParser(prog="python -m bench benign", description=benign.__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--memory-mb", type=int, default=MEMORY_MB)
    options = parser.parse_args(argv)
    told = {**run(options.minutes * 60, options.memory_mb), **churn()}
    found = list(wrong(told))
    hours = told["seconds"] / 3600
    section = {
        "commit": commit(), "code": fingerprint(), "at": minute(),
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


def churn() -> dict[str, Any]:
    """A minute of it beside a shorter one without a guard, in one boot."""
    cells = (churning("none", Guard(), COMPARED_SECONDS), churning("memguard", memguard(), CHURN_SECONDS))
    result = Machine().run(Job(cells=cells), clock="virtual", timeout_s=1800)
    without, guarded = result.cell("none"), result.cell("memguard")
    ratio = (guarded.churn_mib_s or 0.0) / (without.churn_mib_s or 1.0)
    alarms = [*survived(guarded), *clean_guard(guarded, read_journal(guarded.guard.log))]
    return {"churnSeconds": CHURN_SECONDS, "churnRatio": round(ratio, 3), "churnAlarms": alarms}


def wrong(told: dict[str, Any]) -> Iterator[str]:
    """What must not have happened."""
    yield from (f"a decision: {reason}" for reason in told["decisions"])
    yield from (f"{name} ended with {code}" for name, code in told["ended"].items())
    yield from (f"{name} missed a probe" for name in told["missed"])
    yield from (f"churn: {alarm}" for alarm in told["churnAlarms"])
    if told["churnRatio"] < 1 - SLOWER_AT_MOST:
        yield f"churn came to {told['churnRatio']} of its speed"
    if told["kernelOomKills"]:
        yield f"the kernel killed {told['kernelOomKills']} processes"
    if told["exit"] != 0 or told["noise"]:
        yield f"the guard ended with {told['exit']}: {told['noise']}"
