"""The machine around the cells: memory counters, page cache, swap, the kernel's log."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20
COUNTERS = (
    "oom_kill", "pgmajfault", "pswpin", "pswpout", "pgscan_direct", "pgsteal_direct", "allocstall_normal",
    "allocstall_movable", "workingset_refault_anon", "workingset_refault_file",
)  # fmt: skip
KERNEL_LINES = re.compile(r"oom|Killed process|BUG|hung|lockup|page allocation|rcu", re.IGNORECASE)


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {key: int(rest.split()[0]) << 10 for key, _, rest in (line.partition(":") for line in lines)}


def vmstat() -> dict[str, int]:
    """The counters of /proc/vmstat that a cell reports as deltas."""
    pairs = (line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return {key: int(value) for key, value in pairs if key in COUNTERS}


def stall_us() -> dict[str, int]:
    """Total memory stall of the system in microseconds: {"some": .., "full": ..}; empty without PSI."""
    try:
        lines = Path("/proc/pressure/memory").read_text().splitlines()
    except OSError:
        return {}
    return {line.split()[0]: int(line.rpartition("total=")[2]) for line in lines}


class Source:
    """What streaming reads come from. Held open: the page cache of a block device goes with its last closer."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")  # also opens a file that has been unlinked


def prepare(run: Path) -> Source:
    """Once per boot.

    null_blk completes each request after 100 us of the guest's own clock, like an NVMe drive, without asking the host:
    page-cache traffic is then as repeatable in virtual time as everything else. Where there is no such module, a sparse
    file does (no request at all).
    """
    arguments = ("null_blk", "nr_devices=1", "gb=16", "queue_mode=2", "irqmode=2", "completion_nsec=100000")
    device = Path("/dev/nullb0")
    if subprocess.run(("modprobe", *arguments), capture_output=True, check=False).returncode == 0:
        wait_for(device.exists, 5)
    return Source(device) if device.exists() else sparse_file(run)


def sparse_file(run: Path) -> Source:
    """16 GiB of nothing on the root file system: reading it fills the page cache."""
    path = Path("/var/tmp") / f"{run.name}.sparse"  # noqa: S108 - the page cache needs a real file system, not a tmpfs
    with path.open("wb") as handle:
        handle.truncate(16 << 30)
    source = Source(path)
    path.unlink()  # lives on as long as it is open, however we end
    return source


def drop_caches() -> None:
    """Starts a cell from the same state as the last one."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


class Swap:
    """A swap area of 512 MiB, for as long as the context lasts. Kind is "swap_file", "zram" or anything else for none.

    The file lies on the emulated disk: its speed is the host's, also in virtual time.
    """

    SIZE_BYTES = 512 * MIB

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._area: Path | None = None

    def __enter__(self) -> None:
        if self._kind == "zram":
            _checked("modprobe", "zram", "num_devices=1")
            wait_for(Path("/dev/zram0").exists, 5)
            Path("/sys/block/zram0/disksize").write_text(str(self.SIZE_BYTES))
            self._area = Path("/dev/zram0")
        elif self._kind == "swap_file":
            self._area = Path("/swapfile")
            with self._area.open("wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, self.SIZE_BYTES)
            self._area.chmod(0o600)
        if self._area:
            _checked("mkswap", str(self._area))
            _checked("swapon", str(self._area))

    def __exit__(self, *_: object) -> None:
        if not self._area:
            return
        _checked("swapoff", str(self._area))
        if self._kind == "zram":
            Path("/sys/block/zram0/reset").write_text("1")
        else:
            self._area.unlink()


class KernelLog:
    """The kernel's lines from now on that are about memory or trouble; empty where /dev/kmsg is not readable."""

    def __init__(self) -> None:
        try:
            self._fd: int | None = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            self._fd = None
        else:
            os.lseek(self._fd, 0, os.SEEK_END)

    def lines(self, limit: int = 30) -> tuple[str, ...]:
        """Reads what came, and closes."""
        found: list[str] = []
        while self._fd is not None and len(found) < limit:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except BrokenPipeError:  # the ring buffer has lapped us: the next read goes on
                continue
            text = record.partition(";")[2].partition("\n")[0]
            if KERNEL_LINES.search(text) and not text.startswith("["):
                found.append(text)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        return tuple(found)


def wait_for(condition: Callable[[], bool], seconds: float, step_seconds: float = 0.02) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step_seconds)
    return True


def _checked(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
