"""memory.stat and memory.events of a cgroup (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from typing import Final

import msgspec

from memguard.core.model import Events
from memguard.kernel.parse import Columns, cut, keys


class MemoryStat(msgspec.Struct, frozen=True, gc=False):
    """The fields of memory.stat that a decision uses, in bytes or (the last five) cumulative pages.

    None where this kernel does not write the line. shmem is part of file, slab_reclaimable part of kernel: never
    add them up. The kernel flushes these counters only above 64 x CPUs pending updates or every 2 s: they lag,
    memory.current does not.
    """

    anon_bytes: int | None = None
    file_bytes: int | None = None
    kernel_bytes: int | None = None
    sock_bytes: int | None = None
    shmem_bytes: int | None = None
    zswap_bytes: int | None = None
    zswapped_bytes: int | None = None
    file_dirty_bytes: int | None = None
    file_writeback_bytes: int | None = None
    inactive_file_bytes: int | None = None
    active_file_bytes: int | None = None
    unevictable_bytes: int | None = None
    slab_reclaimable_bytes: int | None = None
    workingset_refault_anon: int | None = None
    workingset_refault_file: int | None = None
    pgscan: int | None = None
    pgsteal: int | None = None

    def unreclaimable(self, current_bytes: int) -> int:
        """What reclaim cannot give back: live current - file LRU + dirty + writeback - reclaimable slab, in bytes."""
        held = (self.file_dirty_bytes or 0) + (self.file_writeback_bytes or 0)
        cache = (self.inactive_file_bytes or 0) + (self.active_file_bytes or 0)
        return _within(current_bytes - max(cache - held, 0) - (self.slab_reclaimable_bytes or 0), current_bytes)


_KEYS: Final = keys(
    "anon",
    "file",
    "kernel",
    "sock",
    "shmem",
    "zswap",
    "zswapped",
    "file_dirty",
    "file_writeback",
    "inactive_file",
    "active_file",
    "unevictable",
    "slab_reclaimable",
    "workingset_refault_anon",
    "workingset_refault_file",
    "pgscan",
    "pgsteal",
)
_RECLAIMABLE_KEYS: Final = keys("file_dirty", "file_writeback", "inactive_file", "active_file", "slab_reclaimable")
_EVENT_KEYS: Final = keys("low", "high", "max", "oom", "oom_kill", "oom_group_kill")


def stat_columns() -> Columns:
    """What remembers one memory.stat's layout between readings."""
    return Columns(_KEYS)


def memory_stat(data: bytes, source: object, columns: Columns | None = None) -> MemoryStat:
    """memory.stat's needed fields. Raises KernelFileError."""
    return MemoryStat(*(columns.cut(data, source) if columns else cut(data, _KEYS, source)))


def unreclaimable(data: bytes, current_bytes: int, source: object) -> int:
    """As MemoryStat.unreclaimable, cutting only the five fields that it needs out of memory.stat."""
    dirty, writeback, inactive, active, slab = cut(data, _RECLAIMABLE_KEYS, source)
    cache = (inactive or 0) + (active or 0) - (dirty or 0) - (writeback or 0)
    return _within(current_bytes - max(cache, 0) - (slab or 0), current_bytes)


def memory_events(data: bytes, source: object) -> Events:
    """memory.events or memory.events.local: cumulative counts, 0 where this kernel does not count."""
    low, high, limit, oom, oom_kill, group = cut(data, _EVENT_KEYS, source)
    return Events(
        low=low or 0, high=high or 0, max=limit or 0, oom=oom or 0, oom_kill=oom_kill or 0, oom_group_kill=group or 0
    )


def _within(value: int, current_bytes: int) -> int:
    # stat lags behind current: the difference of the two may leave the possible range for a moment.
    return min(max(value, 0), current_bytes)
