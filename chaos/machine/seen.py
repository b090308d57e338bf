"""What the guest tells of a run (tests/kernel/inside/chaos/play.py), as it is judged."""

from __future__ import annotations

from typing import Any

import msgspec

#: A journal's line; what is no JSON comes as kind "noise".
Line = dict[str, Any]


class Timed(msgspec.Struct, frozen=True):
    """A fault, from a moment after the guard's start on, so long."""

    fault: str
    at_seconds: float
    seconds: float


class Draw(msgspec.Struct, frozen=True):
    """What the seed drew; draw.py says what the fields mean."""

    boundary: str
    limit_mib: int
    rate_mib_s: int
    processes: int
    hog_at_seconds: float
    grace_seconds: float
    kills_allowed: int
    faults: tuple[Timed, ...]
    ending: str


class End(msgspec.Struct, frozen=True, rename="camel"):
    """How a container stood when the faults were over."""

    populated: bool
    kernel_kills: int


class Again(msgspec.Struct, frozen=True, rename="camel"):
    """The hog that came when all was over: was it ended, and how many did the kernel kill then?"""

    gone: bool
    kernel_kills: int


class Size(msgspec.Struct, frozen=True, rename="camel"):
    """What the guard held."""

    rss_kib: int
    descriptors: int
    cgroup_bytes: int


class Seen(msgspec.Struct, frozen=True, rename="camel"):
    """One run. Moments are seconds since it began; `absences` are when no guard ran, [from] or [from, to]."""

    draw: Draw
    gone: bool
    containers: dict[str, End]
    bystanders: tuple[str, ...]
    innocents: dict[str, bool]
    absences: tuple[tuple[float, ...], ...]
    kernel_kills_at: tuple[float, ...]
    without: tuple[str, ...]
    read_only: tuple[str, ...]
    guard_killed_by_kernel: int
    again: Again
    size: tuple[Size | None, Size | None]
    standing: dict[str, str]
    left: dict[str, str]
    left_seconds: float
    pages_may_move: bool
    exit: int | None
    journals: tuple[tuple[Line, ...], ...]

    @property
    def faults(self) -> frozenset[str]:
        """Their names."""
        return frozenset(timed.fault for timed in self.draw.faults)

    def lines(self, kind: str) -> list[Line]:
        """Of all its guards."""
        return [line for journal in self.journals for line in journal if line["kind"] == kind]


def decode(told: dict[str, Any]) -> Seen:
    """What the guest told; a guard that could not start had no size."""
    return msgspec.convert({**told, "size": [size or None for size in told["size"]]}, Seen)
