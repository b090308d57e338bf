"""Signals to a container: to its init processes, as its runtime would send them.

A container's init is whoever's parent is outside of the container. Through pidfds, so that a number that has
passed to a stranger meanwhile is never hit.
"""

from __future__ import annotations

import os
import signal as signals
from typing import Final

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import read_once
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.process import parse_stat

# An init stands early in cgroup.procs; a swarm of thousands must not be read through for it.
_LOOKED_AT: Final = 64


def init_pids(cgroup: Cgroup, proc: str = "/proc") -> list[int] | None:
    """Processes whose parent is outside of the cgroup, in the order of cgroup.procs; None when it is gone.

    Usually one; `kubectl exec` adds one for each session, later in the list.
    """
    pids = cgroup.pids()
    if pids is None:
        return None
    inside = set(pids)
    return [pid for pid in pids[:_LOOKED_AT] if (parent := _parent(pid, proc)) is not None and parent not in inside]


def signal_init(cgroup: Cgroup, number: int = signals.SIGTERM, proc: str = "/proc") -> Outcome:
    """Send a signal to the container's init (the oldest of its init processes), as `docker stop` does.

    "refused" where it has no process that we may signal: another pid namespace (no hostPID), or AppArmor.
    """
    pids = init_pids(cgroup, proc)
    if pids is None:
        return VANISHED
    started = [(found, pid) for pid in pids if (found := _started(pid, proc)) is not None]
    if not started:
        return Outcome("refused", "none of its processes can be seen: hostPID is needed")
    return send(cgroup, min(started)[1], number)


def send(cgroup: Cgroup, pid: int, number: int) -> Outcome:
    """Signal one process of the cgroup."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return VANISHED
    try:
        # Between the list and the pidfd the id may have passed to a stranger: ask again now that it cannot.
        if pid not in (cgroup.pids() or ()):
            return VANISHED
        signals.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return VANISHED
    except OSError as error:
        return Outcome("refused", f"signal {number} to {pid}: {error.strerror}. Needs CAP_KILL, and AppArmor's leave")
    finally:
        os.close(pidfd)
    return Outcome("done", f"signal {number} to {pid}")


def _parent(pid: int, proc: str) -> int | None:
    source = f"{proc}/{pid}/stat"
    data = read_once(source)
    return parse_stat(data, source).parent if data else None


def _started(pid: int, proc: str) -> float | None:
    source = f"{proc}/{pid}/stat"
    data = read_once(source)
    return parse_stat(data, source).started_seconds if data else None
