"""What each factor of the score carries: it is left out, halved and doubled, and everything is judged again."""

from collections.abc import Iterator, Sequence

from bench.victims.verdict import Verdict

from memguard.core.score import FACTORS, WEIGHTS

#: Those that carry the score by their weights; the others are said to break ties.
LEADING = ("memory", "growth", "excess")
CHANGES = {"without": 0.0, "halved": 0.5, "doubled": 2.0}


def variants() -> Iterator[tuple[str, dict[str, float]]]:
    """Name and weights of each: one factor changed, or all that do not lead left out."""
    for factor in FACTORS:
        yield from changed(factor.name)
    yield "leading only", {name: 0.0 for name in WEIGHTS if name not in LEADING}


def changed(name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """One factor left out, halved and doubled."""
    return ((f"{name} {change}", {name: WEIGHTS[name] * times}) for change, times in CHANGES.items())


def changes(before: Sequence[Verdict], after: Sequence[Verdict]) -> tuple[int, int]:
    """In how many incidents the change helped and hurt: the right victim in time, or nobody where nobody should die."""
    pairs = [(_well(a), _well(b)) for a, b in zip(before, after, strict=True)]
    return sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs)


def _well(verdict: Verdict) -> bool:
    return verdict.right if verdict.needs_victim else not verdict.needless
