"""What is measured of the costs: one type a part, with its units in the names. In JSON the names are in camelCase."""

from __future__ import annotations

from typing import Any

import msgspec

Milliseconds = tuple[float, ...]


class Figure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of all of them."""


class Pass(Figure):
    """Milliseconds of each round over so many containers; `score` and `judge` include what stands before them."""

    containers: int
    c_ms: Milliseconds  # the program that reads the same files
    read_ms: Milliseconds
    score_ms: Milliseconds
    judge_ms: Milliseconds  # with the history, and the choice

    @property
    def ratio(self) -> float:
        """Of the whole pass to the C program, best of each."""
        return min(self.judge_ms) / min(self.c_ms)

    @property
    def each_us(self) -> float:
        """Microseconds of the whole pass for each container."""
        return min(self.judge_ms) / self.containers * 1000


class Idle(Figure):
    """A quiet minute of one guard. `pss`: all processes, shared pages divided among those that share them."""

    guard: str
    alive: bool
    containers: int
    node_mib: int
    cpu_ms: float
    wake_ups: int
    rss_kib: int  # of the largest process
    pss_kib: int
    descriptors: int
    cgroup_bytes: int


class Sample(Figure):
    """The guard's main process at a moment of the day; CPU and wake-ups are of all its processes so far."""

    at_seconds: int
    rss_kib: int
    descriptors: int
    cgroup_bytes: int
    anon_bytes: int
    kernel_bytes: int
    cpu_ms: float
    wake_ups: int


class Day(Figure):
    """Calm hours with containers that come and go."""

    containers: int
    came: int
    samples: tuple[Sample, ...]
    wall_seconds: float  # real ones

    @property
    def hours(self) -> float:
        """Of the guest's clock."""
        return self.samples[-1].at_seconds / 3600


class Deed(Figure):
    """From one wake-up to the kill: requests to Python's allocators, and what stood in the way."""

    containers: int
    seconds: float
    allocations: int
    allocated_bytes: int
    blocks: int  # that are still there at the end
    collections: int
    minor_faults: int
    major_faults: int


class Start(Figure):
    """Milliseconds since the call until each step was done."""

    containers: int
    interpreter_ms: float
    imported_ms: float
    discovered_ms: float
    protected_ms: float  # locked, real-time, out of the OOM killer's reach
    ready_ms: float


class Process(Figure):
    """A program of the cluster, in real time; `size` counts pods for an agent, nodes for the operator."""

    program: str
    size: int
    ready_seconds: float
    rss_mib: float
    cpu_ms: float  # a quiet minute
    wake_ups: float


class Figures(Figure):
    """All of it; a part that was not measured is empty."""

    passes: tuple[Pass, ...] = ()
    idle: tuple[Idle, ...] = ()
    day: Day | None = None
    deeds: tuple[Deed, ...] = ()
    starts: tuple[Start, ...] = ()
    agents: tuple[Process, ...] = ()
    operators: tuple[Process, ...] = ()


def figures(parts: dict[str, Any]) -> Figures:
    """As they stand in a report."""
    return msgspec.convert(parts, Figures)
