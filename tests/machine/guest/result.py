"""What a cell brings back. Shared by host and guest, stdlib only. Times without a unit are seconds after the hog's
start; None means that the thing never happened or was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """One process that the harness started."""

    role: str  # hog, shm, churn, lat, warm, ..., pause
    pid: int
    ended_at: float | None  # None: alive at the cell's end
    exit_code: int | None  # -9: SIGKILL, -15: SIGTERM, 0: clean


@dataclass(frozen=True, kw_only=True)
class ContainerResult:
    """One container (idle ones are only counted)."""

    name: str
    path: str  # below the tree's root
    culprit: bool
    processes: tuple[ProcessResult, ...]
    alive_pids: int  # at the end, forked children included; those being killed don't count
    died: bool  # had processes that ended against its will, and none is left
    touched: bool  # lost a process against its will, or the kernel's OOM killer was here
    oom_kills: int  # memory.events oom_kill: processes
    events: dict[str, int]  # memory.events.local: low, high, max, oom, oom_kill, oom_group_kill
    current_bytes: int
    peak_bytes: int | None
    limit_bytes: int | None
    held_start_bytes: int = 0  # anonymous and shared memory, here or in swap, just before the hog's start
    held_bytes: int = 0  # and at the end
    cpu_ms: float = 0.0  # all that it ever used


@dataclass(frozen=True, kw_only=True)
class GuardResult:
    """What the guard was and cost. CPU counts from "ready" to just before its end, all its processes together."""

    kind: str
    pid: int | None = None
    ready_seconds: float | None = None  # from its start; None: the pattern never came
    exit_code: int | None = None
    stop_seconds: float | None = None  # SIGTERM to exit; None: it had to be killed, or had ended before
    died_early: bool = False
    cpu_ms: float = 0.0
    watched_seconds: float = 0.0
    rss_kib: int = 0  # largest process, at the end
    locked_kib: int = 0
    rss_ready_kib: int = 0
    cgroup_bytes: int = 0  # memory.current of its cgroup, at the end
    cgroup_ready_bytes: int = 0
    cgroup_peak_bytes: int | None = None
    major_faults: int = 0  # from "ready" to the end
    descriptors: int = 0
    log: tuple[str, ...] = ()  # its output, the last 400 lines
    log_lines: int = 0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Report of the `lat` innocent: how long its 1 MiB took, map to unmap, from just before the hog's start."""

    n: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    worst_at: float | None
    over_100ms: int
    stall_ms: float  # sum of those over 100 ms


@dataclass(frozen=True, kw_only=True)
class ActionResult:
    """One action's outcome."""

    at: float
    exit_code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Thinned samples: dense around the kill, all minima kept. Rows are [seconds, values of `columns` in KiB]; -1 is
    "max" or a vanished cgroup, `frozen` is 0 or 1.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[float, ...], ...] = ()
    samples: int = 0  # before thinning
    worst_gap_ms: float = 0.0  # longest time between two samples


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One cell's measurements."""

    name: str
    seconds: float  # of the guest's clock, set-up and tear-down included
    lasted: float  # hog's start to the end of watching
    # --- who died
    kernel_oom_kills: int  # /proc/vmstat oom_kill: processes
    kernel_log: tuple[str, ...]  # the kernel's own lines about it
    containers: tuple[ContainerResult, ...]
    culprits_died: tuple[str, ...]
    culprits_whole: bool  # every culprit that was hit lost all its processes, and at least one was hit
    innocents_touched: tuple[str, ...]
    idle_touched: int
    # --- how late
    reserve_bytes: int
    headroom_start_bytes: int  # what the domain had left when the hog started
    headroom_min_bytes: int  # and at its lowest
    headroom_min_at: float
    line_crossed_at: float | None  # the first sample with less than the reserve left
    overshoot_bytes: int  # reserve minus that, 0 at least
    overshoot_ms: float | None  # the same at the fill rate
    available_min_bytes: int  # MemAvailable, whatever the domain
    available_min_at: float
    fill_bytes_s: float | None  # over the last 100 ms of growth
    filled_bytes: int  # largest sum that the culprits had touched
    grew_until: float | None  # last step of a culprit
    ended_at: float | None  # the last culprit process that the harness started was gone
    limit_bytes: int | None
    limit_peak_bytes: int | None  # memory.peak of the domain's cgroup
    # --- what it did to the others
    latency: Latency | None
    churn_mib_s: float | None
    churn_worst_ms: float | None
    stall_some_ms: float  # /proc/pressure/memory over the watched time
    stall_full_ms: float
    vmstat: dict[str, int]  # deltas of a few counters
    worst_step_ms: float  # the culprit's own longest step (256 KiB, or 2 MiB with THP)
    sigterm_at: float | None  # a graceful hog received SIGTERM
    exit_at: float | None  # and exited by itself
    # --- the guard
    guard: GuardResult
    leftovers: dict[str, str] = field(default_factory=dict)  # file below the root -> value, after the guard's end
    actions: tuple[ActionResult, ...] = ()
    timeline: Timeline = Timeline()


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """One command's outcome."""

    name: str
    exit_code: int | None  # None: killed after its timeout
    stdout: str
    stderr: str
    seconds: float
