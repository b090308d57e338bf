"""From what a cell's course left behind to its result: pure arithmetic over samples, reports and counters."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from .plan import Plan
from .result import ActionResult, CellResult, ContainerResult, GuardResult, Latency
from .spec import Cell
from .timeline import Progress, Row, Samples, thin

SECOND = 10**9


@dataclass(frozen=True)
class Observed:
    """What the cell's course left behind. Deltas are over the watched time."""

    start_ns: int
    end_ns: int
    vmstat: dict[str, int]
    stall_us: dict[str, int]
    containers: tuple[ContainerResult, ...]
    idle_touched: int
    limit_peak_bytes: int | None
    guard: GuardResult
    leftovers: dict[str, str]
    actions: tuple[ActionResult, ...]
    kernel_log: tuple[str, ...]
    ended_at: float | None
    samples: Samples
    progress: Progress


def tell(cell: Cell, plan: Plan, run: Path, observed: Observed, began: float) -> CellResult:
    """The result of a cell that began at `began` (time.monotonic)."""
    samples, start_ns, progress = observed.samples, observed.start_ns, observed.progress
    available_min, available_at = samples.lowest("available", start_ns)
    headroom_min, headroom_at = _headroom_min(plan, samples, start_ns)
    overshoot = max(plan.reserve_bytes - headroom_min, 0)
    rate = samples.fill_bytes_s()
    culprits = [container for container in observed.containers if container.culprit]
    hit = [container for container in culprits if container.touched]
    churn = _report(run / "churn.json")

    def after(moment_ns: int) -> float | None:
        return (moment_ns - start_ns) / SECOND if moment_ns else None

    return CellResult(
        name=cell.name,
        seconds=time.monotonic() - began,
        lasted=(observed.end_ns - start_ns) / SECOND,
        kernel_oom_kills=observed.vmstat.get("oom_kill", 0),
        kernel_log=observed.kernel_log,
        containers=observed.containers,
        culprits_died=tuple(container.name for container in culprits if container.died),
        culprits_whole=bool(hit) and all(container.alive_pids == 0 for container in hit),
        innocents_touched=tuple(c.name for c in observed.containers if not c.culprit and c.touched),
        idle_touched=observed.idle_touched,
        reserve_bytes=plan.reserve_bytes,
        headroom_start_bytes=_headroom_start(plan, samples, start_ns),
        headroom_min_bytes=headroom_min,
        headroom_min_at=(headroom_at - start_ns) / SECOND,
        line_crossed_at=after(line_crossed(plan, samples, start_ns)),
        overshoot_bytes=overshoot,
        overshoot_ms=overshoot / rate * 1000 if rate else None,
        available_min_bytes=available_min,
        available_min_at=(available_at - start_ns) / SECOND,
        fill_bytes_s=rate,
        filled_bytes=max((row[1] for row in samples.rows), default=0),
        grew_until=after(progress.last_ns),
        ended_at=observed.ended_at,
        limit_bytes=plan.limit_bytes,
        limit_peak_bytes=observed.limit_peak_bytes,
        latency=_latency(run, start_ns),
        churn_mib_s=churn.get("mib_per_s"),
        churn_worst_ms=churn.get("worst_ms"),
        stall_some_ms=observed.stall_us.get("some", 0) / 1000,
        stall_full_ms=observed.stall_us.get("full", 0) / 1000,
        vmstat=observed.vmstat,
        worst_step_ms=progress.worst_ns / 1e6,
        sigterm_at=after(progress.sigterm_ns),
        exit_at=after(progress.exit_ns),
        guard=observed.guard,
        leftovers=observed.leftovers,
        actions=observed.actions,
        timeline=thin(samples, start_ns, cell.keep_timeline, (progress.last_ns, headroom_at, available_at)),
    )


def _headroom_min(plan: Plan, samples: Samples, start_ns: int) -> tuple[int, int]:
    """(bytes, time_ns) of the least that the domain had left: MemAvailable, or limit minus anon and shmem."""
    if plan.limit_bytes is None:
        return samples.lowest("available", start_ns)
    used, at = samples.highest_sum(("domain.anon", "domain.shmem"), start_ns)
    return plan.limit_bytes - used, at


def _headroom_start(plan: Plan, samples: Samples, start_ns: int) -> int:
    row = next((row for row in samples.rows if row[0] >= start_ns), None)
    return 0 if row is None else _headroom(plan, samples, row)


def line_crossed(plan: Plan, samples: Samples, start_ns: int) -> int:
    """When the domain had less than the reserve left for the first time; 0 for never."""
    rows = (row for row in samples.rows if row[0] >= start_ns)
    return next((row[0] for row in rows if _headroom(plan, samples, row) < plan.reserve_bytes), 0)


def _headroom(plan: Plan, samples: Samples, row: Row) -> int:
    if plan.limit_bytes is None:
        return row[samples.column("available")]
    return plan.limit_bytes - row[samples.column("domain.anon")] - row[samples.column("domain.shmem")]


def _latency(run: Path, start_ns: int) -> Latency | None:
    """None when `lat` did not live to tell."""
    report = _report(run / "lat.json")
    if not report:
        return None
    worst_at = (report.pop("worst_at_ns") - start_ns) / SECOND
    return Latency(worst_at=worst_at, **report)  # type: ignore[arg-type]


def _report(path: Path) -> dict[str, float]:
    return json.loads(path.read_text()) if path.exists() else {}
