"""The daemon under test: memguard or a peer, started with the same shield, measured and stopped."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import cgroups
from .node import wait_for
from .peers import PEERS, Peer
from .result import GuardResult
from .spec import MIB, Guard

SHIELD_BYTES = 96 * MIB  # memory.min: more than any of them uses, so that no reclaim of its pages disturbs the race
LOG_LINES = 400
MEMGUARD_READY = r'"kind": ?"start"'


@dataclass(frozen=True)
class Cost:
    """A reading of what the guard uses; deltas of two readings are its cost."""

    taken_ns: int = 0
    cpu_us: int = 0
    rss_kib: int = 0
    locked_kib: int = 0
    major_faults: int = 0
    descriptors: int = 0
    current_bytes: int = 0


@dataclass
class Daemon:
    """One started guard; `kind` "none" is nothing at all, and every method is then without effect."""

    guard: Guard
    cgroup: Path
    run: Path
    words: dict[str, str]
    loads: Path
    child: subprocess.Popen[bytes] | None = None
    ready_seconds: float | None = None
    at_ready: Cost = field(default_factory=Cost)

    @property
    def peer(self) -> Peer | None:
        """What it is when it is a peer."""
        return PEERS.get(self.guard.kind)

    @property
    def home(self) -> Path:
        """The cgroup whose costs are its own."""
        return self.cgroup.parent / self.peer.unit if self.peer and self.peer.unit else self.cgroup

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.run / "guard.log"

    @property
    def alive(self) -> bool:
        """Was it started, and is it still there?"""
        return self.child is not None and self.child.poll() is None

    def prepare(self) -> None:
        """What the guard wants to find before the cell's cgroups are made: its configuration, and units of systemd."""
        if self.peer:
            self.shell(self.peer.prepare)

    def start(self) -> None:
        """Starts it in its shielded cgroup and waits until it says that it is ready."""
        if self.guard.kind == "none":
            return
        self.cgroup.mkdir(exist_ok=True)
        (self.cgroup / "memory.min").write_text(str(SHIELD_BYTES))
        place = (f"cgroup={self.cgroup}", "adj=-999", f"fifo={self.guard.fifo}")
        began = time.monotonic()
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                (str(self.loads), "enter", *place, "--", *self.arguments()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.run, env=self._environment(),
            )  # fmt: skip
        pattern = re.compile(self._ready())
        if pattern.pattern and wait_for(lambda: self._says(pattern), self.guard.ready_timeout_seconds):
            self.ready_seconds = time.monotonic() - began
        self.at_ready = self.cost()

    def arguments(self) -> tuple[str, ...]:
        """Its command line; writes the config file that it names."""
        config = self.run / "guard.conf"
        own = tuple(self._filled(word) for word in self.guard.argv)
        if self.guard.kind == "memguard":
            config.write_text(self._filled(self.guard.config))
            return sys.executable, "-m", "memguard", *(own or ("guard", "--standalone", "--config", str(config)))
        return tuple(self._filled(word) for word in self.peer.argv) if self.peer else own

    def cost(self) -> Cost:
        """What all its processes use now."""
        if self.child is None:
            return Cost()
        usage = cgroups.keyed(self.home / "cpu.stat").get("usage_usec", 0)
        cost = Cost(time.monotonic_ns(), usage, current_bytes=cgroups.number(self.home / "memory.current") or 0)
        for directory in cgroups.tree(self.home):
            for pid in cgroups.pids(directory):
                cost = _add(cost, pid)
        return cost

    def stop(self) -> GuardResult:
        """SIGTERM, a while to put things back, then SIGKILL to whatever is left of it; returns its whole story."""
        if self.child is None:
            return GuardResult(kind=self.guard.kind)
        died_early = not self.alive
        at_end = self.cost()
        peak = cgroups.number(self.home / "memory.peak")
        began = time.monotonic()
        stop_seconds = None
        self.child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(self.guard.stop_timeout_seconds)
            stop_seconds = None if died_early else time.monotonic() - began
        lines = self.log.read_text(errors="replace").splitlines()
        return GuardResult(
            kind=self.guard.kind,
            pid=self.child.pid,
            ready_seconds=self.ready_seconds,
            exit_code=self.child.returncode,
            stop_seconds=stop_seconds,
            died_early=died_early,
            cpu_ms=(at_end.cpu_us - self.at_ready.cpu_us) / 1000,
            watched_seconds=(at_end.taken_ns - self.at_ready.taken_ns) / 1e9,
            rss_kib=at_end.rss_kib,
            locked_kib=at_end.locked_kib,
            rss_ready_kib=self.at_ready.rss_kib,
            cgroup_bytes=at_end.current_bytes,
            cgroup_ready_bytes=self.at_ready.current_bytes,
            cgroup_peak_bytes=peak,
            major_faults=at_end.major_faults - self.at_ready.major_faults,
            descriptors=at_end.descriptors,
            log=tuple(lines[-LOG_LINES:]),
            log_lines=len(lines),
        )

    def clear(self) -> None:
        """Nothing of it remains."""
        if self.child is not None:
            cgroups.remove(self.cgroup)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, signal.SIGKILL)
            self.child.wait()
        if self.peer:
            self.shell(self.peer.restore)

    def _ready(self) -> str:
        if self.guard.ready is not None:
            return self.guard.ready
        if self.peer:
            return self.peer.ready
        return MEMGUARD_READY if self.guard.kind == "memguard" else ""

    def shell(self, script: str) -> None:
        """Runs a piece of a peer's set-up, with its words filled in."""
        done = subprocess.run(("sh", "-ec", self._filled(script)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.guard.kind} could not be set up: {done.stderr.strip()}")

    def _says(self, pattern: re.Pattern[str]) -> bool:
        # An early death ends the waiting too; it shows in the result as died_early.
        return not self.alive or bool(pattern.search(self.log.read_text(errors="replace")))

    def _filled(self, text: str) -> str:
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def _environment(self) -> dict[str, str]:
        own = {key: self._filled(value) for key, value in self.guard.environment}
        return {**os.environ, "PYTHONUNBUFFERED": "1", **own}


def line_words(reserve_bytes: int, free_bytes: int) -> dict[str, str]:
    """The cell's line in every way in which a guard may want to be told it; `free_bytes` is there without any pod."""
    hard = reserve_bytes * 9 // 10
    return {
        "@SHIELD@": str(SHIELD_BYTES),
        "@RESERVE@": str(reserve_bytes),
        "@RESERVE_KIB@": str(reserve_bytes >> 10),
        "@RESERVE_MIB@": str(reserve_bytes // MIB),
        "@HARD_KIB@": str(hard >> 10),
        "@HARD_MIB@": str(hard // MIB),
        "@ANON_LINE_MIB@": str((free_bytes - reserve_bytes) // MIB),
    }


def _add(cost: Cost, pid: int) -> Cost:
    """Adds one process; a process that is just ending counts for nothing."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return cost
    sizes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in status.splitlines())
             if key in {"VmRSS", "VmLck"}}  # fmt: skip
    return replace(
        cost,
        rss_kib=max(cost.rss_kib, sizes.get("VmRSS", 0)),
        locked_kib=max(cost.locked_kib, sizes.get("VmLck", 0)),
        major_faults=cost.major_faults + int(stat[9]),  # field 12 of proc_pid_stat(5): majflt
        descriptors=cost.descriptors + descriptors,
    )
