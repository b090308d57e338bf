"""The guard's log: one decision of it, explained from what was written at the time, without the readings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from memguard.cli.counterfactual import fewest_to_lose, fewest_to_win
from memguard.cli.explanation import (
    Change,
    Explanation,
    Other,
    find,
    held_back,
    matching,
    points_change,
    would_be_chosen,
)
from memguard.cli.files import begins_object
from memguard.cli.reports import FactorReport
from memguard.core.explain import WORDS
from memguard.core.model import UNREADABLE, Container, Record, titled, unread
from memguard.core.score import Points
from memguard.core.trace import input_error
from memguard.errors import InputError

REMEDY = "Give a guard's log from the time of a decision (docs/guard.md says what is in it)."
#: Scores are at most 1 of it, state and memory a quarter (docs/score.md).
Badness = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]


class LoggedVictim(Record, frozen=True, kw_only=True):
    """Who was chosen."""

    id: str
    namespace: str | None = None
    pod: str | None = None
    name: str | None = None


class LoggedCandidate(Record, frozen=True, kw_only=True):
    """One of the candidates."""

    id: str
    title: str
    score: int
    badness: Badness
    freed_bytes: int = 0
    excluded: str | None = None

    @property
    def container(self) -> Container:
        """What it is looked for by: the log has its names in the title only."""
        return unread(titled(self.id, self.title))


class LoggedDecision(Record, frozen=True, kw_only=True):
    """A line of kind `decision` (guard/report.py)."""

    id: str
    action: str
    victim: LoggedVictim
    reason: str
    score: int
    badness: Badness
    factors: dict[str, Points]
    candidates: tuple[LoggedCandidate, ...]
    #: 0, which everybody reaches, where it was not written
    threshold_score: float = 0
    expected_bytes: int | None = None
    not_done_because: str | None = None

    @property
    def containers(self) -> list[Container]:
        """Its candidates."""
        return [candidate.container for candidate in self.candidates]


class _Kind(msgspec.Struct):
    kind: str | None = None


_kind = msgspec.json.Decoder(_Kind)
_decision = msgspec.json.Decoder(LoggedDecision)


def is_journal(line: bytes) -> bool:
    """Is this a line of the guard's log?"""
    try:
        return _kind.decode(line).kind is not None
    except UNREADABLE:
        return False


def explain_logged(numbered: Iterable[tuple[int, bytes]], wanted: str | None, name: str) -> Explanation:
    """Explain the last decision, the last one about this victim or with this id, or why it was not this candidate.

    What is no JSON object stands between the lines of a guard (systemd's own words), and is skipped. Raises InputError.
    """
    decisions = list(_decisions(numbered, name))
    if not decisions:
        raise InputError(name, "there is no decision in it", remedy=REMEDY)
    about = [decision for decision in decisions if wanted is None or _is_about(decision, wanted)]
    if wanted is None or about:
        return explanation_of(about[-1])
    decision = next((d for d in reversed(decisions) if matching(d.containers, wanted)), decisions[-1])
    found = find(decision.containers, wanted, name)
    if found.id == decision.victim.id:
        return explanation_of(decision)
    return explanation_of_other(next(c for c in decision.candidates if c.id == found.id), decision)


def _decisions(numbered: Iterable[tuple[int, bytes]], name: str) -> Iterator[LoggedDecision]:
    for number, line in numbered:
        if not begins_object(line):
            continue
        try:
            if _kind.decode(line).kind == "decision":
                yield _decision.decode(line)
        except UNREADABLE as error:
            raise input_error(error, name, number) from None


def _is_about(decision: LoggedDecision, wanted: str) -> bool:
    victim = decision.victim
    title = f"{victim.namespace}/{victim.pod}/{victim.name}"
    return wanted in (decision.id, victim.name, victim.pod, title) or victim.id.startswith(wanted)


def explanation_of(decision: LoggedDecision) -> Explanation:
    """Why its victim was chosen, as far as what was written at the time tells."""
    return Explanation(
        sentence=decision.reason + _undone(decision),
        container=decision.victim.id,
        title=_victims_title(decision),
        chosen=True,
        score=decision.score,
        badness=decision.badness,
        freed_bytes=decision.expected_bytes,
        factors={factor: _factor(factor, points) for factor, points in decision.factors.items()},
        others=tuple(_other(c, decision) for c in decision.candidates if c.id != decision.victim.id),
        changes=tuple(_ways_to_lose(decision)),
    )


def explanation_of_other(candidate: LoggedCandidate, decision: LoggedDecision) -> Explanation:
    """Of those that were not chosen the log has the score, not its factors."""
    return Explanation(
        sentence=f"{candidate.title} (score {candidate.score}) is not chosen: {_why_not(candidate, decision)}. "
        f"{_victims_title(decision)} is.{_undone(decision)}",
        container=candidate.id,
        title=candidate.title,
        chosen=False,
        score=candidate.score,
        badness=candidate.badness,
        freed_bytes=candidate.freed_bytes,
        factors={},
        others=tuple(_other(c, decision) for c in decision.candidates if c.id != candidate.id),
        changes=tuple(_ways_to_win(candidate, decision)),
    )


def _victims_title(decision: LoggedDecision) -> str | None:
    victim = decision.victim
    return next((c.title for c in decision.candidates if c.id == victim.id), victim.name)


def _undone(decision: LoggedDecision) -> str:
    return f" It was not done: {decision.not_done_because}." if decision.not_done_because else ""


def _factor(name: str, row: Points) -> FactorReport:
    words = WORDS.get(name, "unknown to this version")
    return FactorReport(value=round(row.value, 4), weight=row.weight, points=row.points, reason=words)


def _other(candidate: LoggedCandidate, decision: LoggedDecision) -> Other:
    return Other(
        id=candidate.id,
        title=candidate.title,
        score=candidate.score,
        badness=candidate.badness,
        why_not=_why_not(candidate, decision),
    )


def _why_not(candidate: LoggedCandidate, decision: LoggedDecision) -> str:
    if candidate.id == decision.victim.id:
        return "it is the one that is chosen"
    return candidate.excluded or f"badness {candidate.badness:.2f} against {decision.badness:.2f}"


def _ways_to_lose(decision: LoggedDecision) -> Iterator[Change]:
    """Points only: bytes would need the readings, which the log does not have."""
    others = (c for c in decision.candidates if c.id != decision.victim.id and c.excluded is None)
    second = next(others, None)
    lead = decision.badness - second.badness if second else None
    points = fewest_to_lose(decision.score, decision.threshold_score, lead)
    if points is not None:
        yield points_change(-points, would_be_chosen(second.title if second else None))


def _ways_to_win(candidate: LoggedCandidate, decision: LoggedDecision) -> Iterator[Change]:
    if held := held_back(candidate.excluded):
        yield held
        return
    points = fewest_to_win(candidate.score, decision.threshold_score, decision.badness - candidate.badness)
    if points is not None:
        yield points_change(points, would_be_chosen(candidate.title))
