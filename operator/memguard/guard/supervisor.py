"""The supervisor: a container of its own that does nothing but wait for the guard's death, and then lifts its lines.

A container's processes can die together (memory.oom.group, cgroup.kill), so a janitor beside the guard would die with
it. This one has the cgroup tree and the guard's run directory, and nothing else; the locks on two files there say
which of the two is alive.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from typing import NoReturn

import msgspec

from memguard.errors import UnfitError
from memguard.kernel.record import Records
from memguard.kernel.selfguard import renounce_network, renounce_others
from memguard.kernel.sweep import sweep

#: Between two looks for a new guard while there is none; a guard's own claim waits a second.
_AWAIT_SECONDS = 0.2
_STEP_SECONDS = 0.01
#: For a guard that is still ending, when this is told to stop.
_LAST_SECONDS = 5.0


class Post:
    """The supervisor's own lock in the run directory: who holds it is on duty. Raises UnfitError."""

    def __init__(self, run_directory: str) -> None:
        path = f"{run_directory}/supervisor"
        try:
            os.makedirs(run_directory, mode=0o700, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UnfitError(f"{path}: {error.strerror}. Give it the guard's run directory, on tmpfs.") from None

    def take(self, timeout_seconds: float = 1.0) -> bool:
        """Be on duty from now on; False when another is. A guard that asks holds the lock for a moment."""
        until = time.monotonic() + timeout_seconds
        while not _locked(self._fd):
            if time.monotonic() >= until:
                return False
            time.sleep(_STEP_SECONDS)
        return True

    @property
    def taken(self) -> bool:
        """Is a supervisor on duty? Asked by the guard, which never keeps the lock."""
        if not _locked(self._fd):
            return True
        fcntl.lockf(self._fd, fcntl.LOCK_UN)
        return False


def supervise(cgroup_root: str, run_directory: str) -> int:
    """Until it is told to stop; the exit code. Each time a guard has died, what it left is undone and said."""
    if not Post(run_directory).take():
        raise UnfitError(f"{run_directory}: another supervisor is on duty. Stop it first.")
    signal.signal(signal.SIGTERM, _stop)
    for measure in (renounce_network(), renounce_others()):
        if not measure.ok:
            _say("unavailable", what=measure.measure, reason=measure.detail)
    try:
        while True:
            records = Records(run_directory)
            records.await_owner()
            _say("swept", **sweep(cgroup_root, records)._asdict())
            records.close()
            while _nothing_to_do(run_directory):
                time.sleep(_AWAIT_SECONDS)
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _sweep_once_more(cgroup_root, run_directory)
    return 0


class _Stopped(BaseException):
    """It was told to stop, wherever it was."""


def _stop(*_: object) -> NoReturn:
    raise _Stopped


def _sweep_once_more(cgroup_root: str, run_directory: str) -> None:
    """A pod's sidecar is stopped when the guard has just ended, which may be in the middle of a sweep."""
    records = Records(run_directory)
    if records.claim(timeout_seconds=_LAST_SECONDS):
        _say("swept", **sweep(cgroup_root, records)._asdict())
    records.close()


def _nothing_to_do(run_directory: str) -> bool:
    """There is no guard, and none that lived and died since the last look left anything.

    A guard's own claim waits longer than this look takes.
    """
    records = Records(run_directory)
    try:
        return records.claim(timeout_seconds=0) and not records.holds()
    finally:
        records.close()


def _say(kind: str, **facts: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"kind": kind, **facts}) + b"\n")
    sys.stdout.buffer.flush()


def _locked(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
