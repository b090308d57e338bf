"""The janitor: a process that sleeps until the guard is dead, and then lifts every line and thaws every freeze.

A line without its driver is worse than the kernel's OOM killer (braking.md). It waits on the lock that the guard holds
on its records, so that it wakes however the guard ended; and it is forked before anything else is imported.
"""

from __future__ import annotations

import os
import signal

from memguard.kernel.record import RUN_DIR
from memguard.kernel.selfguard import lock_memory, schedule_real_time, set_oom_score_adj
from memguard.kernel.sweep import janitor


class Janitor:
    """The guard's view of its janitor."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def dismiss(self) -> None:
        """The guard ends in good order: nothing is left to do."""
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> None:
        """Take note of its end."""
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def spawn_janitor(cgroup_root: str, run_directory: str = RUN_DIR) -> Janitor:
    """Fork the janitor; it returns only in the guard. Call it before the guard takes the lock."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        _sleep_and_sweep(cgroup_root, run_directory, told)
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    return Janitor(pid)


def _sleep_and_sweep(cgroup_root: str, run_directory: str, told: int) -> None:
    """The janitor's whole life; it never returns."""
    status = 1
    try:
        os.setsid()  # a signal to the guard's group is not for us: we are needed most when it dies
        set_oom_score_adj()
        schedule_real_time()
        lock_memory()
        guard = os.pidfd_open(os.getppid())
        os.write(told, b"1")
        os.close(told)
        _await_death(guard)
        status = 1 if janitor(cgroup_root, run_directory).problems else 0
    finally:
        os._exit(status)


def _await_death(pidfd: int) -> None:
    import select

    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    while not poller.poll():
        continue
