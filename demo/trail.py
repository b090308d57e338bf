"""Memory against time: the samples of one cell as curves of use, and the moments that can be read off them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec
from tests.machine.guest.result import CellResult

from demo.stories import ORDERS, SEARCH, Role

MIB = 1 << 20
KIB = 1 << 10
#: A curve may differ this much from what was measured, as a share of all there is: less than a pixel.
TOLERANCE = 1 / 2000
#: memory.current is charged in batches of 64 pages: less is no fall.
BATCH_BYTES = 64 * 4096
#: Less than this is nothing.
EMPTY_BYTES = MIB
#: A brake that lets go for less is one brake: the kernel slows a task down by naps.
NAP_SECONDS = 0.05

CurveKind = Literal["domain", "culprit", "service", "cache"]
Point = tuple[float, float]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Use over time: (seconds since the growth began, MiB), straight lines between."""

    kind: CurveKind
    name: str
    points: tuple[Point, ...]


class Trail:
    """One cell's samples. In the node's stories "use" is what is not available, in a container's its memory.current."""

    def __init__(self, cell: CellResult, culprit: Role, total_bytes: int, lead_seconds: float) -> None:
        self._cell = cell
        self._culprit = culprit
        self._lead = lead_seconds
        self._rows = [row for row in cell.timeline.rows if row[0] >= 0]
        self._columns = cell.timeline.columns
        self.limit_bytes = cell.limit_bytes or total_bytes
        self.of_node = cell.limit_bytes is None
        self.line_bytes = self.limit_bytes - cell.reserve_bytes

    @property
    def left_bytes(self) -> int:
        """At the worst moment."""
        if self.of_node:
            return self._cell.available_min_bytes
        peak = self._cell.limit_peak_bytes
        return self.limit_bytes - (peak if peak is not None else int(max(self._used())))

    @property
    def crossed_at(self) -> float | None:
        """When use first passed the line; between two samples by proportion."""
        used = list(zip(self._times(), self._used(), strict=True))
        for (t0, u0), (t1, u1) in pairwise(used):
            if u1 > self.line_bytes >= u0:
                return t0 + (t1 - t0) * (self.line_bytes - u0) / (u1 - u0)
        return None

    @property
    def peaked_at(self) -> float | None:
        """The last moment before the culprit's memory began to go: by then the kernel had killed it."""
        current = self._column("hog.current")
        peak = max(current, default=0)
        at = [t for t, value in zip(self._times(), current, strict=True) if value >= peak - BATCH_BYTES]
        return at[-1] if at else None

    @property
    def back_at(self) -> float | None:
        """When the culprit's memory was free again."""
        peaked = self.peaked_at
        current = zip(self._times(), self._column("hog.current"), strict=True)
        return next((t for t, value in current if peaked is not None and t > peaked and value < EMPTY_BYTES), None)

    @property
    def dry_at(self) -> float | None:
        """When nothing was left."""
        empty = self.limit_bytes - EMPTY_BYTES
        return next((t for t, used in zip(self._times(), self._used(), strict=True) if used >= empty), None)

    def braked(self) -> tuple[Point, ...]:
        """(from, to): the culprit stood at its memory.high, so the kernel slowed it down."""
        if self.of_node:
            return ()
        held = [
            (t, high >= 0 and current >= high - BATCH_BYTES)
            for t, current, high in zip(
                self._times(), self._column("hog.current"), self._column("hog.high"), strict=True
            )
        ]
        return tuple(_stretches(held))

    def curves(self) -> tuple[Curve, ...]:
        """What the picture shows: in a container only that container."""
        if not self.of_node:
            return (self._curve("culprit", self._culprit.short, self._used()),)
        return (
            self._curve("domain", "node", self._used()),
            self._curve("cache", ORDERS.short, self._column("database.current")),
            self._curve("service", SEARCH.short, self._column("service.current")),
            self._curve("culprit", self._culprit.short, self._column("hog.current")),
        )

    def _curve(self, kind: CurveKind, name: str, values: list[float]) -> Curve:
        points = [(round(t, 4), round(value / MIB, 2)) for t, value in zip(self._times(), values, strict=True)]
        return Curve(kind=kind, name=name, points=tuple(simplified(points, self.limit_bytes / MIB * TOLERANCE)))

    def _times(self) -> list[float]:
        return [row[0] - self._lead for row in self._rows]

    def _used(self) -> list[float]:
        if not self.of_node:
            return self._column("hog.current")
        return [self.limit_bytes - available for available in self._column("available")]

    def _column(self, name: str) -> list[float]:
        """Bytes; negative where it is "max" or the cgroup is gone."""
        index = 1 + self._columns.index(name)
        return [row[index] * KIB for row in self._rows]


def simplified(points: list[Point], tolerance: float) -> list[Point]:
    """As few points as draw the same line within `tolerance` (Ramer, Douglas and Peucker, by vertical distance)."""
    kept = {0, len(points) - 1} if points else set()
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        distance, farthest = max(
            (
                (abs(points[i][1] - between(points[first], points[last], points[i][0])), i)
                for i in range(first + 1, last)
            ),
            default=(0.0, first),
        )
        if distance > tolerance:
            kept.add(farthest)
            spans += [(first, farthest), (farthest, last)]
    return [points[i] for i in sorted(kept)]


def between(a: Point, b: Point, t: float) -> float:
    """The straight line through two points, at `t`."""
    return a[1] if a[0] == b[0] else a[1] + (b[1] - a[1]) * (t - a[0]) / (b[0] - a[0])


def _stretches(flags: list[tuple[float, bool]]) -> Iterator[Point]:
    """(first, last) of the times with a flag; an interruption that is shorter than a nap is none."""
    begun: float | None = None
    last = 0.0
    for t, flag in flags:
        if begun is not None and not flag and t - last > NAP_SECONDS:
            yield round(begun, 4), round(last, 4)
            begun = None
        if flag:
            begun, last = t if begun is None else begun, t
    if begun is not None:
        yield round(begun, 4), round(last, 4)
