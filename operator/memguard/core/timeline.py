"""How the memory went around one action: a few points before it, of what was looked at anyway, and a few after it."""

from __future__ import annotations

from memguard.core.forecast import Sample
from memguard.core.history import History
from memguard.core.model import Bytes, Number, Record

#: Of each, before and after.
MOST_POINTS = 24
#: After the action the points lie the wider apart the longer it takes: from one look at a dying victim (3 ms) on, 24 of
#: them reach over a grace of two minutes.
FIRST_SECONDS, STRIDE = 0.003, 1.6


class TimelinePoint(Record, frozen=True, kw_only=True):
    """`seconds` from the action on, negative before it; what was left within the boundary, and what the victim held.

    After the action: of the node what was read, of any smaller boundary what the victim gave back of it.
    """

    seconds: float
    available_bytes: Number
    victim_bytes: Bytes | None = None


def before(history: History, domain: str, victim: str, at: float) -> tuple[TimelinePoint, ...]:
    """What the history knows of a domain (by its key) and of the victim (by its id), in seconds before `at`."""
    gauge, track = history.gauges.get(domain), history.tracks.get(victim)
    held = track.samples if track else ()
    return tuple(
        TimelinePoint(seconds=round(when - at, 4), available_bytes=left, victim_bytes=_last(held, when))
        for when, left in (gauge.available if gauge else ())[-MOST_POINTS:]
    )


def point_due(after: list[TimelinePoint], seconds: float) -> bool:
    """So long after the action: is it time for another point?"""
    if len(after) >= MOST_POINTS - 1:  # the last place is for how it ended
        return False
    return not after or seconds >= max(FIRST_SECONDS, after[-1].seconds * STRIDE)


def _last(samples: tuple[Sample, ...], when: float) -> int | None:
    """The value at that moment: what was not looked at again had not moved. None before the first."""
    return next((value for at, value in reversed(samples) if at <= when), None)
