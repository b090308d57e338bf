"""What the commands print, as documents: the shapes of docs/formats.md."""

from __future__ import annotations

from memguard.core.explain import WORDS, sentence
from memguard.core.model import Container, Record, Snapshot
from memguard.core.score import Score, factor_points
from memguard.core.select import Candidate, Ranking


class FactorReport(Record, frozen=True, kw_only=True):
    """One factor: its value (ratio), weight, points of the score, and what it stands for."""

    value: float
    weight: float
    points: int
    reason: str


class CandidateReport(Record, frozen=True, kw_only=True):
    """One container; the points of its factors add up to its score. `excluded` is None or the reason."""

    id: str
    namespace: str | None
    pod: str | None
    name: str | None
    score: int
    badness: float
    freed_bytes: int
    factors: dict[str, FactorReport]
    excluded: str | None


class RankReport(Record, frozen=True, kw_only=True):
    """`memguard rank`: the domain that is worst off and every container of the snapshot, the worst first."""

    domain: str
    pressure: float
    threshold_score: float
    need_bytes: int
    candidates: tuple[CandidateReport, ...]
    victim: str | None
    reason: str


def rank_report(ranking: Ranking, snapshot: Snapshot) -> RankReport:
    """The ranking as a document, with the containers outside its domain at the end."""
    inside = {candidate.container.id for candidate in ranking.candidates}
    outside = [container for container in snapshot.containers if container.id not in inside]
    words = f"it is outside {ranking.domain.key}, the boundary that is worst off"
    victim = ranking.victim
    return RankReport(
        domain=ranking.domain.key,
        pressure=round(ranking.pressure.pressure, 4),
        threshold_score=round(ranking.pressure.threshold_score, 1),
        need_bytes=ranking.pressure.need_bytes,
        candidates=(*map(_candidate, ranking.candidates), *(_outsider(container, words) for container in outside)),
        victim=victim.container.id if victim else None,
        reason=sentence(ranking),
    )


def factor_reports(scored: Score) -> dict[str, FactorReport]:
    """The factors of a score with their reasons."""
    return {
        name: FactorReport(value=round(row.value, 4) + 0.0, weight=row.weight, points=row.points, reason=WORDS[name])
        for name, row in factor_points(scored).items()
    }


def _candidate(candidate: Candidate) -> CandidateReport:
    return CandidateReport(
        id=candidate.container.id,
        namespace=candidate.container.namespace,
        pod=candidate.container.pod,
        name=candidate.container.name,
        score=candidate.scored.score,
        badness=round(candidate.badness, 4),
        freed_bytes=candidate.freed_bytes,
        factors=factor_reports(candidate.scored),
        excluded=candidate.excluded,
    )


def _outsider(container: Container, words: str) -> CandidateReport:
    """Inside that domain it has nothing: no score, and nothing to free."""
    return CandidateReport(
        id=container.id,
        namespace=container.namespace,
        pod=container.pod,
        name=container.name,
        score=0,
        badness=0.0,
        freed_bytes=0,
        factors={},
        excluded=words,
    )
