"""The score, 0..1000: a sum of bounded factors with published weights, normalised by fixed bounds.

    score = round(1000 * (sum weight * value - lowest) / (highest - lowest)) + adjustment, clamped to 0..1000

The bounds come from weights and ranges and never from the other candidates, so that the same input scores the same
on every node, and every point can be explained. docs/score.md tells users why each factor is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log1p, log2
from operator import mul

import msgspec

from memguard.core.domain import Domain
from memguard.core.model import Container, Cpu, Memory
from memguard.core.policy import Rule

#: mu = D / 64: with D/4096 a container of 3 % and one of 30 % of the node score nearly the same; D/16 and D/4096 both
#: cost 6-9 % utility on simulated incidents.
SCALE_PARTS = 64
#: The rise of a domain below which nobody's share of it says anything, as a share of the domain per second.
GROWTH_FLOOR = 5e-5
#: Samples after which a slope is trusted in full.
GROWTH_WARM_UP = 6
#: Growth within its own request is what a container was promised.
ENTITLED_GROWTH = 0.75
#: CPU use beyond this share of the node protects no further.
CPU_SATURATION = 0.02
#: log1p of the highest user priority, 2e9 in round figures: normalises the priority factor to 1.
PRIORITY_SCALE = 21.4
_LOG_WHOLE = log2(1 + SCALE_PARTS)
#: An earlier incarnation's footprint and restarts fade with the age of the present one.
RESTART_FADE_SECONDS = 600.0


class Case(msgspec.Struct, frozen=True, gc=False):
    """One container before the court: everything its factors look at.

    `adjustment` are points: the policy's and the learned bias together.
    """

    container: Container
    domain: Domain
    rule: Rule
    footprint_bytes: int
    pod_footprint_bytes: int
    growth_ratio: float
    age_seconds: float | None
    uptime_seconds: float | None
    cpus: int
    previous_bytes: int
    adjustment: int


class Factor(msgspec.Struct, frozen=True, gc=False):
    """One factor of the score: its weight, its range and what it stands for. `measure` has its value."""

    name: str
    weight: float
    low: float
    high: float
    words: str


def log_share(used_bytes: float, scale_bytes: int) -> float:
    """L(x): 0 for nothing, 1 for the whole domain, logarithmic between: the biggest is not always the victim."""
    return min(1.0, log2(1 + used_bytes * SCALE_PARTS / scale_bytes) / _LOG_WHOLE) if scale_bytes else 0.0


def request(container: Container) -> int | None:
    """What it was promised, in bytes; BestEffort means nothing was, else a missing request is not known."""
    if container.request_bytes is None and container.qos == "BestEffort":
        return 0
    return container.request_bytes


def measure(case: Case) -> tuple[float, ...]:
    """Every factor's value, in the order of FACTORS."""
    container, scale, used = case.container, case.domain.scale_bytes, case.footprint_bytes
    share = log_share(used, scale)
    excess, overuse = _over_request(used, request(container), scale)
    return (
        share,
        case.growth_ratio,
        excess,
        overuse,
        max(-1.0, min(1.0, (container.oom_score_adj or 0) / 1000)),
        _priority(container.priority) if container.priority else 0.0,
        -_activity(container.cpu, case) if container.cpu else 0.0,
        -_seniority(case),
        max(-20, min(20, container.nice or 0)) / 20,
        -1.0 if container.privileged else 0.0,
        -_protected_share(container.memory),
        _history(case),
        max(0.0, log_share(case.pod_footprint_bytes, scale) - share) if case.pod_footprint_bytes > used else 0.0,
    )


def _over_request(used_bytes: int, promised_bytes: int | None, scale_bytes: int) -> tuple[float, float]:
    """excess and overuse: 0 where the request is not known."""
    if promised_bytes is None:
        return 0.0, 0.0
    over = used_bytes - promised_bytes
    if over > 0:
        return log_share(over, scale_bytes), over / used_bytes
    return -log_share(-over, scale_bytes), over / promised_bytes if promised_bytes else 0.0


def _priority(priority: int) -> float:
    share = log1p(abs(priority)) / PRIORITY_SCALE
    return max(-1.0, -share) if priority > 0 else min(1.0, 2 * share)


def _activity(cpu: Cpu, case: Case) -> float:
    total = cpu.total_seconds / (case.age_seconds * case.cpus) if case.age_seconds else 0.0
    recent = total if cpu.recent_cores is None else cpu.recent_cores / case.cpus
    return min(1.0, (0.3 * total + 0.7 * recent) / CPU_SATURATION)


def _seniority(case: Case) -> float:
    if not case.age_seconds or not case.uptime_seconds:
        return 0.0
    uptime = log1p(case.uptime_seconds / 60)
    return min(1.0, log1p(case.age_seconds / 60) / uptime) if uptime else 0.0


def _protected_share(memory: Memory) -> float:
    covered = max(memory.min_bytes or 0, memory.low_bytes or 0)
    return min(1.0, covered / memory.current_bytes) if memory.current_bytes else 0.0


