"""From a Cell to what is set up: containers, limits and loads. Pure, so that it can be tested without a kernel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .cgroups import Names, as_cgroupfs
from .spec import MIB, Cell

Phase = Literal[
    "before",  # steady memory, there before the cache is filled
    "fill",  # reads until the page cache is full; waited for
    "watched",  # innocents that measure or compete, started after the guard
    "hog",  # what the cell is about
]

BENIGN = ("warm", "batch", "spike", "churn", "idle")
SWARM = 50
THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Load:
    """One process: `loads ROLE ARGUMENTS`."""

    role: str
    phase: Phase
    arguments: tuple[str, ...] = ()
    ends: bool = False  # may exit 0 by itself; whatever else ends was made to


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container, or a plain service in system.slice."""

    name: str
    path: str  # below the tree's root
    oom_score_adj: int
    loads: tuple[Load, ...]
    culprit: bool = False
    limit_bytes: int | None = None
    pod_limit_bytes: int | None = None
    in_pod: bool = True
    oom_group: bool = True  # as kubelet sets it on containers, not on sandboxes

    @property
    def pod(self) -> str:
        """Its pod's directory."""
        return str(Path(self.path).parent)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a cell sets up. `limit_path` is the cgroup whose memory.max is the domain, None for the node."""

    containers: tuple[Container, ...]
    idle: tuple[Container, ...]  # and the pause sandboxes
    reserve_bytes: int
    limit_bytes: int | None
    limit_path: str | None
    swap: str
    hog_seconds: float  # how long the hog phase may last
    ends_with_culprits: bool  # False: the whole time is watched
    watched: tuple[str, ...] = field(default=())  # containers in the timeline
    kubepods: str = "kubepods.slice"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a plan must know of the machine: sizes in bytes, and files."""

    total_bytes: int
    free_bytes: int
    source: Path  # streaming reads come from here
    run: Path  # this cell's scratch directory, on a tmpfs


def make_plan(cell: Cell, machine: Machine) -> Plan:
    """The containers of one cell and what runs in them."""
    plan = _make_plan(cell, machine)
    if cell.driver == "systemd":
        return plan
    return replace(
        plan,
        kubepods=as_cgroupfs(plan.kubepods),
        limit_path=plan.limit_path and as_cgroupfs(plan.limit_path),
        containers=tuple(replace(container, path=as_cgroupfs(container.path)) for container in plan.containers),
        idle=tuple(replace(container, path=as_cgroupfs(container.path)) for container in plan.idle),
    )


def _make_plan(cell: Cell, machine: Machine) -> Plan:
    limit = _limit(cell, machine)
    culprits = _culprits(cell, machine, limit)
    names = {container.name for container in culprits}
    others = [container for container in _innocents(cell, machine, limit) if container.name not in names]
    limited = culprits[0] if culprits else others[0]
    paths = {"kubepods": "kubepods.slice", "pod": limited.pod, "container": limited.path}
    return Plan(
        containers=(*culprits, *others),
        idle=(
            *(_sandbox(container) for container in (*culprits, *others) if container.in_pod and cell.sandboxes),
            *(_idle(index, occupied=cell.idle_processes) for index in range(cell.idle_containers)),
        ),
        reserve_bytes=_reserve(cell, limit),
        limit_bytes=limit,
        limit_path=paths.get(cell.domain),
        swap=cell.shape if cell.shape in {"swap_file", "zram"} else "",
        hog_seconds=cell.time_limit_seconds + _hog_delay(cell),
        ends_with_culprits=cell.shape not in BENIGN,
        watched=(*(container.name for container in culprits), "service", "database"),
    )


def _limit(cell: Cell, machine: Machine) -> int | None:
    if cell.domain in {"node", "system"}:
        return None
    default = machine.total_bytes * 3 // 4 & ~4095 if cell.domain == "kubepods" else 256 * MIB
    return cell.limit_bytes or default


