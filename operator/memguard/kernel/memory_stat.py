"""memory.stat and memory.events of a cgroup (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from typing import Final

import msgspec

from memguard.core.model import Bytes, Events
from memguard.kernel.parse import cut, keys


class MemoryStat(msgspec.Struct, frozen=True, gc=False, rename=lambda name: name.removesuffix("_bytes")):
    """The fields of memory.stat that a decision uses, in bytes.

    None where this kernel does not write the line. shmem is part of file, slab_reclaimable part of kernel: never
    add them up. The kernel flushes these counters only above 64 x CPUs pending updates or every 2 s: they lag,
    memory.current does not.
    """

    anon_bytes: Bytes | None = None
    file_bytes: Bytes | None = None
    kernel_bytes: Bytes | None = None
    sock_bytes: Bytes | None = None
    shmem_bytes: Bytes | None = None
    zswapped_bytes: Bytes | None = None
    file_dirty_bytes: Bytes | None = None
    file_writeback_bytes: Bytes | None = None
    inactive_file_bytes: Bytes | None = None
    active_file_bytes: Bytes | None = None
    slab_reclaimable_bytes: Bytes | None = None


STAT_KEYS: Final = keys(
    "anon",
    "file",
    "kernel",
    "sock",
    "shmem",
    "zswapped",
    "file_dirty",
    "file_writeback",
    "inactive_file",
    "active_file",
    "slab_reclaimable",
)
_DECODER: Final = msgspec.json.Decoder(MemoryStat)
#: The kernel's order is fixed (memory_stats[] in mm/memcontrol.c): nothing that is needed comes after this.
_END: Final = b"\nslab_unreclaimable "
_RECLAIMABLE_KEYS: Final = keys("file_dirty", "file_writeback", "inactive_file", "active_file", "slab_reclaimable")
_EVENT_KEYS: Final = keys("low", "high", "max", "oom", "oom_kill", "oom_group_kill")


def memory_stat(data: bytes, source: object) -> MemoryStat:
    """memory.stat's needed fields. Raises KernelFileError.

    A flat keyed file is two replacements away from JSON, which msgspec reads at the speed of C: 19 us in virtual time,
    one search for each field 45 us, a dict of every line 90 us; the reading itself is 60 us. What is no JSON is looked
    at closely.
    """
    end = data.find(_END)
    pairs = (data if end < 0 else data[:end]).rstrip().replace(b" ", b'":').replace(b"\n", b',"')
    try:
        return _DECODER.decode(b'{"' + pairs + b"}")
    except msgspec.DecodeError:
        return MemoryStat(*cut(data, STAT_KEYS, source))


def unreclaimable(data: bytes, current_bytes: int, source: object) -> int:
    """What reclaim cannot give back: live current - file LRU + dirty + writeback - reclaimable slab, in bytes.

    Cuts only the five fields that it needs out of memory.stat. Raises KernelFileError.
    """
    dirty, writeback, inactive, active, slab = cut(data, _RECLAIMABLE_KEYS, source)
    cache = (inactive or 0) + (active or 0) - (dirty or 0) - (writeback or 0)
    value = current_bytes - max(cache, 0) - (slab or 0)
    # stat lags behind current: the difference of the two may leave the possible range for a moment.
    return min(max(value, 0), current_bytes)


def memory_events(data: bytes, source: object) -> Events:
    """memory.events or memory.events.local: cumulative counts, 0 where this kernel does not count."""
    low, high, limit, oom, oom_kill, group = cut(data, _EVENT_KEYS, source)
    return Events(
        low=low or 0, high=high or 0, max=limit or 0, oom=oom or 0, oom_kill=oom_kill or 0, oom_group_kill=group or 0
    )
