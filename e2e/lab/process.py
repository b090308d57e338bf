"""Programs that the lab starts and ends: exactly its own, whichever Python process asks.

A process is known by its pid and its start time in `<directory>/<name>.pid`, so that `make cluster-down` ends what
`make cluster` started, and never a stranger that got the same pid since.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.lab.errors import LabError

#: From SIGKILL to the end: the kernel frees a few GiB meanwhile.
END_SECONDS = 30.0
LOG_TAIL_BYTES = 2000


@dataclass(frozen=True)
class Process:
    """One program with its log and its pid file. `detached`: it outlives us; else it dies with the starting thread."""

    directory: Path
    name: str
    detached: bool = False

    @property
    def log(self) -> Path:
        """What it wrote to standard output and error, since its last start."""
        return self.directory / f"{self.name}.log"

    def start(self, *command: str | Path) -> None:
        """Start it; where it runs already nothing happens."""
        if self.running:
            return
        bound = () if self.detached else ("setpriv", "--pdeathsig", "KILL")
        with self.log.open("wb") as log:
            started = subprocess.Popen(
                (*bound, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                start_new_session=True,
            )  # fmt: skip
        # Whoever reaps it, it is not this object: another process may have to end it.
        started.returncode = 0
        self._pid_file.write_text(f"{started.pid} {_start_time(started.pid)}")

    def stop(self) -> None:
        """End it and wait until it is gone; what it held is thrown away with it, so it need not tidy up."""
        if (handle := self._handle()) is not None:
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                if not _ended(handle, END_SECONDS):
                    raise LabError(f"{self.name} has not ended {END_SECONDS:.0f} s after SIGKILL; see {self.log}.")
                _reap(self._pid())
            finally:
                os.close(handle)
        self._pid_file.unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if (handle := self._handle()) is not None:
            try:
                signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return not self.ended_within(0)

    def ended_within(self, seconds: float) -> bool:
        """Waits until it ends, at most that long: a pause that a death cuts short."""
        handle = self._handle()
        if handle is None:
            return True
        try:
            return _ended(handle, seconds)
        finally:
            os.close(handle)

    def tail(self) -> str:
        """The log's last lines."""
        return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace") if self.log.exists() else ""

    @property
    def _pid_file(self) -> Path:
        return self.directory / f"{self.name}.pid"

    def _pid(self) -> int:
        return int(self._pid_file.read_text().split()[0])

    def _handle(self) -> int | None:
        """A pidfd of the process that we started, if it is still there (a zombie is)."""
        try:
            pid, started = self._pid_file.read_text().split()
            handle = os.pidfd_open(int(pid))
        except (FileNotFoundError, ProcessLookupError):
            return None
        if _start_time(int(pid)) == started:
            return handle
        os.close(handle)
        return None


def _ended(handle: int, seconds: float) -> bool:
    return bool(select.select([handle], [], [], seconds)[0])


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # another process's child: its parent or init reaps it


def _start_time(pid: int) -> str:
    """Clock ticks since boot when the process began (proc(5), field 22), or nothing where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]
