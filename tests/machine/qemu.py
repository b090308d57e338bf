"""QEMU: its command line, one run of it, and what the guest wrote meanwhile."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.machine.image import Image

Clock = Literal["real", "virtual"]
Record = dict[str, Any]
MIB = 1 << 20

# Results travel on a raw disk: a serial line costs seconds per megabyte under TCG.
RESULT_DISK = "result.img"
RESULT_BYTES = 256 * MIB

#: TCG executes `rep stosb` a byte at a time, and counts each as an instruction: with ERMS, clearing a page would take
#: 4 us of virtual time where a real CPU takes 0.1-0.2, and memory would be filled at 250 MiB/s instead of 450.
TCG_CPU = "max,-erms,-fsrm"
#: For the same reason a page is cleared by plain stores and not by `rep stosq` (a sixth of a cell's time went there);
#: and the kernel need not test its ciphers at each boot.
TCG_KERNEL_LINE = "clearcpuid=rep_good cryptomgr.notests"

# panic=-1 with QEMU's -no-reboot turns a panic into QEMU's exit. `quiet` keeps the OOM killer's long dump off the
# slow serial line (kernel errors still appear).
KERNEL_LINE = (
    "console=ttyS0 root=/dev/nvme0n1 rw rootwait panic=-1 oops=panic psi=1 quiet systemd.show_status=0 "
    "systemd.unit=memguard.target"
)


def qemu_command(
    image: Image, directory: Path, *, clock: Clock, accelerator: str, memory_mb: int, cpus: int, kernel_args: str = ""
) -> list[str]:
    """QEMU's command line; setpriv lets it die with us, so that a killed test leaves no machine behind."""
    if clock == "virtual":
        processor = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", TCG_CPU, "-smp", "1"]
    elif accelerator == "kvm":
        processor = ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    else:
        processor = ["-accel", "tcg,thread=multi", "-cpu", TCG_CPU, "-smp", str(cpus)]
    for_tcg = "" if accelerator == "kvm" else TCG_KERNEL_LINE
    drive = "if=none,format=raw,file="
    return [
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *processor,
        "-m", str(memory_mb), "-display", "none", "-nodefaults", "-no-reboot",
        "-serial", f"file:{directory / 'console.log'}", "-kernel", str(image.kernel),
        "-drive", f"{drive}{image.disk},id=root,snapshot=on", "-device", "nvme,drive=root,serial=root",
        "-drive", f"{drive}{directory / 'share.img'},id=share,cache=unsafe",
        "-device", "virtio-blk-pci,drive=share,serial=share",
        "-drive", f"{drive}{directory / RESULT_DISK},id=result,cache=unsafe",
        "-device", "virtio-blk-pci,drive=result,serial=result",
        "-append", " ".join(filter(None, (KERNEL_LINE, for_tcg, kernel_args))),
    ]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of a job, from start to end. Seconds are real ones."""

    records: tuple[Record, ...]
    console: str
    wall_seconds: float
    timed_out: bool


def boot(command: list[str], directory: Path, timeout_s: float, on_record: Callable[[Record], None] | None) -> Run:
    """Runs QEMU to its end, or to `timeout_s` real seconds; QEMU is gone afterwards in any case."""
    began = time.monotonic()
    disk = directory / RESULT_DISK
    with disk.open("wb") as handle:
        handle.truncate(RESULT_BYTES)
    with (directory / "qemu.log").open("wb") as log:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    reader = RecordReader(disk)
    timed_out = False
    try:
        while qemu.poll() is None and not timed_out:
            _wait(qemu, 0.2)
            timed_out = time.monotonic() - began > timeout_s
            _hand_on(reader.read(), on_record)
    finally:
        qemu.kill()
        qemu.wait()
    _hand_on(reader.read(), on_record)
    console = (_text(directory / "qemu.log") + _text(directory / "console.log")).replace("\r", "")
    return Run(tuple(reader.records), console, time.monotonic() - began, timed_out)


class RecordReader:
    """Reads JSON lines from the result disk while the guest appends to it; a zero byte ends what was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.records: list[Record] = []

    def read(self) -> list[Record]:
        """The records that have become complete since the last call."""
        with self._path.open("rb") as disk:
            disk.seek(self._offset)
            data = bytearray()
            while (block := disk.read(MIB)) and b"\0" not in block:
                data += block
            data += block.partition(b"\0")[0]
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        fresh = [json.loads(line) for line in complete.splitlines()]
        self.records += fresh
        return fresh


def _hand_on(records: list[Record], on_record: Callable[[Record], None] | None) -> None:
    if on_record:
        for record in records:
            on_record(record)


@functools.cache
def kvm_works(image: Image) -> bool:
    """Whether a kernel comes up under KVM: /dev/kvm may exist and still fail (nested, emulated, no permission).

    Cached per process; the wrong answer costs a few seconds once. The kernel is given no root disk: it must panic.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256",
        "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-kernel", str(image.kernel),
        "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        return False
    return b"Unable to mount root fs" in done.stdout


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
