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

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from tests.machine.guest.result import CellResult, CommandResult
from tests.machine.guest.spec import Job
from tests.machine.image import CACHE, NODE, REPOSITORY, Image, ImageSpec, MachineError, check_prerequisites, ensure
from tests.machine.image import locked as _locked

Clock = Literal["real", "virtual"]

HERE = Path(__file__).parent
PACKAGE = REPOSITORY / "operator" / "memguard"
GUEST_PYTHON = "3.13"
MIB = 1 << 20

# panic=-1 with QEMU's -no-reboot turns a panic into QEMU's exit. `quiet` keeps the OOM killer's long dump off the
# slow serial line (kernel errors still appear).
KERNEL_LINE = (
    "console=ttyS0 root=/dev/nvme0n1 rw rootwait panic=-1 oops=panic psi=1 quiet systemd.show_status=0 "
    "systemd.unit=memguard.target"
)

# Results travel on a raw disk: a serial line costs seconds per megabyte under TCG.
RESULT_BYTES = 256 * MIB

BOOT_SCRIPT = """\
export PYTHONPATH=/share/python
for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = result ] && result=/dev/${disk##*/}; done
python3 -m guest job.json --result $result
"""


@dataclass(frozen=True)
class Result:
    """What one run brought back. Times are real seconds of the host."""

    records: tuple[dict[str, Any], ...]  # everything the guest wrote, as JSON objects with a `kind`
    console: str
    accelerator: str  # "kvm", "tcg" or "host"
    wall_seconds: float
    boot: dict[str, Any] = field(default_factory=dict)  # kernel, memory and the guest clock when the job began

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

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


class RunError(MachineError):
    """The machine panicked, hung or died: carries the console's tail and whatever was brought back."""

    def __init__(self, problem: str, result: Result) -> None:
        tail = "\n".join(result.console.splitlines()[-40:])
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
        on_record: Callable[[dict[str, Any]], None] | None = None,
    ) -> Result:
        """Runs the job and returns its records; raises RunError on a panic or after `timeout_s` real seconds.

        `on_record` sees each record as soon as it is there. `cpus` counts for the real clock only.
        """
        encoded = encode_job(job)
        if os.environ.get("MEMGUARD_BACKEND") == "host":
            return run_on_host(self, encoded, timeout_s)
        image = ensure(self.image)
        with tempfile.TemporaryDirectory(prefix="memguard-machine-") as name:
            directory = Path(name)
            make_share(self, encoded, directory / "share")
            _disk_of(directory / "share", directory / "share.img")
            _sparse(directory / "result.img", RESULT_BYTES)
            accelerator = "kvm" if clock == "real" and kvm_works(image) else "tcg"
            command = qemu_command(
                image, directory, clock=clock, accelerator=accelerator, memory_mb=memory_mb, cpus=cpus,
                kernel_args=kernel_args,
            )  # fmt: skip
            return _boot(command, directory, accelerator, timeout_s, on_record)


def encode_job(job: Job | dict[str, Any] | Path) -> bytes:
    """The job as the guest reads it; a dict or a file is checked against Job first."""
    if isinstance(job, Path):
        job = json.loads(job.read_text())
    checked = job if isinstance(job, Job) else msgspec.convert(job, Job, strict=True)
    return json.dumps(asdict(checked)).encode()


