"""The guard's own survival: never paged out, never starved, never the OOM killer's choice.

Each measure says what became of it: a missing capability makes a weaker guard, not a dead one, and `doctor`
and the log say so.
"""

from __future__ import annotations

import os
from typing import Final, Literal

import msgspec

from memguard.kernel.compaction import KNOB, forbid_moves
from memguard.kernel.files import KernelFile
from memguard.kernel.seclusion import enclose, seclude
from memguard.kernel.syscalls import MCL_CURRENT, MCL_FUTURE, mlockall

Measure = Literal[
    "memory lock",
    "real-time scheduling",
    "oom_score_adj",
    "nice",
    "open files",
    "pages in place",
    "no network",
    "no prying",
]

OOM_SCORE_ADJ: Final = -999
NICE: Final = -20
FIFO_PRIORITY: Final = 1
# 500 containers with 15 descriptors each, and room.
OPEN_FILES: Final = 16384

_NEEDS: Final[dict[Measure, str]] = {
    "memory lock": "CAP_IPC_LOCK or RLIMIT_MEMLOCK",
    "real-time scheduling": "CAP_SYS_NICE, and a kernel or cgroup with real-time bandwidth",
    "oom_score_adj": "CAP_SYS_RESOURCE",
    "nice": "CAP_SYS_NICE",
    "open files": "CAP_SYS_RESOURCE",
    "no prying": "a kernel with Landlock (5.13) among its LSMs",
    "no network": "a kernel with seccomp filters, on x86-64 or arm64",
    "pages in place": f"a writable /proc/sys/{KNOB}, or 0 in it",
}


class Applied(msgspec.Struct, frozen=True):
    """One measure: did it take, the value in force, and what it would have needed."""

    measure: Measure
    ok: bool
    value: int | None = None
    detail: str = ""


def lock_memory() -> Applied:
    """mlockall of everything, now and later: the first error path must not fault from a thrashing disk (17 MiB)."""
    try:
        mlockall(MCL_CURRENT | MCL_FUTURE)
    except OSError as error:
        return _failed("memory lock", error)
    return Applied("memory lock", ok=True)


def schedule_real_time(priority: int = FIFO_PRIORITY) -> Applied:
    """SCHED_FIFO for this process, not for its children."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        return _failed("real-time scheduling", error)
    return Applied("real-time scheduling", ok=True, value=priority)


def set_nice(nice: int = NICE) -> Applied:
    """Nice value of this process: what is left where SCHED_FIFO is refused."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError as error:
        return _failed("nice", error, os.getpriority(os.PRIO_PROCESS, 0))
    return Applied("nice", ok=True, value=nice)


def set_oom_score_adj(value: int = OOM_SCORE_ADJ, proc: str = "/proc") -> Applied:
    """The kernel's OOM killer takes us last; an already lower value stays."""
    file = KernelFile(f"{proc}/self/oom_score_adj", flags=os.O_RDWR)
    try:
        data = file.read()
        found = None if data is None else int(data)
        if found is not None and found <= value:
            return Applied("oom_score_adj", ok=True, value=found)
        code = file.attempt(b"%d\n" % value)
        if code:
            return _failed("oom_score_adj", OSError(code, os.strerror(code)), found)
        return Applied("oom_score_adj", ok=True, value=value)
    finally:
        file.close()


def keep_pages_in_place(sysctl_root: str, run_dir: str) -> Applied:
    """Locked pages are not moved while the guard lives: who waits for a mover is as late as one that was paged out."""
    try:
        forbid_moves(sysctl_root, run_dir)
    except OSError as error:
        return _failed("pages in place", error)
    return Applied("pages in place", ok=True)


def renounce_network() -> Applied:
    """No socket but AF_UNIX from now on: who owns the guard does not own a root with a network."""
    try:
        seclude()
    except OSError as error:
        return _failed("no network", error)
    return Applied("no network", ok=True)


def renounce_others() -> Applied:
    """No look into other processes' memory, environment and files from now on."""
    try:
        enclose()
    except OSError as error:
        return _failed("no prying", error)
    return Applied("no prying", ok=True)


def raise_open_files(wanted: int = OPEN_FILES) -> Applied:
    """RLIMIT_NOFILE, soft and where needed hard."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return Applied("open files", ok=True, value=soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (OSError, ValueError) as error:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        return _failed("open files", error, min(wanted, hard))
    return Applied("open files", ok=True, value=wanted)


def protect(*, real_time: bool = True, enclosed: bool = True) -> tuple[Applied, ...]:
    """All measures, in the order in which they matter. Call it when everything is imported and opened.

    Whoever is not `enclosed` may put notices into containers' file systems.
    """
    scheduled = schedule_real_time() if real_time else set_nice()
    measures = [raise_open_files(), set_oom_score_adj(), scheduled, lock_memory(), renounce_network()]
    if enclosed:
        measures.append(renounce_others())
    if not scheduled.ok:
        measures.append(set_nice())
    return tuple(measures)


def _failed(measure: Measure, error: Exception, value: int | None = None) -> Applied:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Applied(measure, ok=False, value=value, detail=f"{reason}: needs {_NEEDS[measure]}")
