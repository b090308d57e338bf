"""What past snapshots leave behind: a short series per container and per domain. Rates come from here.

`observe` is a pure function from one history to the next, so that a replayed trace builds the same history.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from memguard.core.domain import Domain
from memguard.core.footprint import footprint
from memguard.core.forecast import WINDOW, Sample
from memguard.core.model import Container, Snapshot

#: A container that was not seen for this long is forgotten (the guard looks at a few at a time, see guard/), ...
FORGET_SECONDS = 3600.0
#: ... and so are, a few at a time, those seen longest ago, where there are more than this and twice the snapshot's own.
MOST_TRACKS, FEW_TRACKS = 1024, 64
#: Between two looks at everything for what is to be forgotten.
SWEEP_SECONDS = 60.0

#: A domain that was not looked at for this long starts a new series: the old one says nothing about the present.
EPISODE_GAP_SECONDS = 120.0

#: The stall is measured over at least this long: shorter windows are all or nothing.
STALL_SECONDS = 0.5

#: What a victim held is back by then (30 to 330 ms, braking.md); until it is, it hides what others take.
RETURN_SECONDS = 0.5


class Track(msgspec.Struct, frozen=True, gc=False):
    """One container's recent past. `previous_bytes` is the largest footprint of its earlier incarnation.

    `moved_at` is the latest sample that differed from the one before it: since then it is flat.
    """

    workload: tuple[str, str]
    samples: tuple[Sample, ...]
    peak_bytes: int
    previous_bytes: int = 0
    moved_at: float = float("-inf")


class Gauge(msgspec.Struct, frozen=True, gc=False):
    """One domain's recent past: available and free swap, seconds and bytes."""

    available: tuple[Sample, ...] = ()
    swap_free: tuple[Sample, ...] = ()


class Reclaim(msgspec.Struct, frozen=True, gc=False):
    """Cumulative stall seconds and reclaim counters (pages) at one moment; None where not known."""

    at: float
    full_seconds: float | None
    scanned_pages: int | None


class History(msgspec.Struct, frozen=True, gc=False):
    """The archive. `tracks` by container id, `workloads` maps a workload to its latest container id."""

    tracks: dict[str, Track] = {}
    gauges: dict[str, Gauge] = {}
    workloads: dict[tuple[str, str], str] = {}
    reclaim: tuple[Reclaim, ...] = ()
    swept: float = 0.0
    #: when a container last died for growth that was not the containers'
    foreign_at: float | None = None


def observe(history: History, snapshot: Snapshot, found: tuple[Domain, ...]) -> History:
    """The history after this snapshot; `found` are the snapshot's domains."""
    now = snapshot.seconds
    tracks, workloads, swept = _remembered(history, now, MOST_TRACKS + 2 * len(snapshot.containers))
    for container in sorted(snapshot.containers, key=lambda container: container.id):
        track = _track(container, now, tracks, workloads)
        tracks[container.id] = track
        workloads[track.workload] = container.id
    clear = clear_at(history)
    gauges = {domain.key: _gauge(history.gauges.get(domain.key, Gauge()), domain, now, clear) for domain in found}
    reclaim = (*_thinned(history.reclaim)[-WINDOW + 1 :], _reclaim(history, snapshot, now))
    kept = history.gauges
    if swept != history.swept:
        kept = {key: gauge for key, gauge in kept.items() if not _stale(gauge, now)}
    return History(tracks, kept | gauges, workloads, reclaim, swept, history.foreign_at)


def _remembered(history: History, now: float, most: int) -> tuple[dict[str, Track], dict[tuple[str, str], str], float]:
    """Copies to go on with, without what was not seen for long; swept now and then, since it looks at everything."""
    if now - history.swept < SWEEP_SECONDS and len(history.tracks) <= most:
        return dict(history.tracks), dict(history.workloads), history.swept
    tracks = {key: track for key, track in history.tracks.items() if now - track.samples[-1][0] < FORGET_SECONDS}
    if len(tracks) > most:
        latest = sorted(tracks.items(), key=lambda pair: (pair[1].samples[-1][0], pair[0]))
        tracks = dict(latest[FEW_TRACKS - most :])
    return tracks, {key: value for key, value in history.workloads.items() if value in tracks}, now


