"""`python -m tests.machine JOB.json`: runs a job and prints its records as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.machine.image import MachineError
from tests.machine.machine import Machine


def main() -> int:
    """Exit code 1 when the machine failed or a cell could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine")
    parser.add_argument("job", type=Path)
    parser.add_argument("--clock", choices=("real", "virtual"), default="real")
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--timeout-s", type=float, default=600)
    options = parser.parse_args()
    try:
        result = Machine().run(
            options.job, clock=options.clock, memory_mb=options.memory_mb, cpus=options.cpus,
            timeout_s=options.timeout_s, on_record=lambda record: print(json.dumps(record), flush=True),
        )  # fmt: skip
    except MachineError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if result.errors() else 0


if __name__ == "__main__":
    sys.exit(main())
