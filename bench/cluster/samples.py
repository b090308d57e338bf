"""What the conductor sends home: rows of numbers by time, and the figures that follow from them. Pure functions."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.cluster.incidents import INNOCENT, MIB, Incident

KIB, NS = 1024, 1e9
#: The fill is taken where it is neither starting nor already braked.
FILL_FROM, FILL_TO = 0.2, 0.8
AVAILABLE = "/proc/meminfo#MemAvailable"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The files that are read in each row: those of the culprits' and the innocents' cgroups, and of memguard's."""

    culprits: Sequence[str]
    innocents: dict[str, str]
    guard: str | None = None

    @property
    def columns(self) -> list[str]:
        """As `loads watch` wants them."""
        guard = (f"{self.guard}/cpu.stat#usage_usec", f"{self.guard}/memory.current") if self.guard else ()
        return [
            AVAILABLE,
            *(f"{one}/{name}" for one in self.culprits for name in ("memory.current", "cgroup.events#populated")),
            *(f"{one}/{name}" for one in self.innocents.values()
              for name in ("cpu.stat#usage_usec", "cgroup.events#populated")),
            *guard,
        ]  # fmt: skip


class Rows(NamedTuple):
    """Seconds since the gates were opened, and what each column was then; -1 where a cgroup was gone."""

    seconds: list[float]
    columns: dict[str, list[int]]

    def first(self, column: str, *, below: int) -> float | None:
        """When a column first was less than that."""
        return next((at for at, value in zip(self.seconds, self.columns[column], strict=True) if value < below), None)


def unpacked(text: str, columns: Sequence[str], began_ns: int) -> Rows:
    """The rows from `began_ns` on."""
    raw = zlib.decompress(base64.b64decode(text))
    width = len(columns) + 2
    (count,) = struct.unpack_from("<q", raw)
    rows = [struct.unpack_from(f"<{width}q", raw, 8 * width * (at + 1)) for at in range(count)]
    kept = [row for row in rows if row[0] >= began_ns]
    return Rows(
        [(row[0] - began_ns) / NS for row in kept],
        {name: [row[2 + at] for row in kept] for at, name in enumerate(columns)},
    )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of one run. `told` is the conductor's; `replaced`: pods that others stand for now."""

    incident: Incident
    watched: Watched
    rows: Rows
    told: dict[str, Any]
    replaced: frozenset[str] = field(default_factory=frozenset)

    def died(self, cgroup: str) -> float | None:
        """When a container's last process ended."""
        return self.rows.first(f"{cgroup}/cgroup.events#populated", below=1)

    @property
    def victims(self) -> list[str]:
        """The innocents that lost their processes."""
        return [name for name, cgroup in self.watched.innocents.items() if self.died(cgroup) is not None]

    @property
    def survivors(self) -> list[str]:
        """The leaks that live on."""
        named = zip(self.incident.culprits, self.watched.culprits, strict=True)
        return [name for name, cgroup in named if self.died(cgroup) is None]


def figures(seen: Seen) -> dict[str, float]:
    """The figures of a run, called as in the race on the test machine; what was not there to be measured is left out.

    Work lost is CPU time since the run began: the innocents live through many runs.
    """
    told, rows, watched = seen.told, seen.rows, seen.watched
    latency = told["latency"] or {}
    guard = rows.columns[f"{watched.guard}/cpu.stat#usage_usec"] if watched.guard else None
    found = {
        "kernelOomKills": told["kernelKills"],
        "innocentsTouched": len(seen.victims),
        "podsReplaced": len(seen.replaced),
        "leastLeftMib": min(_left(seen)) / MIB,
        "deadMs": _dead_after_the_line(seen),
        "fillMibS": _fill(seen),
        "workLostMs": sum(_used(seen, name) for name in seen.victims) / 1000,
        "overFreedMib": sum(told["heldBytes"][name] for name in seen.victims) / MIB,
        "p99Ms": latency.get("p99_ms") if INNOCENT not in seen.victims else None,
        "worstMs": latency.get("worst_ms") if INNOCENT not in seen.victims else None,
        "guardCpuMs": (guard[-1] - guard[0]) / 1000 if guard else None,
        "guardRssMib": told["guardRssBytes"] / MIB if told["guardRssBytes"] else None,
        "guardCgroupMib": max(rows.columns[f"{watched.guard}/memory.current"]) / MIB if watched.guard else None,
        "memoryHighMib": next((int(high) / MIB for high in told["memoryHigh"] if high.strip().isdecimal()), None),
    }
    return {name: round(float(value), 4) for name, value in found.items() if value is not None}


def failures(seen: Seen) -> list[str]:
    """Everything that went wrong, whoever guarded the node."""
    told = (
        (seen.told["kernelKills"], "the kernel's OOM killer struck"),
        (seen.victims, f"touched: {', '.join(seen.victims)}"),
        (seen.survivors, f"still alive: {', '.join(seen.survivors)}"),
    )
    return [words for wrong, words in told if wrong]


def _left(seen: Seen) -> list[int]:
    """Bytes that were left, at the node or under the limit, row by row."""
    if seen.incident.limit_mib is None:
        return [value * KIB for value in seen.rows.columns[AVAILABLE]]
    limit = seen.incident.limit_mib * MIB
    used = seen.rows.columns[f"{seen.watched.culprits[0]}/memory.current"]
    return [limit - max(value, 0) for value in used]


def _dead_after_the_line(seen: Seen) -> float | None:
    """Milliseconds from the line to the first leak's end; 0 when it was not crossed before, None when none died."""
    deaths = [at for cgroup in seen.watched.culprits if (at := seen.died(cgroup)) is not None]
    if not deaths:
        return None
    left = zip(seen.rows.seconds, _left(seen), strict=True)
    crossed = next((at for at, value in left if value < seen.incident.line_bytes), min(deaths))
    return max(min(deaths) - crossed, 0.0) * 1000


def _fill(seen: Seen) -> float | None:
    """MiB/s of all leaks together, in the middle of their growth."""
    held = [seen.rows.columns[f"{cgroup}/memory.current"] for cgroup in seen.watched.culprits]
    sums = [sum(max(value, 0) for value in row) for row in zip(*held, strict=True)]
    if not sums or max(sums) < MIB:
        return None
    begin, end = (_reached(seen.rows.seconds, sums, share * max(sums)) for share in (FILL_FROM, FILL_TO))
    return (FILL_TO - FILL_FROM) * max(sums) / MIB / (end - begin) if end > begin else None


def _reached(seconds: Iterable[float], values: Iterable[int], level: float) -> float:
    return next(at for at, value in zip(seconds, values, strict=True) if value >= level)


def _used(seen: Seen, name: str) -> int:
    """Microseconds of CPU time from the run's begin to its end."""
    times = [time for time in seen.rows.columns[f"{seen.watched.innocents[name]}/cpu.stat#usage_usec"] if time >= 0]
    return times[-1] - times[0] if times else 0
