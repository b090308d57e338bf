"""Why, in words: one sentence per decision and one reason per factor. Nothing is decided here."""

from __future__ import annotations

from memguard.core.pressure import Pressure
from memguard.core.score import FACTORS, Points, factor_points
from memguard.core.select import Candidate, Ranking

WORDS = {factor.name: factor.words for factor in FACTORS} | {"adjustment": "set by policy and by what was learned"}


def size(count_bytes: float) -> str:
    """Bytes for people: `512 MiB`, `1.5 GiB`."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit != "GiB" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def strongest(candidate: Candidate, count: int = 3) -> list[tuple[str, Points]]:
    """The factors that lift this candidate most over a container without any footprint."""
    table = factor_points(candidate.scored)
    low = {factor.name: factor.low for factor in FACTORS}
    lifted = [(name, points) for name, points in table.items() if points.value > max(0.0, low.get(name, 0.0))]
    return sorted(lifted, key=lambda pair: -pair[1].points)[:count]


def situation(domain: str, available_bytes: int, pressure: Pressure) -> str:
    """What is wrong: `node has 58 MiB available and will be exhausted in 0.4 s`."""
    text = f"{domain} has {size(available_bytes)} available"
    if pressure.exhaustion_seconds is not None and pressure.exhaustion_seconds < 3600:
        text += f" and will be exhausted in {pressure.exhaustion_seconds:.1f} s"
    if pressure.stall >= 0.01:
        text += f", stalled {pressure.stall:.0%} of the time"
    return text


def sentence(ranking: Ranking) -> str:
    """Why this victim and no other, or why nobody."""
    state = situation(ranking.domain.key, ranking.domain.available_bytes, ranking.pressure)
    victim = ranking.victim
    if victim is None:
        return f"Nobody is chosen: {state}; {_why_nobody(ranking)}."
    why = ", ".join(f"{name} {points.points}" for name, points in strongest(victim))
    growth = f" and makes {victim.growth_ratio:.0%} of the growth" if victim.growth_ratio > 0 else ""
    return (
        f"{victim.container.title} is chosen: {state}; it scores {victim.scored.score} of 1000 ({why}){growth}, "
        f"and ending it frees {size(victim.freed_bytes)} where {size(ranking.pressure.need_bytes)} are needed"
        f"{_runner_up(ranking)}."
    )


def _runner_up(ranking: Ranking) -> str:
    others = [c for c in ranking.candidates[1:] if c.excluded is None]
    if not others:
        return "; nobody else may be chosen"
    first, second = ranking.candidates[0], others[0]
    return f"; next is {second.container.title} with badness {second.badness:.2f} against {first.badness:.2f}"


def _why_nobody(ranking: Ranking) -> str:
    if not ranking.candidates:
        return "there is no container in it"
    if not ranking.pressure.calls_for_action:
        return f"at pressure {ranking.pressure.pressure:.2f} no score reaches the threshold"
    if ranking.best and ranking.foreign:
        return _why_foreign(ranking)
    if ranking.best and ranking.doubtful:
        return f"{ranking.best.container.title} {_why_doubtful(ranking, ranking.best)}"
    first = ranking.candidates[0]
    return f"the first of them, {first.container.title}, is not, because {first.excluded}"


def _why_doubtful(ranking: Ranking, best: Candidate) -> str:
    if not ranking.domain.is_own_limit:
        return (
            f"makes {best.growth_ratio:.0%} of the growth, and does not die for it before half of the reserve is gone"
        )
    if ranking.pressure.fall_bytes_per_second <= 0:
        return "does not grow, as far as is known"
    return "is given a moment to show whether it wants more"


def _why_foreign(ranking: Ranking) -> str:
    if ranking.foreign_growth:
        return f"containers explain only {ranking.explained_ratio:.0%} of the growth, so ending one would not stop it"
    return "one died for growth outside of the containers not long ago, and nothing shows that this is theirs"
