"""Boots the node image, runs one job in it and brings the records back.

    from tests.machine.machine import Machine
    from tests.machine.guest.spec import Cell, Command, Guard, Job

    machine = Machine()                                        # builds what is missing, probes KVM once
    result = machine.run(
        Job(cells=(Cell(name="none"), Cell(name="earlyoom", guard=Guard(kind="earlyoom")))),
        clock="virtual", memory_mb=1024, timeout_s=600,
    )
    result.cell("none").kernel_oom_kills                       # guest/result.py: CellResult

One boot runs any number of cells (guest/spec.py says what a cell is) and shell commands. `clock`:

- "virtual": one CPU whose clock counts instructions (`-icount shift=0,sleep=off`, 1 instruction = 1 ns; idle time is
  skipped). Latency, overshoot and stall figures don't depend on the host's load. A busy virtual second takes about
  2.5 real ones.
- "real": KVM where it works (it is tried by booting), else TCG with `cpus` CPUs: counts and peaks only.

Shell use: `python -m tests.machine JOB.json [--clock virtual] [--memory-mb 1024] [--cpus 2]` prints JSON lines.

With MEMGUARD_BACKEND=host the same job runs without a machine, on a scratch slice of this host's cgroup v2 tree; cells
that need the whole node (domains node and system, swap) are then refused one by one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from tests.machine.guest.result import CellResult, CommandResult
from tests.machine.guest.spec import Job
from tests.machine.host import run_on_host
from tests.machine.image import NODE, ImageSpec, MachineError, ensure
from tests.machine.qemu import Clock, Record, Run, boot, kvm_works, qemu_command
from tests.machine.share import make_disk, make_share

#: A kernel that dies before the job begins is booted again: under TCG with several CPUs a boot now and then trips over
#: the kernel's own text patching ("Oops: int3"), and nothing of ours has run by then.
BOOTS = 3


@dataclass(frozen=True)
class Result:
    """What one run brought back. Times are real seconds of the host."""

    run: Run
    accelerator: str  # "kvm", "tcg" or "host"

    @property
    def records(self) -> tuple[Record, ...]:
        """Everything the guest wrote, as JSON objects with a `kind`."""
        return self.run.records

    @property
    def console(self) -> str:
        """QEMU's and the kernel's messages."""
        return self.run.console

    @property
    def wall_seconds(self) -> float:
        """From QEMU's start to its end."""
        return self.run.wall_seconds

    @property
    def boot(self) -> Record:
        """The machine when the job began: kernel, python, cpus, memory, uptime_seconds (of the guest's clock)."""
        return self._of("boot")[0]

    def cells(self) -> tuple[CellResult, ...]:
        """Results of the cells that ran, in order."""
        return tuple(msgspec.convert(record["result"], CellResult) for record in self._of("cell"))

    def cell(self, name: str) -> CellResult:
        """Result of one cell; a cell that failed to run raises MachineError with the guest's traceback."""
        for result in self.cells():
            if result.name == name:
                return result
        failed = [record["error"] for record in self._of("error") if record.get("name") == name]
        raise MachineError(f"cell {name}: {failed[0] if failed else 'never ran'}")

    def commands(self) -> tuple[CommandResult, ...]:
        """Results of the job's commands, in order."""
        return tuple(msgspec.convert(record["result"], CommandResult) for record in self._of("command"))

    def errors(self) -> tuple[str, ...]:
        """Tracebacks of cells and commands that could not be run."""
        return tuple(f"{record.get('name')}: {record['error']}" for record in self._of("error"))

    def _of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["kind"] == kind]


class RunError(MachineError):
    """The machine panicked, hung or died: carries the console's tail and whatever was brought back."""

    def __init__(self, problem: str, result: Result) -> None:
        tail = "\n".join(result.console.splitlines()[-80:])  # a panic alone takes 50
        names = [record.get("name") for record in result.records if record["kind"] in {"cell", "command", "error"}]
        super().__init__(f"{problem}. Done before: {names}. End of the console:\n{tail}")
        self.result = result


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine of one image; `run` may be called from several threads or processes at once."""

    image: ImageSpec = NODE
    packages: tuple[str, ...] = ("msgspec",)  # wheels that the guest's Python gets, in the locked version
    extra_files: tuple[tuple[str, Path], ...] = ()  # (name below /share, file or directory)

    def run(
        self,
        job: Job | dict[str, Any] | Path,
        *,
        clock: Clock = "real",
        memory_mb: int = 1024,
        cpus: int = 2,
        timeout_s: float = 600,
        kernel_args: str = "",
        on_record: Callable[[Record], None] | None = None,
    ) -> Result:
        """Runs the job and returns its records; raises RunError on a panic or after `timeout_s` real seconds.

        `on_record` sees each record as soon as it is there. `cpus` counts for the real clock only.
        """
        encoded = encode_job(job)
        with tempfile.TemporaryDirectory(prefix="memguard-machine-") as name:
            directory = Path(name)
            if os.environ.get("MEMGUARD_BACKEND") == "host":
                return _checked(Result(run_on_host(encoded, directory, timeout_s), "host"), timeout_s)
            image = ensure(self.image)
            make_share(encoded, directory / "share", self.packages, self.extra_files)
            make_disk(directory / "share", directory / "share.img")
            accelerator = "kvm" if clock == "real" and kvm_works(image) else "tcg"
            command = qemu_command(
                image, directory, clock=clock, accelerator=accelerator, memory_mb=memory_mb, cpus=cpus,
                kernel_args=kernel_args,
            )  # fmt: skip
            for _ in range(BOOTS):
                run = boot(command, directory, timeout_s, on_record)
                if run.records or run.timed_out:
                    break
            return _checked(Result(run, accelerator), timeout_s)


def _checked(result: Result, timeout_s: float) -> Result:
    if result.run.timed_out:
        raise RunError(f"the machine was still running after {timeout_s:.0f} s", result)
    if not result.records or result.records[-1]["kind"] != "end":
        raise RunError("the machine stopped before the job's end (panic?)", result)
    return result


def encode_job(job: Job | dict[str, Any] | Path) -> bytes:
    """The job as the guest reads it; a dict or a file is checked against Job first."""
    if isinstance(job, Path):
        job = json.loads(job.read_text())
    checked = job if isinstance(job, Job) else msgspec.convert(job, Job, strict=True)
    return json.dumps(asdict(checked)).encode()