def _history(case: Case) -> float:
    """Restarts and the previous incarnation, fading with the age of this one: a crash-looping hog is not innocent."""
    count = case.container.restart_count or 0
    if case.age_seconds is None or not (count or case.previous_bytes):
        return 0.0
    fade = max(0.0, 1 - case.age_seconds / RESTART_FADE_SECONDS)
    restarts = min(1.0, count / 5)
    earlier = log_share(case.previous_bytes, case.domain.scale_bytes)
    return min(1.0, fade * max(restarts, earlier))


FACTORS = (
    Factor("memory", 1.8, 0, 1, "footprint on a logarithmic scale; page cache counts nothing"),
    Factor("growth", 1.2, 0, 1, "share of the domain's recent rise"),
    Factor("excess", 1.0, -1, 1, "bytes over the request (under it: negative), logarithmic"),
    Factor("overuse", 0.1, -1, 1, "bytes over the request as a share of the footprint (under it: of the request)"),
    Factor("oom_score_adj", 0.1, -1, 1, "what kubelet or people set"),
    Factor("priority", 0.1, -1, 1, "pod priority; higher protects"),
    Factor("cpu", 0.05, -1, 0, "the active are favoured to live; recent use counts most"),
    Factor("lifetime", 0.05, -1, 0, "the long-running are favoured to live"),
    Factor("nice", 0.05, -1, 1, "cgroup and process nice"),
    Factor("privileged", 0.2, -1, 0, "privileged containers score lower"),
    Factor("protection", 0.05, -1, 0, "share covered by memory.min or memory.low"),
    Factor("history", 0.1, 0, 1, "restarts and the footprint of the earlier incarnation, fading"),
    Factor("inherit", 0.1, 0, 1, "from a pod that scores higher than the container alone"),
)

WEIGHTS: Mapping[str, float] = {factor.name: factor.weight for factor in FACTORS}


class Scale(msgspec.Struct, frozen=True, gc=False):
    """A set of weights, normalised: points per unit of each factor's value, and the points of all values at 0."""

    weights: tuple[float, ...]
    units: tuple[float, ...]
    offset: float

    def total(self, values: Iterable[float]) -> int:
        """The normalised score of these values, before any adjustment."""
        return round(self.offset + sum(map(mul, self.units, values), 0.0))


class Score(msgspec.Struct, frozen=True, gc=False):
    """A score and the raw values it came from, in the order of FACTORS; `factor_points` tells the points."""

    score: int
    values: tuple[float, ...]
    scale: Scale
    adjustment: int


class Points(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One factor of an explained score; all points of a score add up to it exactly."""

    value: float
    weight: float
    points: int


def scale_of(overrides: Mapping[str, float]) -> Scale:
    """The scale of the documented weights with a plan's overrides: bounds come from weights and ranges alone."""
    if not overrides:
        return DOCUMENTED
    return _scale(tuple(overrides.get(factor.name, factor.weight) for factor in FACTORS))


def _scale(weights: tuple[float, ...]) -> Scale:
    span = sum(weight * (factor.high - factor.low) for factor, weight in zip(FACTORS, weights, strict=True))
    units = tuple(1000 * weight / span if span > 0 else 0.0 for weight in weights)
    return Scale(weights, units, -sum(unit * factor.low for factor, unit in zip(FACTORS, units, strict=True)))


DOCUMENTED = _scale(tuple(WEIGHTS.values()))


def score(case: Case, scale: Scale) -> Score:
    """Score one container."""
    values = measure(case)
    return Score(max(0, min(1000, scale.total(values) + case.adjustment)), values, scale, case.adjustment)


def factor_points(scored: Score) -> dict[str, Points]:
    """The score, factor by factor: whole points by the largest remainder, the adjustment (after clamping) last.

    Points count from the low end of each factor's range, so that none is negative.
    """
    scale = scored.scale
    shares = [
        unit * (value - factor.low) for factor, unit, value in zip(FACTORS, scale.units, scored.values, strict=True)
    ]
    points = [int(share) for share in shares]
    total = scale.total(scored.values)
    by_remainder = sorted(range(len(shares)), key=lambda index: (points[index] - shares[index], index))
    for index in by_remainder[: total - sum(points)]:
        points[index] += 1
    table = {
        factor.name: Points(value + 0.0, weight, whole)  # -0.0 becomes 0.0
        for factor, value, weight, whole in zip(FACTORS, scored.values, scale.weights, points, strict=True)
    }
    if scored.score != total:
        table["adjustment"] = Points(scored.adjustment / 1000, 1.0, scored.score - total)
    return table


def growth_ratio(sample_count: int, own_rise: float, domain_rise: float, scale_bytes: int, *, entitled: bool) -> float:
    """Own rise (bytes per second) as a share of the rise of the whole domain, 0..1.

    `sample_count` readings stand behind it; `entitled` growth is still within the container's own request.
    """
    if own_rise <= 0:
        return 0.0
    whole = max(domain_rise, GROWTH_FLOOR * scale_bytes, own_rise)
    warm = min(1.0, (sample_count - 1) / GROWTH_WARM_UP)
    return own_rise / whole * warm * (ENTITLED_GROWTH if entitled else 1.0)
