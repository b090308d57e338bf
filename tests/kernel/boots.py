"""One machine and what it runs: cells, and scenarios of inside/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.kernel.scan import scan_program
from tests.machine.guest.spec import Cell, Command, Job
from tests.machine.image import NODE, ImageSpec
from tests.machine.machine import Machine, Result
from tests.machine.qemu import Clock, Record

INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What one machine runs. `seconds` is when to give up on a slow host, `scenario_seconds` on the guest's clock."""

    cells: tuple[Cell, ...] = ()
    scenarios: tuple[str, ...] = ()  # modules of inside/, each with its arguments
    scenario_seconds: float = 600
    files: tuple[tuple[str, Path], ...] = ()  # what else the scenarios need, beside them
    clock: Clock = "virtual"
    cpus: int = 4
    memory_mb: int = 1024
    seconds: float = 1800
    image: ImageSpec = NODE
    kernel_args: str = ""

    def run(self, on_record: Callable[[Record], None] | None = None) -> Result:
        """Boot it; `on_record` sees each piece as soon as it is done."""
        commands = tuple(
            Command(name=words, script=f"python3 -m inside.{words}", timeout_seconds=self.scenario_seconds)
            for words in self.scenarios
        )
        machine = Machine(image=self.image, extra_files=(("inside", INSIDE), ("scan", scan_program()), *self.files))
        return machine.run(
            Job(cells=self.cells, commands=commands), clock=self.clock, cpus=self.cpus, memory_mb=self.memory_mb,
            timeout_s=self.seconds, kernel_args=self.kernel_args, on_record=on_record,
        )  # fmt: skip
