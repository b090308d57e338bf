"""Judges the decisions of one guard on one incident, and sums verdicts up with intervals."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.victims.corpus import Truth

# The actions after which a container is gone; the gentler ones (notify, reclaim, brake, resize) cost nobody his life.
LETHAL = frozenset({"kill", "terminate", "evict"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard decided: `victim` is a container id (or a pod uid when it evicts)."""

    taken_at: datetime
    victim: str
    action: str = "kill"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one incident says about a guard. `ahead_seconds`: from the first victim to exhaustion."""

    kind: str
    seed: int
    needs_victim: bool
    right: bool
    forbidden: bool
    too_late: bool
    needless: bool
    victims: int
    futile: int
    ahead_seconds: float | None
    cost_ratio: float | None
    first_role: str | None


def judge(truth: Truth, decisions: Iterable[Decision]) -> Verdict:
    """A decision at or after the snapshot in which memory was exhausted came too late and is no merit."""
    lethal = sorted((d for d in decisions if d.action in LETHAL), key=lambda d: d.taken_at)
    end = datetime.fromisoformat(truth.exhausted_at) if truth.exhausted_at else None
    early = [d for d in lethal if end is None or d.taken_at < end]
    dead = [who for d in lethal for who in victims_of(truth, d)]
    first = victims_of(truth, early[0]) if early else []
    oracle = min((truth.cost[who] for who in truth.culprits), default=None)
    return Verdict(
        kind=truth.kind,
        seed=truth.seed,
        needs_victim=truth.needs_victim,
        right=truth.needs_victim and bool(set(first) & set(truth.culprits)),
        forbidden=bool(set(dead) & set(truth.forbidden)),
        too_late=truth.needs_victim and not early,
        needless=not truth.needs_victim and bool(lethal),
        victims=len(lethal),
        futile=sum(d.action != "evict" and d.victim in truth.outlives_container for d in lethal),
        ahead_seconds=(end - early[0].taken_at).total_seconds() if end and early else None,
        cost_ratio=sum(truth.cost[who] for who in dead) / oracle if oracle and early else None,
        first_role=truth.roles[first[0]] if first else None,
    )


def victims_of(truth: Truth, decision: Decision) -> list[str]:
    """The containers that die: eviction takes the whole pod."""
    if decision.action != "evict" and decision.victim in truth.pods:
        return [decision.victim]
    pod = truth.pods.get(decision.victim, decision.victim)
    whole = [who for who, uid in truth.pods.items() if uid == pod]
    if not whole:
        raise ValueError(f"victim {decision.victim!r} is in no snapshot of {truth.kind}, seed {truth.seed}")
    return sorted(whole, key=lambda who: who != decision.victim)


# -- sums --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Rate:
    """A share of incidents with its Wilson 95 % interval."""

    count: int
    of: int
    share: float
    low: float
    high: float


def wilson(count: int, of: int, z: float = 1.96) -> Rate:
    """E. B. Wilson's score interval (1927): honest near 0 and 1, and with few incidents."""
    if of == 0:
        return Rate(0, 0, math.nan, 0.0, 1.0)
    p = count / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Rate(count, of, p, max(middle - half, 0.0), min(middle + half, 1.0))


@dataclass(frozen=True, slots=True)
class Summary:
    """One row: a kind, or all kinds that need a victim, or all that don't."""

    label: str
    incidents: int
    right: Rate
    forbidden: Rate
    too_late: Rate
    needless: Rate
    victims: float | None
    ahead_seconds: float | None
    cost_ratio: float | None
    futile: int


def summarise(label: str, verdicts: Sequence[Verdict]) -> Summary:
    """Means of victims and cost over the incidents that need a victim and got one in time; ahead is a median."""
    needing = [v for v in verdicts if v.needs_victim]
    calm = [v for v in verdicts if not v.needs_victim]
    timely = [v for v in needing if not v.too_late]
    ratios = [v.cost_ratio for v in timely if v.cost_ratio is not None]
    ahead = [v.ahead_seconds for v in timely if v.ahead_seconds is not None]
    return Summary(
        label=label,
        incidents=len(verdicts),
        right=wilson(sum(v.right for v in needing), len(needing)),
        forbidden=wilson(sum(v.forbidden for v in needing), len(needing)),
        too_late=wilson(sum(v.too_late for v in needing), len(needing)),
        needless=wilson(sum(v.needless for v in calm), len(calm)),
        victims=statistics.fmean(v.victims for v in timely) if timely else None,
        ahead_seconds=statistics.median(ahead) if ahead else None,
        cost_ratio=statistics.fmean(ratios) if ratios else None,
        futile=sum(v.futile for v in verdicts),
    )
