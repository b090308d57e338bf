"""Times and counts as people say them; sizes are core/explain's."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A time for people: `12 s`, `3 min`, `5 h`, `9 d`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def many(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
