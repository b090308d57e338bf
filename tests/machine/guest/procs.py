"""Processes of a cell: started in their cgroup, watched through pidfds, reaped."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .plan import Container, Load


@dataclass
class Process:
    """One child of ours. `ended_ns` is CLOCK_MONOTONIC, known once it was reaped."""

    container: str
    role: str
    phase: str
    ends: bool
    child: subprocess.Popen[bytes]
    ended_ns: int | None = None
    asked_to_end: bool = False

    @property
    def against_its_will(self) -> bool:
        """It ended without our asking, and not cleanly by itself as a batch does."""
        by_itself = self.ends and self.child.returncode == 0
        return self.ended_ns is not None and not self.asked_to_end and not by_itself


@dataclass
class Herd:
    """All children of one cell."""

    loads: Path
    errors: Path  # what the loads complain about
    processes: list[Process] = field(default_factory=list)
    _poll: select.poll = field(default_factory=select.poll)
    _by_fd: dict[int, Process] = field(default_factory=dict)

    def start(self, load: Load, container: Container, cgroup: Path, extra: tuple[str, ...] = ()) -> Process:
        """Starts one load inside the cgroup, with kubelet's oom_score_adj."""
        place = (f"cgroup={cgroup}", f"adj={container.oom_score_adj}")
        with self.errors.open("ab") as errors:
            child = subprocess.Popen(
                (str(self.loads), "enter", *place, "--", str(self.loads), load.role, *load.arguments, *extra),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        process = Process(container.name, load.role, load.phase, load.ends, child)
        self.processes.append(process)
        pidfd = os.pidfd_open(child.pid)
        self._by_fd[pidfd] = process
        self._poll.register(pidfd, select.POLLIN)
        return process

    def wait(self, until_ns: int, done: Callable[[], bool] = lambda: False) -> bool:
        """Sleeps until that moment or until `done`; notes who ended when, to the poll's precision."""
        while not done():
            left = until_ns - time.monotonic_ns()
            if left <= 0:
                return False
            for pidfd, _ in self._poll.poll(left / 1e6):
                self._reap(pidfd)
        return True

    def check(self) -> None:
        """Raises RuntimeError when a load could not even start (its own exit codes 2 and 3)."""
        for process in self.processes:
            if process.child.returncode in {2, 3}:
                raise RuntimeError(f"{process.container}/{process.role}: {self.errors.read_text().strip()}")

    def of(self, container: str) -> list[Process]:
        """The container's processes that we started."""
        return [process for process in self.processes if process.container == container]

    def ask(self, *roles: str) -> None:
        """SIGTERM to every living process of these roles, and waits for their reports (5 s at most)."""
        asked = [process for process in self.processes if process.role in roles and process.ended_ns is None]
        for process in asked:
            process.asked_to_end = True
            process.child.terminate()
        self.wait(time.monotonic_ns() + 5 * 10**9, lambda: all(process.ended_ns for process in asked))

    def end(self) -> None:
        """Kills and reaps whoever is left, and closes the pidfds."""
        for process in self.processes:
            if process.ended_ns is None:
                process.asked_to_end = True
                process.child.kill()
                process.child.wait()
        for pidfd in self._by_fd:
            os.close(pidfd)

    def _reap(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        process = self._by_fd[pidfd]
        process.child.wait()
        process.ended_ns = time.monotonic_ns()
