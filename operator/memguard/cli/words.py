"""Times, counts and thresholds as people say them; sizes are core/explain's, titles core/model's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeGuard

#: What is further away than this is no news.
FAR_SECONDS = 86_400.0
HIGHEST_SCORE = 1000


def span(seconds: float) -> str:
    """A time for people: `12 s`, `3 min`, `5 h`, `9 d`."""
    if abs(seconds) < 120:
        return f"{seconds:.0f} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if abs(seconds) < 172_800 else f"{seconds / 86_400:.0f} d"


def duration(seconds: float) -> str:
    """What was measured, two digits that count: `0.4 ms`, `330 ms`, `2.5 s`, and from ten seconds on as a span."""
    if abs(seconds) < 0.9995:
        ms = seconds * 1000
        return f"{ms:.0f} ms" if abs(ms) >= 9.95 or ms == 0 else f"{ms:.1f} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 9.95 else span(seconds)


def near(seconds: float | None) -> TypeGuard[float]:
    """Is it worth telling how long it takes until then? None: it never comes."""
    return seconds is not None and seconds <= FAR_SECONDS


def until(seconds: float | None) -> str:
    """The time until something comes; `-` where that is no news."""
    return span(seconds) if near(seconds) else "-"


def moment(at: datetime, *, seconds: bool = False) -> str:
    """`2026-11-30 12:00 UTC`."""
    return f"{at.astimezone(UTC):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}} UTC"


def threshold(score: float | None, *, brief: bool = False) -> str:
    """From which score on somebody is chosen, `8000 (nobody)` or `nobody` where none is so high; `-`: not known."""
    if score is None:
        return "-"
    if score <= HIGHEST_SCORE:
        return f"{score:.0f}"
    return "nobody" if brief else f"{score:.0f} (nobody)"


def many(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `3 misses`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def times(count: int) -> str:
    """`once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"