def stall_ratio(history: History) -> float:
    """Share of the last half second or more in which everything stood still for memory, 0..1.

    Stalls count only while reclaim moves: a throttled container or stale pressure must not kill (braking.md).
    """
    if len(history.reclaim) < 2:
        return 0.0
    latest = history.reclaim[-1]
    earlier = next((r for r in reversed(history.reclaim[:-1]) if latest.at - r.at >= STALL_SECONDS), history.reclaim[0])
    seconds = latest.at - earlier.at
    if latest.full_seconds is None or earlier.full_seconds is None or seconds <= 0:
        return 0.0
    if not (_moved(earlier.scanned_pages, latest.scanned_pages)):
        return 0.0
    return min(1.0, max(0.0, (latest.full_seconds - earlier.full_seconds) / seconds))


def _moved(earlier: int | None, latest: int | None) -> bool:
    """Did the counter move? What is not known is not held against the stall."""
    return earlier is None or latest is None or latest > earlier


def _track(container: Container, now: float, tracks: dict[str, Track], workloads: dict[tuple[str, str], str]) -> Track:
    used = footprint(container.memory)
    known = tracks.get(container.id)
    if known is not None:
        return Track(
            known.workload,
            (*known.samples[-WINDOW + 1 :], (now, used)),
            max(known.peak_bytes, used),
            known.previous_bytes,
            known.moved_at if used == known.samples[-1][1] else now,
        )
    key = (container.pod_uid or f"{container.namespace}/{container.pod}", container.name or container.id)
    earlier = tracks.get(workloads.get(key, ""))
    previous = 0 if earlier is None else max(earlier.peak_bytes, earlier.previous_bytes)
    return Track(key, ((now, used),), used, previous)


def clear_at(history: History) -> float:
    """Since when a domain's fall shows again what others take, after one died for foreign growth."""
    return float("-inf") if history.foreign_at is None else history.foreign_at + RETURN_SECONDS


def _gauge(gauge: Gauge, domain: Domain, now: float, clear: float) -> Gauge:
    began = gauge.available[0][0] if gauge.available else now
    if _stale(gauge, now) or began < clear <= now:
        gauge = Gauge()
    return Gauge(
        (*gauge.available[-WINDOW + 1 :], (now, domain.available_bytes)),
        (*gauge.swap_free[-WINDOW + 1 :], (now, domain.swap_free_bytes)),
    )


def _stale(gauge: Gauge, now: float) -> bool:
    return bool(gauge.available) and now - gauge.available[-1][0] > EPISODE_GAP_SECONDS


def _thinned(reclaim: tuple[Reclaim, ...]) -> tuple[Reclaim, ...]:
    """Readings a tenth of STALL_SECONDS apart or more: a window of them is long enough at every tick."""
    dense = len(reclaim) > 1 and reclaim[-1].at - reclaim[-2].at < STALL_SECONDS / 10
    return reclaim[:-1] if dense else reclaim


def _reclaim(history: History, snapshot: Snapshot, now: float) -> Reclaim:
    """Counters that were not read (a decision on a tick has no time for it) are those of the last reading."""
    stall, vmstat = snapshot.node.pressure, snapshot.vmstat
    before = history.reclaim[-1].scanned_pages if history.reclaim else None
    return Reclaim(
        now,
        stall.full_total_seconds if stall else None,
        _total(vmstat.pgscan_direct, vmstat.pgscan_kswapd) if vmstat else before,
    )


def _total(*counts: int | None) -> int | None:
    """The sum of those that are known; None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def age_seconds(container: Container, now: datetime) -> float | None:
    """Seconds since the container started; None where that is not known."""
    return max(0.0, (now - container.started_at).total_seconds()) if container.started_at else None


def forget_gauge(history: History, key: str) -> History:
    """The history with one domain's series started afresh: a new episode begins (a line was crossed)."""
    gauges = {name: gauge for name, gauge in history.gauges.items() if name != key}
    return msgspec.structs.replace(history, gauges=gauges)


def after_victim(history: History, now: float, *, foreign: bool) -> History:
    """The history after a victim: what it gives back would look like a trend, so all domains start afresh.

    `foreign`: it died for growth that was not the containers'; that happens once, not again and again.
    """
    return msgspec.structs.replace(history, gauges={}, foreign_at=now if foreign else history.foreign_at)


def recent(samples: tuple[Sample, ...], since: float, now: float) -> list[Sample]:
    """A series over [since, now]: what was not sampled again did not change.

    The guard samples a container again only when it moved, so the last value holds until now, and the last one
    before the window holds at its beginning.
    """
    inside = [sample for sample in samples if sample[0] >= since]
    older = len(samples) - len(inside)
    if older and (not inside or inside[0][0] > since):
        inside.insert(0, (since, samples[older - 1][1]))
    if inside[-1][0] < now:
        inside.append((now, inside[-1][1]))
    return inside