def _reserve(cell: Cell, limit: int | None) -> int:
    default = 100 * MIB if limit is None else max(16 * MIB, limit // 20)
    return default if cell.reserve_bytes is None else cell.reserve_bytes


def _own_limits(cell: Cell, limit: int | None) -> dict[str, int | None]:
    """As kubelet sets them: a container's limit is also its pod's, when it is the only one."""
    own = limit if cell.domain == "container" else None
    return {"limit_bytes": own, "pod_limit_bytes": limit if cell.domain == "pod" else own}


def _culprits(cell: Cell, machine: Machine, limit: int | None) -> list[Container]:
    hog = _hog(cell, machine, limit)
    if cell.shape == "idle":
        return []
    if cell.domain == "system":
        path = "system.slice/leak.service"
        return [Container(name="hog", path=path, oom_score_adj=0, loads=hog, culprit=True, in_pod=False)]
    if cell.shape == "in_database":
        database = _database(cell, machine)
        loads = (*database.loads, *hog)
        return [_pod("database", _request(cell, "database"), machine, loads, culprit=True, **_own_limits(cell, limit))]
    names = ("hog", "hog2") if cell.shape == "two_pods" else ("app",) if cell.shape in BENIGN else ("hog",)
    culprit = cell.shape not in BENIGN
    return [_pod(name, 64 * MIB, machine, hog, culprit=culprit, **_own_limits(cell, limit)) for name in names]


def _innocents(cell: Cell, machine: Machine, limit: int | None) -> list[Container]:
    service = _service(cell, machine)
    grow = Load(role="warm", phase="before", arguments=(f"max={service // MIB}", "period_ms=1000"))
    found = [
        _pod("service", service, machine, (grow,)),
        _database(cell, machine),
    ]
    if cell.measures_latency:
        found.append(_pod("lat", 32 * MIB, machine, (Load(role="lat", phase="watched"),)))
    if cell.fill_cache and cell.shape == "in_database" and limit is not None:
        # The limited database cannot fill the node's cache: somebody else's reading does.
        found.append(_pod("reader", 32 * MIB, machine, (_fill(cell, machine),)))
    if cell.shape == "churn_beside":
        found.append(_pod("churner", 32 * MIB, machine, (_churn(cell, machine, seconds=0.0, phase="watched"),)))
    return found


def _service(cell: Cell, machine: Machine) -> int:
    return machine.total_bytes // 4 if cell.service_bytes is None else cell.service_bytes


def _database(cell: Cell, machine: Machine) -> Container:
    """Much page cache, little anonymous memory: the one that a guard by memory.current would wrongly choose."""
    window = machine.total_bytes * 2 // 5 // MIB
    read = (f"path={machine.source}", f"window={window}", f"rate={cell.database_read_mib_s}")
    loads = (
        Load(role="warm", phase="before", arguments=(f"max={cell.database_bytes // MIB}", "period_ms=1000")),
        *((_fill(cell, machine),) if cell.fill_cache else ()),
        *((Load(role="churn", phase="watched", arguments=read),) if cell.database_read_mib_s else ()),
    )
    return _pod("database", _request(cell, "database"), machine, loads)


def _fill(cell: Cell, machine: Machine) -> Load:
    """More than is free: afterwards MemFree is at the watermarks, as on any node that has run for a day."""
    total = (machine.free_bytes * 17 // 16 - _service(cell, machine)) // MIB
    arguments = (f"path={machine.source}", "op=ahead", f"total={total}", f"window={total}")
    return Load(role="churn", phase="fill", arguments=arguments, ends=True)


def _churn(cell: Cell, machine: Machine, *, seconds: float, phase: Phase) -> Load:
    """Every read misses: the window is larger than the machine."""
    arguments = (
        f"path={machine.source}",
        f"op={'write' if cell.churn_writes else 'read'}",
        f"window={max(2 * machine.total_bytes // MIB, 4096)}",
        f"seconds={seconds}",
        f"rate={cell.churn_rate_mib_s}",
        f"report={machine.run / 'churn.json'}",
    )
    return Load(role="churn", phase=phase, arguments=arguments, ends=seconds > 0)


def _hog_delay(cell: Cell) -> float:
    return (
        cell.hog_delay_seconds
        + 37 * cell.repeat % 100 / 1000
        + (cell.churn_seconds if cell.shape == "churn_then_hog" else 0.0)
    )


def _hog(cell: Cell, machine: Machine, limit: int | None) -> tuple[Load, ...]:
    """What grows (or, in a benign shape, what must survive)."""
    seconds = cell.churn_seconds
    if cell.shape == "churn":
        return (_churn(cell, machine, seconds=seconds, phase="hog"),)
    size = _hog_max(cell, machine, limit)
    rate = cell.rate_mib_s or (size / MIB / cell.batch_seconds * 1.1 if cell.shape == "batch" else 0.0)
    common = (
        f"rate={rate}",
        f"pages={cell.pages}",
        f"progress={machine.run / 'progress'}",
        f"delay_ms={_hog_delay(cell) * 1000:.0f}",
        f"max={size // MIB}",
    )
    role, own = _hog_kind(cell, machine)
    hog = Load(role=role, phase="hog", arguments=(*common, *own), ends=role in {"batch", "spike"})
    if cell.shape == "churn_then_hog":
        return (_churn(cell, machine, seconds=seconds, phase="hog"), hog)
    return (hog,)


def _hog_max(cell: Cell, machine: Machine, limit: int | None) -> int:
    if cell.hog_max_bytes is not None:
        return cell.hog_max_bytes
    if cell.shape in BENIGN:
        return machine.total_bytes * 3 // 10 if limit is None else limit * 8 // 10
    return 2 * machine.total_bytes


def _hog_kind(cell: Cell, machine: Machine) -> tuple[str, tuple[str, ...]]:
    """The subcommand of loads and its special options."""
    if cell.shape == "tmpfs":
        return "shm", (f"path={machine.run / 'shm' / 'file'}",)
    if cell.shape == "batch":
        return "batch", (f"seconds={cell.batch_seconds}",)
    if cell.shape == "spike":
        return "spike", ("hold_ms=200", "gap_ms=500", "repeat=3")
    if cell.shape == "warm":
        return "warm", ("period_ms=200",)
    processes = cell.processes or (SWARM if cell.shape == "swarm" else 1)
    threads = cell.threads or (THREADS if cell.shape == "threads" else 1)
    options = [f"processes={processes}", f"threads={threads}"]
    if cell.term_ms is not None:
        options += [f"term_ms={cell.term_ms}", f"term_alloc={int(cell.term_allocates)}"]
    if cell.shape in {"swap_file", "zram"}:
        options.append("data=half")  # compresses 2 : 1, as programs do; untouched pages would compress to nothing
    return "hog", tuple(options)


def _request(cell: Cell, name: str) -> int:
    return cell.database_bytes + 64 * MIB if name == "database" else 64 * MIB


def _pod(
    name: str,
    request: int,
    machine: Machine,
    loads: tuple[Load, ...],
    *,
    culprit: bool = False,
    limit_bytes: int | None = None,
    pod_limit_bytes: int | None = None,
) -> Container:
    return Container(
        name=name,
        path=Names(name).container(),
        oom_score_adj=_adjustment(request, machine.total_bytes),
        loads=loads,
        culprit=culprit,
        limit_bytes=limit_bytes,
        pod_limit_bytes=pod_limit_bytes,
    )


def _adjustment(request: int, total: int) -> int:
    """kubelet's formula for Burstable pods: 1000 - 1000 x request / capacity, kept within 3..999."""
    return min(max(1000 - 1000 * request // total, 3), 999)


def _sandbox(container: Container) -> Container:
    load = Load(role="pause", phase="before")
    path = Names(container.name).container("sandbox")
    return Container(
        name=f"{container.name}.sandbox", path=path, oom_score_adj=-998, loads=(load,), oom_group=False
    )  # fmt: skip


def _idle(index: int, *, occupied: bool) -> Container:
    loads = (Load(role="pause", phase="before"),) if occupied else ()
    name = f"idle{index}"
    return Container(name=name, path=Names(name).container(), oom_score_adj=999, loads=loads)
