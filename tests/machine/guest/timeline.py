"""The sampler's buffer: rows of int64, decoded, searched and thinned. See `watch` in loads.c."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .result import Timeline

Row = tuple[int, ...]
RATE_WINDOW_NS = 100_000_000

PROGRESS = struct.Struct("7Q")


@dataclass(frozen=True)
class Progress:
    """`struct progress` of loads.c; nanoseconds of CLOCK_MONOTONIC, 0 for never."""

    filled_bytes: int
    first_ns: int
    last_ns: int
    sigterm_ns: int
    exit_ns: int
    worst_ns: int
    worst_at_ns: int


def make_progress(path: Path) -> None:
    """The page that the loads share with us: made by us, so that it is charged to us."""
    path.write_bytes(bytes(4096))


def read_progress(path: Path) -> Progress:
    """What the growing loads noted, also after their death."""
    return Progress(*PROGRESS.unpack(path.read_bytes()[: PROGRESS.size]))


@dataclass(frozen=True)
class Samples:
    """Rows [time_ns, filled_bytes, *columns], in order of time."""

    columns: tuple[str, ...]
    rows: Sequence[Row]

    def column(self, name: str) -> int:
        """Index of a column in a row."""
        return 2 + self.columns.index(name)

    def lowest(self, name: str, since_ns: int) -> tuple[int, int]:
        """(value, time_ns) of a column's minimum; (0, since_ns) without samples."""
        index = self.column(name)
        return min(((row[index], row[0]) for row in self.rows if row[0] >= since_ns), default=(0, since_ns))

    def highest_sum(self, names: tuple[str, ...], since_ns: int) -> tuple[int, int]:
        """(value, time_ns) of the largest sum of some columns."""
        indexes = [self.column(name) for name in names]
        sums = ((sum(max(row[i], 0) for i in indexes), -row[0]) for row in self.rows if row[0] >= since_ns)
        value, at = max(sums, default=(0, -since_ns))
        return value, -at

    def fill_bytes_s(self) -> float | None:
        """Rate over the last 100 ms in which the culprits still grew; None when they never did."""
        growth = [row for before, row in pairwise(self.rows) if row[1] > before[1]]
        if not growth:
            return None
        end = growth[-1]
        start = next(row for row in reversed(self.rows) if row[0] <= end[0] - RATE_WINDOW_NS or row is self.rows[0])
        if start[1] == 0:  # it lived for less than the window: from its first page
            start = next((row for row in self.rows if row[1] > 0), start)
        elapsed = end[0] - start[0]
        return (end[1] - start[1]) * 1e9 / elapsed if elapsed > 0 else None


def read_samples(path: Path, columns: tuple[str, ...]) -> Samples:
    """Decodes the buffer; kibibyte columns become bytes by their name's "_kib" ending being dropped."""
    data = array("q")
    data.frombytes(path.read_bytes())
    count, width = data[0], data[1]
    if width != len(columns) + 2:
        raise ValueError(f"{path}: {width} columns, expected {len(columns) + 2}")
    scale = [1, 1, *(1024 if name.endswith("_kib") else 1 for name in columns)]
    names = tuple(name.removesuffix("_kib") for name in columns)
    rows = []
    for index in range(1, count + 1):
        row = data[index * width : (index + 1) * width]
        rows.append(tuple(value * factor if value > 0 else value for value, factor in zip(row, scale, strict=True)))
    return Samples(names, rows)


def thin(samples: Samples, start_ns: int, keep: int, moments_ns: tuple[int, ...]) -> Timeline:
    """About `keep` rows: half of them evenly spread, the rest from 100 ms before to 200 ms after the moments."""
    rows = samples.rows
    gaps = [after[0] - before[0] for before, after in pairwise(rows)]
    worst = max(gaps, default=0) / 1e6
    if not rows or keep <= 0:
        return Timeline(columns=("filled", *samples.columns), samples=len(rows), worst_gap_ms=worst)
    chosen = {round(i * (len(rows) - 1) / max(keep // 2, 1)) for i in range(keep // 2 + 1)}
    near = [i for i, row in enumerate(rows) if any(m - 10**8 <= row[0] <= m + 2 * 10**8 for m in moments_ns)]
    step = max(1, 2 * len(near) // keep)
    chosen.update(near[::step])
    chosen.update(i for i, row in enumerate(rows) if row[0] in moments_ns)
    kept = tuple(_kib(samples.columns, rows[i], start_ns) for i in sorted(chosen))
    return Timeline(columns=("filled", *samples.columns), rows=kept, samples=len(rows), worst_gap_ms=worst)


def _kib(columns: tuple[str, ...], row: Row, start_ns: int) -> tuple[float, ...]:
    values = (value if name.endswith("frozen") or value < 0 else value >> 10
              for name, value in zip(("filled", *columns), row[1:], strict=True))  # fmt: skip
    return (round((row[0] - start_ns) / 1e9, 4), *values)
