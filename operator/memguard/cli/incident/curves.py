"""What was read, over time: each reading a point, and what lies between two in proportion."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from memguard.cli.incident.incident import Incident

#: (seconds from the action, bytes)
Curve = tuple[tuple[float, int], ...]


def available(incident: Incident) -> Curve:
    """What was left within the boundary; of an old record the one figure that it has."""
    points = tuple((point.seconds, point.available_bytes) for point in incident.timeline)
    return points or ((0.0, incident.decision.spec.available_bytes),)


def victims(incident: Incident) -> Curve:
    """The victim's memory, where it was read."""
    return tuple((p.seconds, p.victim_bytes) for p in incident.timeline if p.victim_bytes is not None)


def crossing(points: Iterable[tuple[float, float]], level: float) -> float | None:
    """When the values last fell to `level` before the action, between two readings in proportion; None if never."""
    pairs = [(a, b) for a, b in pairwise(points) if a[1] > level >= b[1] and b[0] <= 0]
    if not pairs:
        return None
    (t, v), (next_t, next_v) = pairs[-1]
    return t + (v - level) / (v - next_v) * (next_t - t)


def within(curve: Curve, begin: float, end: float) -> Curve:
    """The readings of this time, and where the curve enters and leaves it."""
    inside = tuple(point for point in curve if begin <= point[0] <= end)
    edges = tuple((t, _between(curve, t)) for t in (begin, end) if _covers(curve, t))
    return tuple(sorted({*inside, *edges}))


def _covers(curve: Curve, t: float) -> bool:
    return curve[0][0] < t < curve[-1][0]


def _between(curve: Curve, t: float) -> int:
    """The value at a time between two readings, in proportion."""
    before = max((point for point in curve if point[0] <= t), key=lambda point: point[0])
    after = min((point for point in curve if point[0] > t), key=lambda point: point[0])
    return round(before[1] + (t - before[0]) / (after[0] - before[0]) * (after[1] - before[1]))
