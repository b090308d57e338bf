"""The bars of the score, in thousandths of a bar's whole length: a factor's points, and a container's score."""

from __future__ import annotations

import msgspec

from memguard.cli.explanation import Explanation
from memguard.cli.incident.incident import Incident, explained, others_explained
from memguard.cli.reports import FactorReport
from memguard.core.explain import size
from memguard.core.score import FACTORS, scale_of

WHOLE = 1000


class FactorBar(msgspec.Struct, frozen=True, kw_only=True):
    """One factor of the victim's score.

    The bar: `most` is what the factor could make, `neutral` what it makes where it says nothing, `filled` what it made.
    """

    name: str
    words: str
    value: float
    weight: float
    points: int
    most: int
    neutral: int
    filled: int

    @property
    def speaks(self) -> bool:
        """Did it raise or lower the score?"""
        return self.value != 0

    @property
    def low(self) -> int:
        """Where the part begins that this container has more or less than a neutral one."""
        return min(self.neutral, self.filled)

    @property
    def raises(self) -> bool:
        """Did it speak against the victim?"""
        return self.filled > self.neutral


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One of those that were compared; the score's bar is the score itself, in thousandths."""

    title: str
    score: int
    badness: float
    frees: str
    growth: str
    kind: str
    chosen: bool
    why_not: str
    change: str


def factor_bars(incident: Incident) -> tuple[FactorBar, ...]:
    """Those that speak first, by their points; all points together are the score."""
    reports = explained(incident).factors
    scale = scale_of({name: report.weight for name, report in reports.items()})
    ranges = {factor.name: (unit, factor.low, factor.high) for factor, unit in zip(FACTORS, scale.units, strict=True)}
    widest = max((unit * (high - low) for unit, low, high in ranges.values()), default=0) or 1
    bars = [_bar(name, report, ranges.get(name, (0, 0, 0)), widest) for name, report in reports.items()]
    return tuple(sorted(bars, key=lambda bar: (not bar.speaks, -bar.points, bar.name)))


def rows(incident: Incident) -> tuple[Row, ...]:
    """All that were compared, the victim first."""
    spec = incident.decision.spec
    victim, others = explained(incident), {one.container: one for one in others_explained(incident)}
    why_not = {other.id: other.why_not for other in victim.others}
    return tuple(
        Row(
            title=one.title,
            score=one.score,
            badness=one.badness,
            frees=size(one.freed_bytes),
            growth=f"{one.growth_ratio:.0%}",
            kind=", ".join(filter(None, (one.owner_kind, one.qos))),
            chosen=one.id == spec.victim.id,
            why_not=why_not.get(one.id, ""),
            change=_change(others[one.id]) if one.id in others else "",
        )
        for one in spec.candidates
    )


def _change(other: Explanation) -> str:
    """What would have had it chosen; empty where no score does, since the reason says that already."""
    points = next((change.amount for change in other.changes if change.kind == "points"), None)
    return f"It would have been with {points} points more." if points is not None else ""


def _bar(name: str, report: FactorReport, unit_and_range: tuple[float, float, float], widest: float) -> FactorBar:
    unit, low, high = unit_and_range

    def share(points: float) -> int:
        return round(WHOLE * max(0.0, min(1.0, points / widest)))

    return FactorBar(
        name=name,
        words=report.reason,
        value=report.value,
        weight=report.weight,
        points=report.points,
        most=share(unit * (high - low)),
        neutral=share(-unit * low),
        filled=share(report.points),
    )
