"""What the machine is asked to do: a Job of cells (scenarios) and commands. Shared by host and guest, stdlib only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from .peers import PeerKind

MIB = 1 << 20

GuardKind = Literal["none", "memguard", PeerKind, "command"]
Domain = Literal["node", "kubepods", "pod", "container", "system"]
Driver = Literal["systemd", "cgroupfs"]  # who names the pods' cgroups, and how
Pages = Literal["4k", "thp"]
Shape = Literal[
    "one",  # one process, one thread
    "swarm",  # 50 forked processes share the rate
    "threads",  # 8 threads share the rate
    "two_pods",  # two hogs in two pods, each at the rate
    "churn_beside",  # another container streams through the page cache meanwhile
    "in_database",  # the hog runs inside the cache-heavy database container
    "churn_then_hog",  # `churn_seconds` of streaming reads, then the hog, in one container
    "swap_file",  # one hog, 512 MiB swap file
    "zram",  # one hog, 512 MiB zram swap
    "tmpfs",  # a file grows on a tmpfs mounted from outside: killing frees nothing
    "warm",  # benign: JVM-like rise and plateau at hog_max_bytes
    "batch",  # benign: grows to hog_max_bytes, exits by itself after batch_seconds
    "spike",  # benign: rises to hog_max_bytes and gives it back, three times
    "churn",  # benign: page-cache churn only, for churn_seconds
    "idle",  # nothing grows: for costs at idle
]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The daemon under test. All get the same shield: an own cgroup with memory.min, and oom_score_adj -999.

    In `config`, `argv` and `environment` the words @CGROUP@ (the tree's root), @KUBEPODS@, @RUN@ (a directory of this
    cell, on a tmpfs) and @RESERVE@, @RESERVE_KIB@ (the cell's reserve) are replaced.
    """

    kind: GuardKind = "none"
    config: str = ""  # memguard: content of its --config
    argv: tuple[str, ...] = ()  # command: what to run; memguard: replaces its default arguments
    environment: tuple[tuple[str, str], ...] = ()
    ready: str | None = None  # regular expression in its output; None: the kind's own
    ready_timeout_seconds: float = 120.0  # its files come from a disk that answers in real time: once after 25 s
    fifo: int = 0  # start it SCHED_FIFO with this priority (0: let it do so itself)
    stop_timeout_seconds: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Action:
    """A shell command at a moment of the cell. Its environment: MG_CGROUP (the tree's root), MG_KUBEPODS, MG_GUARD_PID,
    MG_GUARD_CGROUP, MG_RUN, MG_LOADS and, for each container, MG_C_<NAME> (its cgroup) and MG_P_<NAME> (its pod's).
    """

    at_seconds: float  # after the hog's start
    script: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One scenario. The page cache is full and the innocents run before the hog starts.

    Innocents: `service` (bigger, steady anonymous memory), `lat` (maps 1 MiB every 5 ms and measures it) and `database`
    (a little anonymous memory, much page cache, reads steadily). Culprits: `hog` (and `hog2`), or the database.
    """

    name: str
    guard: Guard = Guard()
    domain: Domain = "node"
    shape: Shape = "one"
    rate_mib_s: float = 0.0  # 0: as fast as it goes
    pages: Pages = "4k"
    # Overshoot is counted from here: MemAvailable, or limit minus anon and shmem. None: 100 MiB for node and system,
    # else max(16 MiB, 5 % of the limit).
    reserve_bytes: int | None = None
    limit_bytes: int | None = None  # of the domain; None: 75 % of MemTotal for kubepods, 256 MiB for pod and container
    hog_max_bytes: int | None = None  # None: far more than there is; benign shapes: 80 % of the limit, 30 % of MemTotal
    term_ms: int | None = None  # the hog handles SIGTERM, needs this long and exits 0 (None: SIGTERM ends it)
    term_allocates: bool = False  # ... and another thread goes on growing meanwhile
    processes: int | None = None  # None: the shape's own number
    threads: int | None = None
    hog_delay_seconds: float = 0.0
    idle_containers: int = 0  # extra containers with one sleeping process each
    idle_processes: bool = True  # False: empty cgroups
    service_bytes: int | None = None  # None: 25 % of MemTotal
    database_bytes: int = 48 * MIB
    database_read_mib_s: float = 10.0
    measures_latency: bool = True  # False: without `lat`, which uses a tenth of a CPU
    fill_cache: bool = True
    churn_seconds: float = 30.0
    churn_rate_mib_s: float = 0.0  # 0: as fast as it goes
    churn_writes: bool = False
    batch_seconds: float = 5.0
    time_limit_seconds: float = 30.0  # from the hog's start; benign shapes and "idle" run this long at most
    after_seconds: float = 0.5  # watched after the last culprit ended
    settle_seconds: float = 0.5  # between "guard ready" and the hog
    # Repetitions in virtual time would all meet a poller at one phase: the hog starts 37 ms x repeat mod 100 later.
    repeat: int = 0
    sample_ms: float = 2.0
    sandboxes: bool = True  # a pause container beside each of the cell's containers, with memory.oom.group 0
    driver: Driver = "systemd"
    cpu_controller: bool = True  # False: all processes compete as one group, as without kubelet
    actions: tuple[Action, ...] = ()
    keep_timeline: int = 300  # rows kept of the timeline (0: none)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A shell command in the guest, for everything that is not a cell; cwd is the share, PYTHONPATH is set.

    Its environment: MG_CGROUP, MG_KUBEPODS (exists, with controllers on), MG_RUN, MG_LOADS.
    """

    name: str
    script: str
    timeout_seconds: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one boot does: first the commands, then the cells."""

    cells: tuple[Cell, ...] = ()
    commands: tuple[Command, ...] = ()


def job_from(data: dict[str, Any]) -> Job:
    """The job of its decoded JSON (host side checks it; an unknown field is a TypeError here)."""
    return Job(
        cells=tuple(_cell(cell) for cell in data.get("cells", ())),
        commands=tuple(Command(**command) for command in data.get("commands", ())),
    )


def _cell(data: dict[str, Any]) -> Cell:
    guard = dict(data.get("guard", {}))
    known = {field.name for field in fields(Guard)}
    if unknown := set(guard) - known:
        raise TypeError(f"guard has no {sorted(unknown)}")
    guard["argv"] = tuple(guard.get("argv", ()))
    guard["environment"] = tuple((key, value) for key, value in guard.get("environment", ()))
    actions = tuple(Action(**action) for action in data.get("actions", ()))
    return Cell(**{**data, "guard": Guard(**guard), "actions": actions})
