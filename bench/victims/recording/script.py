"""What an incident needs of the machine: who stands where, which loads they run, and how the story goes."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.victims.names import cgroup_path
from bench.victims.workload import MIB, Container

Swap = Literal["", "swap_file", "zram"]
#: Page cache that a container reads again and again, each from a disk of its own; the machine has so many of them.
MOST_READERS = 4
#: Less anonymous memory than this in a process is not worth a process.
LEAST_PROCESS = 4 * MIB
#: A heap's teeth, or traffic: what an innocent takes and gives back, of its memory.
UNREST = (0.01, 0.06)


@dataclass(frozen=True, slots=True)
class Growth:
    """A load whose size follows from the room that there is when the story begins, `delay` seconds after.

    It takes `seconds` to fill `share` of the room but for `left` (of the machine's memory); None: it never stops.
    """

    seconds: float
    delay: float = 0.0
    share: float = 1.0
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A subcommand of tests/machine/loads.c; with `growth` it belongs to the story."""

    role: str
    options: tuple[str, ...] = ()
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A cgroup and what runs in it. `disk`: its page cache; `fills`: it reads until no memory is free."""

    cgroup: str
    loads: tuple[Load, ...]
    oom_score_adj: int = 0
    limit_bytes: int | None = None
    pod_limit_bytes: int | None = None
    disk: int | None = None
    fills: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """One incident for the machine. `room`: the share of what is available that kubepods' limit leaves."""

    name: str
    places: tuple[Place, ...]
    domain: str
    interval: float
    seconds: float
    swap: Swap = ""
    room: float | None = None
    ends_exhausted: bool = True

    def encode(self) -> str:
        """As the machine reads it."""
        return json.dumps(asdict(self))


def place(c: Container, **more: Any) -> Place:
    """A container of the simulated cluster, with loads that hold what it holds."""
    return Place(
        cgroup=cgroup_path(c.pod.uid, c.pod.qos, c.id),
        oom_score_adj=c.adj,
        limit_bytes=c.limit,
        **{"loads": steady(c), **more},
    )


def steady(c: Container) -> tuple[Load, ...]:
    """Its anonymous memory, in as many processes as it is worth."""
    anon = int(c.anon(0.0) + c.shmem(0.0))
    processes = max(min(int(c.processes(0.0)), anon // LEAST_PROCESS), 1)
    size = f"max={anon / MIB:.0f}"
    if processes == 1:
        return (Load("warm", (size, "period_ms=1000")),)
    return (Load("hog", (size, f"processes={processes}")),)