def make_share(machine: Machine, job: bytes, share: Path) -> None:
    """Lays out what the guest mounts as /share: packages, runner, loads and the job."""
    python = share / "python"
    shutil.copytree(_wheels(machine.packages), python)
    shutil.copytree(PACKAGE, python / "memguard", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "guest", share / "guest", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(loads(), share / "loads")
    (share / "job.json").write_bytes(job)
    (share / "boot.sh").write_text(BOOT_SCRIPT)
    for name, source in machine.extra_files:
        (shutil.copytree if source.is_dir() else shutil.copy)(source, share / name)


def loads() -> Path:
    """The compiled loads.c, cached by its text."""
    source = HERE / "loads.c"
    directory = CACHE / f"loads-{_digest(source.read_bytes())}"
    if not (directory / "loads").exists():
        check_prerequisites()
        flags = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")
        _into_cache(directory, lambda out: _checked("gcc", *flags, "-o", str(out / "loads"), str(source)))
    return directory / "loads"


def _wheels(names: Iterable[str]) -> Path:
    """Unpacked wheels of the guest's Python version, in the versions of uv.lock."""
    locked = {package["name"]: package["version"] for package in tomllib.loads(_lock_text())["package"]
              if "version" in package}  # fmt: skip
    pins = sorted(f"{name}=={locked[name]}" for name in names)
    directory = CACHE / f"wheels-{_digest(repr((pins, GUEST_PYTHON)).encode())}"
    if not directory.exists():
        _into_cache(directory, lambda out: _checked(
            "uv", "pip", "install", "--quiet", "--target", str(out), "--no-deps", "--only-binary", ":all:",
            "--python-version", GUEST_PYTHON, "--python-platform", "x86_64-manylinux_2_28", *pins,
        ))  # fmt: skip
    return directory


def _lock_text() -> str:
    return (REPOSITORY / "uv.lock").read_text()


def _into_cache(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fills `directory` atomically, once, whoever else wants it at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f"{directory.name}.lock"):
        if directory.exists():
            return
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as scratch:
            out = Path(scratch, "out")
            out.mkdir()
            fill(out)
            out.rename(directory)


def qemu_command(
    image: Image, directory: Path, *, clock: Clock, accelerator: str, memory_mb: int, cpus: int, kernel_args: str = ""
) -> list[str]:
    """QEMU's command line; setpriv lets it die with us, so that a killed test leaves no machine behind."""
    if clock == "virtual":
        processor = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max", "-smp", "1"]
    elif accelerator == "kvm":
        processor = ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    else:
        processor = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus)]
    drive = "if=none,format=raw,file="
    return [
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *processor,
        "-m", str(memory_mb), "-display", "none", "-nodefaults", "-no-reboot",
        "-serial", f"file:{directory / 'console.log'}", "-kernel", str(image.kernel),
        "-drive", f"{drive}{image.disk},id=root,snapshot=on", "-device", "nvme,drive=root,serial=root",
        "-drive", f"{drive}{directory / 'share.img'},id=share,cache=unsafe",
        "-device", "virtio-blk-pci,drive=share,serial=share",
        "-drive", f"{drive}{directory / 'result.img'},id=result,cache=unsafe",
        "-device", "virtio-blk-pci,drive=result,serial=result",
        "-append", f"{KERNEL_LINE} {kernel_args}".strip(),
    ]  # fmt: skip


def _boot(
    command: list[str],
    directory: Path,
    accelerator: str,
    timeout_s: float,
    on_record: Callable[[dict[str, Any]], None] | None,
) -> Result:
    began = time.monotonic()
    with (directory / "qemu.log").open("wb") as log:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    reader = RecordReader(directory / "result.img")
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
    result = Result(
        records=tuple(reader.records),
        console=console,
        accelerator=accelerator,
        wall_seconds=time.monotonic() - began,
        boot=next((record for record in reader.records if record["kind"] == "boot"), {}),
    )
    if timed_out:
        raise RunError(f"the machine was still running after {timeout_s:.0f} s", result)
    if not reader.records or reader.records[-1]["kind"] != "end":
        raise RunError("the machine stopped before the job's end (panic?)", result)
    return result


class RecordReader:
    """Reads JSON lines from the result disk while the guest appends to it; a zero byte ends what was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.records: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
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


def _hand_on(records: list[dict[str, Any]], on_record: Callable[[dict[str, Any]], None] | None) -> None:
    for record in records if on_record else ():
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


def run_on_host(machine: Machine, job: bytes, timeout_s: float) -> Result:
    """The same guest on this host's kernel, in the scratch slice memguard-test.slice."""
    check_host()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="memguard-host-") as name:
        share, records = Path(name, "share"), Path(name, "records")
        make_share(machine, job, share)
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'operator'}"}
        command = [sys.executable, "-m", "guest", "job.json", "--result", str(records), "--scratch"]
        done = subprocess.run(
            command, cwd=share, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        reader = RecordReader(records)
        reader.read()
    result = Result(tuple(reader.records), done.stdout + done.stderr, "host", time.monotonic() - began)
    if done.returncode:
        raise RunError(f"the guest runner failed ({done.returncode})", result)
    return result


def _disk_of(directory: Path, image: Path) -> None:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    megabytes = 32 + 2 * size // MIB
    _checked("mke2fs", "-F", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(directory), str(image), f"{megabytes}M")


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as handle:
        handle.truncate(size)


def _checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{' '.join(command[:3])} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()[:16]
