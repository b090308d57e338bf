"""Why one container was chosen or not, as a document: its factors, the others, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Literal

from memguard.cli.counterfactual import bytes_to_lose, bytes_to_win, points_to_lose, points_to_win, runner_up
from memguard.cli.judging import Judgement
from memguard.cli.reports import FactorReport, factor_reports
from memguard.core.exclusion import BELOW_THRESHOLD
from memguard.core.explain import sentence, size
from memguard.core.model import Container, Record
from memguard.core.score import factor_points
from memguard.core.select import Candidate, Ranking
from memguard.errors import InputError

#: Factors named when two containers are compared.
NAMED = 2


class Change(Record, frozen=True, kw_only=True):
    """One thing that would have led to another choice: points of the score, bytes of anonymous memory, or a rule."""

    kind: Literal["points", "bytes", "rule"]
    amount: int | None
    words: str


class Other(Record, frozen=True, kw_only=True):
    """Another container and why it was not chosen."""

    id: str
    title: str
    score: int
    badness: float
    why_not: str


class Explanation(Record, frozen=True, kw_only=True):
    """`memguard explain`: everything about one container's case."""

    sentence: str
    container: str | None
    title: str | None
    chosen: bool
    score: int | None
    badness: float | None
    freed_bytes: int | None
    factors: dict[str, FactorReport]
    others: tuple[Other, ...]
    changes: tuple[Change, ...]


def explain_choice(judged: Judgement, wanted: str | None, source: str) -> Explanation:
    """Explain the victim, or the container that is asked for by id, name or title. Raises InputError for no match."""
    ranking = judged.ranking
    if wanted is None:
        return _explanation(judged, ranking.victim, sentence(ranking))
    container = find(judged.snapshot.containers, wanted, source)
    subject = next((c for c in ranking.candidates if c.container.id == container.id), None)
    words = sentence(ranking) if subject and subject is ranking.victim else _why_not_it(container, subject, ranking)
    return _explanation(judged, subject, words)


def _explanation(judged: Judgement, subject: Candidate | None, words: str) -> Explanation:
    ranking = judged.ranking
    return Explanation(
        sentence=words,
        container=subject.container.id if subject else None,
        title=subject.container.title if subject else None,
        chosen=subject is not None and subject is ranking.victim,
        score=subject.scored.score if subject else None,
        badness=round(subject.badness, 4) if subject else None,
        freed_bytes=subject.freed_bytes if subject else None,
        factors=factor_reports(subject.scored) if subject else {},
        others=tuple(_other(candidate, ranking) for candidate in ranking.candidates if candidate is not subject),
        changes=tuple(_changes(judged, subject)) if subject else (),
    )


def matching(containers: Sequence[Container], wanted: str) -> list[Container]:
    """Those whose title, id or name it is; else those whose title it is part of, or whose id begins with it."""
    exact = [c for c in containers if wanted in (c.id, c.title, c.name, c.pod, f"{c.namespace}/{c.pod}")]
    return exact or [c for c in containers if wanted in c.title or c.id.startswith(wanted)]


def find(containers: Sequence[Container], wanted: str, source: str) -> Container:
    """The only one that matches. Raises InputError, with the names that there are, for none and for several."""
    close = matching(containers, wanted)
    if len(close) == 1:
        return close[0]
    titles = [container.title for container in close or containers]
    if close:
        raise InputError(source, f"{wanted!r} means several containers", remedy=f"Choose one of {', '.join(titles)}.")
    near = get_close_matches(wanted, titles, n=3, cutoff=0.3) or titles[:3]
    raise InputError(source, f"no container {wanted!r} in it", remedy=f"There are for example {', '.join(near)}.")


def _why_not_it(container: Container, subject: Candidate | None, ranking: Ranking) -> str:
    why = _why_not(subject, ranking) if subject else f"it is outside {ranking.domain.key}, which is worst off"
    chosen = f"{ranking.victim.container.title} is." if ranking.victim else sentence(ranking)
    return f"{container.title} is not chosen: {why}. {chosen}"


def _other(candidate: Candidate, ranking: Ranking) -> Other:
    chosen = ranking.victim is candidate
    return Other(
        id=candidate.container.id,
        title=candidate.container.title,
        score=candidate.scored.score,
        badness=round(candidate.badness, 4),
        why_not="it is the one that is chosen" if chosen else _why_not(candidate, ranking),
    )


def _why_not(candidate: Candidate, ranking: Ranking) -> str:
    if candidate.excluded is not None:
        return candidate.excluded
    victim = ranking.victim
    if victim is None:
        return "nobody is chosen"
    return f"badness {candidate.badness:.2f} against {victim.badness:.2f} ({_compared(candidate, victim)})"


def _compared(candidate: Candidate, victim: Candidate) -> str:
    """The factors that separate it most from the victim."""
    own, theirs = factor_points(candidate.scored), factor_points(victim.scored)
    shared = sorted(own.keys() & theirs.keys(), key=lambda name: (own[name].points - theirs[name].points, name))
    return ", ".join(f"{name} {own[name].points} against {theirs[name].points}" for name in shared[:NAMED])


def _changes(judged: Judgement, subject: Candidate) -> Iterator[Change]:
    ranking = judged.ranking
    if ranking.victim is subject:
        yield from _ways_to_lose(judged)
    elif held := held_back(subject.excluded):
        yield held
    else:
        yield from _ways_to_win(judged, subject)


def _ways_to_lose(judged: Judgement) -> Iterator[Change]:
    second = runner_up(judged.ranking)
    instead = would_be_chosen(second.container.title if second else None)
    points, freed = points_to_lose(judged.ranking), bytes_to_lose(judged)
    if points is not None:
        yield points_change(-points, instead)
    if freed is not None:
        yield Change(kind="bytes", amount=-freed, words=f"with {size(freed)} less memory, {instead}")


def _ways_to_win(judged: Judgement, subject: Candidate) -> Iterator[Change]:
    instead = would_be_chosen(subject.container.title)
    points, more = points_to_win(judged.ranking, subject), bytes_to_win(judged, subject)
    if points is not None:
        yield points_change(points, instead)
    if more is not None:
        yield Change(kind="bytes", amount=more, words=f"with {size(more)} more memory, {instead}")


def would_be_chosen(title: str | None) -> str:
    """What a change would lead to."""
    return f"{title or 'nobody'} would be chosen"


def points_change(points: int, instead: str) -> Change:
    """What so many points, more or (below 0) less, would lead to."""
    words = f"with {abs(points)} points {'more' if points > 0 else 'less'}, {instead}"
    return Change(kind="points", amount=points, words=words)


def held_back(excluded: str | None) -> Change | None:
    """Where something else than its score excludes it: that would have to change, and no score helps."""
    if excluded is None or excluded.startswith(BELOW_THRESHOLD):
        return None
    return Change(kind="rule", amount=None, words=f"no score does, as long as {excluded}")
