"""Judges the decisions of one guard on one incident, and sums verdicts up with intervals."""

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.victims.corpus import Truth

# The actions after which a container is gone; the gentler ones (notify, reclaim, brake, resize) cost nobody his life.
LETHAL = frozenset({"kill", "terminate", "evict"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard decided: `victim` is a container id, or a pod's uid: then all its containers die.

    `by_kernel`: the guard came too late or knew nobody, and the kernel chose.
    """

    taken_at: datetime
    victim: str
    action: str = "kill"
    by_kernel: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one incident says about a guard.

    `ahead_seconds`: from the first victim to exhaustion. `cost_ratio`: what all victims cost over what the cheapest
    right one would. `over_freed_ratio`: what they freed beyond what that one would have, as a share of the domain
    (where nobody should die: all that they freed).
    """

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
    over_freed_ratio: float | None = None


def judge(
    truth: Truth, decisions: Iterable[Decision], further: Sequence[Decision] = (), over_freed_ratio: float | None = None
) -> Verdict:
    """A decision at or after the snapshot in which memory was exhausted came too late and is no merit.

    `further`: who would die after the trace's end, until a right one has; these count as victims and cost, and as
    forbidden where the guard chose them. Without them both are lower bounds, and there is no cost for who is too late.
    """
    lethal = sorted((d for d in decisions if d.action in LETHAL), key=lambda d: d.taken_at)
    end = datetime.fromisoformat(truth.exhausted_at) if truth.exhausted_at else None
    early = [d for d in lethal if end is None or d.taken_at < end]
    everyone = [*lethal, *further]
    dead = dict.fromkeys(who for d in everyone for who in victims_of(truth, d))
    chosen = {who for d in everyone if not d.by_kernel for who in victims_of(truth, d)}
    first = victims_of(truth, early[0]) if early else []
    oracle = min((truth.cost[who] for who in truth.culprits), default=None)
    return Verdict(
        kind=truth.kind,
        seed=truth.seed,
        needs_victim=truth.needs_victim,
        right=truth.needs_victim and bool(set(first) & set(truth.culprits)),
        forbidden=bool(chosen & set(truth.forbidden)),
        too_late=truth.needs_victim and not early,
        needless=not truth.needs_victim and bool(lethal),
        victims=len(everyone),
        futile=sum(d.action != "evict" and _outlived(truth, d) for d in lethal),
        ahead_seconds=(end - early[0].taken_at).total_seconds() if end and early else None,
        cost_ratio=sum(truth.cost[who] for who in dead) / oracle if oracle and (early or further) else None,
        first_role=truth.roles[first[0]] if first else None,
        over_freed_ratio=over_freed_ratio,
    )


def _outlived(truth: Truth, decision: Decision) -> bool:
    return bool(set(victims_of(truth, decision)) & set(truth.outlives_container))


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
class Mean:
    """A mean over incidents with its 95 % interval."""

    of: int
    mean: float
    low: float
    high: float


RESAMPLES = 1000


def bootstrap(values: Sequence[float], resamples: int = RESAMPLES) -> Mean | None:
    """B. Efron's percentile interval (1979): costs are skewed, so no normal one. None without values."""
    if not values:
        return None
    rng, of = random.Random(0), len(values)
    means = sorted(sum(rng.choices(values, k=of)) / of for _ in range(resamples))
    at = [means[min(round(part * resamples), resamples - 1)] for part in (0.025, 0.975)]
    return Mean(of, statistics.fmean(values), *at)


@dataclass(frozen=True, slots=True)
class Summary:
    """One row: a kind, or all kinds that need a victim, or all that don't."""

    label: str
    incidents: int
    right: Rate
    forbidden: Rate
    too_late: Rate
    needless: Rate
    victims: Mean | None
    ahead_seconds: float | None
    cost_ratio: Mean | None
    over_freed_ratio: Mean | None
    futile: int


def summarise(label: str, verdicts: Sequence[Verdict]) -> Summary:
    """Victims, cost and what was over-freed over the incidents that need a victim and got one; ahead is a median."""
    needing = [v for v in verdicts if v.needs_victim]
    calm = [v for v in verdicts if not v.needs_victim]
    ended = [v for v in needing if v.cost_ratio is not None]
    ahead = [v.ahead_seconds for v in needing if v.ahead_seconds is not None]
    return Summary(
        label=label,
        incidents=len(verdicts),
        right=wilson(sum(v.right for v in needing), len(needing)),
        forbidden=wilson(sum(v.forbidden for v in needing), len(needing)),
        too_late=wilson(sum(v.too_late for v in needing), len(needing)),
        needless=wilson(sum(v.needless for v in calm), len(calm)),
        victims=bootstrap([v.victims for v in ended]),
        ahead_seconds=statistics.median(ahead) if ahead else None,
        cost_ratio=bootstrap([v.cost_ratio for v in ended if v.cost_ratio is not None]),
        over_freed_ratio=bootstrap([v.over_freed_ratio for v in ended if v.over_freed_ratio is not None]),
        futile=sum(v.futile for v in verdicts),
    )
