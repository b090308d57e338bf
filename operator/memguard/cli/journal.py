"""The guard's log: one decision of it, explained from what was written at the time, without the readings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor
from typing import Annotated

import msgspec

from memguard.cli.explanation import Change, Explanation, Other
from memguard.cli.files import REMEDY
from memguard.cli.reports import FactorReport
from memguard.core.explain import WORDS
from memguard.core.model import Record
from memguard.core.score import Points
from memguard.core.trace import UNREADABLE, input_error
from memguard.errors import InputError

#: Scores are at most 1 of it, state and memory a quarter (docs/score.md).
Badness = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]


class LoggedVictim(Record, frozen=True, kw_only=True):
    """Who was chosen."""

    id: str
    namespace: str | None = None
    pod: str | None = None
    name: str | None = None


class LoggedCandidate(Record, frozen=True, kw_only=True):
    """One of the candidates, best first."""

    id: str
    title: str
    score: int
    badness: Badness
    freed_bytes: int = 0
    excluded: str | None = None


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
    expected_bytes: int | None = None
    not_done_because: str | None = None


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
    """Explain the last decision, or the last one about this victim or with this id. Raises InputError."""
    found = [decision for decision in _decisions(numbered, name) if wanted is None or _is_about(decision, wanted)]
    if not found:
        about = f" about {wanted!r}" if wanted else ""
        raise InputError(name, f"there is no decision{about} in it", remedy=REMEDY)
    return _explanation(found[-1])


def _decisions(numbered: Iterable[tuple[int, bytes]], name: str) -> Iterator[LoggedDecision]:
    for number, line in numbered:
        try:
            if _kind.decode(line).kind == "decision":
                yield _decision.decode(line)
        except UNREADABLE as error:
            raise input_error(error, name, number) from None


def _is_about(decision: LoggedDecision, wanted: str) -> bool:
    victim = decision.victim
    title = f"{victim.namespace}/{victim.pod}/{victim.name}"
    return wanted in (decision.id, victim.name, victim.pod, title) or victim.id.startswith(wanted)


def _explanation(decision: LoggedDecision) -> Explanation:
    victim = next((c for c in decision.candidates if c.id == decision.victim.id), None)
    undone = f" It was not done: {decision.not_done_because}." if decision.not_done_because else ""
    return Explanation(
        sentence=decision.reason + undone,
        container=decision.victim.id,
        title=victim.title if victim else decision.victim.name,
        chosen=True,
        score=decision.score,
        badness=decision.badness,
        freed_bytes=decision.expected_bytes,
        factors={factor: _factor(factor, points) for factor, points in decision.factors.items()},
        others=tuple(_other(c, decision) for c in decision.candidates if c is not victim),
        changes=tuple(_changes(decision)),
    )


def _factor(name: str, row: Points) -> FactorReport:
    words = WORDS.get(name, "unknown to this version")
    return FactorReport(value=round(row.value, 4), weight=row.weight, points=row.points, reason=words)


def _other(candidate: LoggedCandidate, decision: LoggedDecision) -> Other:
    return Other(
        id=candidate.id,
        title=candidate.title,
        score=candidate.score,
        badness=candidate.badness,
        why_not=candidate.excluded or f"badness {candidate.badness:.2f} against {decision.badness:.2f}",
    )


def _changes(decision: LoggedDecision) -> Iterator[Change]:
    """Points to the runner-up: bytes would need the readings, which the log does not have."""
    others = (c for c in decision.candidates if c.id != decision.victim.id and c.excluded is None)
    second = next(others, None)
    if second is not None:
        points = floor((decision.badness - second.badness) * 1000) + 1
        yield Change(kind="points", amount=-points, words=f"with {points} points less, {second.title} would be chosen")
