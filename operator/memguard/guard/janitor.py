"""The janitor: a process that sleeps until the guard is dead, and then lifts every line and thaws every freeze.

A line without its driver is worse than the kernel's OOM killer (braking.md). It is forked before anything else is
imported and told later where to sweep; it waits on the guard's pidfd and on the lock that the guard holds on its
records, so that it wakes however the guard ended.
"""

from __future__ import annotations

import os
import select
import signal
from typing import NoReturn

from memguard.kernel.sweep import janitor
from memguard.kernel.syscalls import MCL_CURRENT, MCL_ONFAULT, mlockall

PATHS_BYTES = 8192


class Janitor:
    """The guard's view of its janitor. `fd` becomes readable when it dies."""

    def __init__(self, pid: int, briefing: int) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)
        self._briefing = briefing

    def brief(self, cgroup_root: str, run_directory: str) -> None:
        """Tell it where to sweep; until then it would end without doing anything."""
        os.write(self._briefing, f"{cgroup_root}\0{run_directory}".encode())
        os.close(self._briefing)

    def dismiss(self) -> None:
        """The guard ends in good order: nothing is left to do."""
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> None:
        """Take note of its end."""
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def spawn_janitor() -> Janitor:
    """Fork the janitor; it returns only in the guard. Raises OSError, and nothing stays open, when none can be had."""
    opened: list[int] = []
    try:
        opened.append(guard := os.pidfd_open(os.getpid()))
        opened += os.pipe()
        _, reader, writer = opened
        pid = os.fork()
        if pid == 0:
            _keep_only(guard, reader)
            _live(guard, reader)
        opened.remove(writer)
    finally:
        for fd in opened:
            os.close(fd)
    return Janitor(pid, writer)


def _keep_only(*wanted: int) -> None:
    """What a guard has open is its own: a janitor that it forked later would hold the files of removed cgroups."""
    after = 3
    for fd in sorted(wanted):
        os.closerange(after, fd)
        after = fd + 1
    os.closerange(after, os.sysconf("SC_OPEN_MAX"))


def _live(guard: int, briefing: int) -> NoReturn:
    """The janitor's whole life."""
    status = 1
    try:
        os.setsid()  # a signal to the guard's group is not for us: we are needed most when it dies
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # systemd sends it to all that are left
            signal.signal(number, signal.SIG_IGN)
        told = os.read(briefing, PATHS_BYTES).decode()
        if told:
            cgroup_root, _, run_directory = told.partition("\0")
            _harden()
            _await_death(guard)
            status = 1 if janitor(cgroup_root, run_directory).problems else 0
    finally:
        os._exit(status)


def _harden() -> None:
    """Awake within the storm: real time, locked, last in line for the OOM killer; each as far as it is allowed."""
    for measure in (_real_time, _last_in_line, lambda: mlockall(MCL_CURRENT | MCL_ONFAULT)):
        try:
            measure()
        except OSError:
            continue  # the guard reports what it could not have; the same is missing here


def _real_time() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _last_in_line() -> None:
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(fd, b"-999")
    finally:
        os.close(fd)


def _await_death(pidfd: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    while not poller.poll():
        continue
