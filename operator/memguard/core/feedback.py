"""What was learned from past actions: did ending a workload free what was promised, and who causes pressure again?

It moves scores a little (`bias_points`, at most 50 of 1000 either way), in the open (`Conduct` holds every number) and
not for ever: everything but the count of kills halves in six hours, long enough for a fault to be remembered through
a working day and short enough that a workload that was repaired is as good as new the next morning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from memguard.core.model import Bytes, Count, Record
from memguard.core.policy import LEARNED_POINTS, Ratio, workload
from memguard.core.select import YOUTH_FORFEIT, Candidate

HALF_LIFE_SECONDS = 6 * 3600.0
#: A score's share for each incident that is still remembered in full: four of them reach the bound.
POINTS_PER_INCIDENT = 12.5
#: No more incidents or measurements than this count, so that nothing is held against anybody for much longer than two
#: half lives.
MOST_REMEMBERED = 8.0
#: Nothing is learned from what came to less than this: the rest of the machine moves by as much.
SMALLEST_ESTIMATE = 1 << 20
#: Workloads that are remembered: about four times what one node can run.
MOST_WORKLOADS = 1024

#: A count that fades.
Amount = Annotated[float, msgspec.Meta(ge=0)]


class Result(Record, frozen=True, kw_only=True):
    """How an incident went for one workload; `freed_bytes` is None where nothing was measured."""

    workload: str
    #: it made at least half of the growth that led here
    caused: bool = False
    killed: bool = False
    estimated_bytes: Bytes = 0
    freed_bytes: Bytes | None = None


class Conduct(Record, frozen=True, kw_only=True):
    """What is remembered of one workload, as of `at` (seconds since the epoch); `kills` does not fade."""

    at: float
    incidents: Amount = 0.0
    kills: Count = 0
    #: freed against estimated, a mean in which older measurements weigh less; None before the first
    effectiveness: Ratio | None = None
    #: measurements behind it, faded
    measurements: Amount = 0.0


class Experience(Record, frozen=True, kw_only=True):
    """All that is remembered, by workload (policy.workload). It may be written down and read again as it is."""

    workloads: dict[str, Conduct] = {}


def result(candidate: Candidate, *, killed: bool, freed_bytes: int | None = None) -> Result:
    """What there is to learn from how it ended for one candidate (let go, or ended and measured)."""
    return Result(
        workload=workload(candidate.container),
        caused=candidate.growth_ratio >= YOUTH_FORFEIT,
        killed=killed,
        estimated_bytes=candidate.freed_bytes,
        freed_bytes=freed_bytes,
    )


def learn(memory: Experience, outcome: Result, now: float) -> Experience:
    """The memory after one outcome. When it is full, whoever was heard of longest ago is forgotten."""
    before = conduct(memory, outcome.workload, now)
    workloads = memory.workloads | {outcome.workload: _measured(before, outcome)}
    if len(workloads) > MOST_WORKLOADS:
        by_age = sorted(workloads, key=lambda name: (-workloads[name].at, name))
        workloads = {name: workloads[name] for name in by_age[:MOST_WORKLOADS]}
    return Experience(workloads=workloads)


def conduct(memory: Experience, name: str, now: float) -> Conduct:
    """What is remembered of a workload, faded to this moment: the figures behind its points."""
    known = memory.workloads.get(name, Conduct(at=now))
    left: float = 0.5 ** (max(0.0, now - known.at) / HALF_LIFE_SECONDS)
    return msgspec.structs.replace(
        known, at=max(now, known.at), incidents=known.incidents * left, measurements=known.measurements * left
    )


def bias_points(memory: Experience, name: str, now: float) -> int:
    """Points that are added to the score of a workload's containers, within +-50.

    Plus for repeated incidents; minus where ending it freed less than promised, in full once two measurements say so.
    """
    known = conduct(memory, name, now)
    guilt = min(LEARNED_POINTS, POINTS_PER_INCIDENT * known.incidents)
    shortfall = 1 - known.effectiveness if known.effectiveness is not None else 0.0
    doubt = LEARNED_POINTS * shortfall * min(1.0, known.measurements / 2)
    return round(guilt - doubt)


def bias(memory: Experience, now: float) -> dict[str, int]:
    """The points of all workloads that have any: `Plan.bias`."""
    points = {name: bias_points(memory, name, now) for name in memory.workloads}
    return {name: count for name, count in points.items() if count}


def busiest(points: Mapping[str, int], count: int) -> dict[str, int]:
    """Those with most points, either way."""
    return dict(sorted(points.items(), key=lambda pair: -abs(pair[1]))[:count])


def reset(memory: Experience, name: str | None = None) -> Experience:
    """The memory without one workload, or without any."""
    kept = {} if name is None else {key: value for key, value in memory.workloads.items() if key != name}
    return Experience(workloads=kept)


def _measured(before: Conduct, outcome: Result) -> Conduct:
    """One more outcome; the new measurement counts once, the older ones what has not faded of them."""
    effectiveness, measurements = before.effectiveness, before.measurements
    if outcome.freed_bytes is not None and outcome.estimated_bytes >= SMALLEST_ESTIMATE:
        ratio = min(1.0, outcome.freed_bytes / outcome.estimated_bytes)
        mean = ratio if effectiveness is None else (effectiveness * measurements + ratio) / (measurements + 1)
        effectiveness, measurements = min(1.0, mean), min(MOST_REMEMBERED, measurements + 1)
    return Conduct(
        at=before.at,
        incidents=min(MOST_REMEMBERED, before.incidents + outcome.caused),
        kills=before.kills + outcome.killed,
        effectiveness=effectiveness,
        measurements=measurements,
    )
