"""What a seed draws: who grows and against which boundary, which faults come, and when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from inside.chaos.faults import FAULTS

Boundary = Literal["none", "container", "node", "kubepods"]
BOUNDARIES: tuple[Boundary, ...] = ("container", "container", "node", "node", "kubepods", "none")
LIMITS_MIB, RATES_MIB_S, PROCESSES = (160, 200, 256), (0, 50, 200, 400), (1, 1, 4, 20)
FAULTS_OF_A_RUN = (1, 1, 2, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One fault, so long, from that moment after the guard's start on (0: it is there before)."""

    fault: str
    at_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One run."""

    boundary: Boundary
    limit_mib: int
    rate_mib_s: int
    processes: int
    hog_at_seconds: float
    grace_seconds: float
    kills_allowed: int
    faults: tuple[Timed, ...]
    ending: Literal["SIGTERM", "SIGKILL", "both killed"]

    @property
    def names(self) -> tuple[str, ...]:
        """Its faults' names."""
        return tuple(timed.fault for timed in self.faults)


def draw(part: str, seed: int) -> Draw:
    """The same for the same seed, always."""
    chance = Random(f"{part}{seed}")
    names = chance.sample(sorted(FAULTS), chance.choice(FAULTS_OF_A_RUN))
    return Draw(
        boundary=chance.choice(BOUNDARIES),
        limit_mib=chance.choice(LIMITS_MIB),
        rate_mib_s=chance.choice(RATES_MIB_S),
        processes=chance.choice(PROCESSES),
        hog_at_seconds=chance.uniform(0.2, 1.5),
        grace_seconds=chance.choice((0.0, 0.0, 0.3)),
        kills_allowed=chance.choice((20, 20, 20, 20, 20, 1)),
        faults=tuple(_timed(name, chance) for name in names),
        ending=chance.choice(("SIGTERM", "SIGKILL", "both killed")),
    )


def _timed(name: str, chance: Random) -> Timed:
    at = 0.0 if FAULTS[name].before else chance.uniform(0.05, 1.5)
    return Timed(fault=name, at_seconds=at, seconds=chance.uniform(0.3, 2.5))
