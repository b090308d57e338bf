"""What the kernel's files say, in the words of the public Snapshot: shared by the guard and `memguard snapshot`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from memguard.core import model
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.meminfo import Meminfo
from memguard.kernel.memory_stat import MemoryStat
from memguard.kernel.numa import NumaReading
from memguard.kernel.paths import is_kubepods
from memguard.kernel.process import Process, process

_LOWEST_NICE: Final = -20
_HIGHEST_NICE: Final = 19


class FirstProcesses:
    """What the first few processes of a container tell: never cmdline, smaps or maps (process.py)."""

    def __init__(self, pids: list[int], proc: str, looked_at: int) -> None:
        self._count = len(pids)
        self._seen = [found for pid in pids[:looked_at] if (found := process(pid, proc)) is not None]
        self._biggest = max(self._seen, key=_rss, default=None)

    @property
    def processes(self) -> model.Processes:
        """How many, and their states where all of them were seen."""
        if len(self._seen) < self._count:
            return model.Processes(count=self._count)
        return model.Processes(
            count=self._count,
            running=sum(found.state == "R" for found in self._seen),
            sleeping=sum(found.state in "SI" for found in self._seen),
            uninterruptible=sum(found.state == "D" for found in self._seen),
        )

    @property
    def oom_score_adj(self) -> int | None:
        """The biggest process's."""
        return self._biggest.oom_score_adj if self._biggest else None

    @property
    def age_seconds(self) -> float | None:
        """Of the oldest that was seen: cgroup.procs begins with it as a rule, since forks are appended."""
        if not self._seen:
            return None
        return time.clock_gettime(time.CLOCK_BOOTTIME) - min(found.started_seconds for found in self._seen)

    @property
    def virtual_bytes(self) -> int | None:
        """Address space of those that were seen."""
        return sum(found.virtual_bytes for found in self._seen) if self._seen else None

    def nice(self, weight_nice: int | None) -> int | None:
        """cpu.weight.nice and the biggest process's own nice work in series: added, and clamped."""
        if weight_nice is None or self._biggest is None:
            return weight_nice if self._biggest is None else self._biggest.nice
        return min(max(weight_nice + self._biggest.nice, _LOWEST_NICE), _HIGHEST_NICE)


def memory(current: int, stat: MemoryStat, swap_bytes: int | None, known: model.Memory) -> model.Memory:
    """memory.current, memory.stat and swap of a moment; from `known` what changes rarely (virtual, min, low, peak)."""
    return model.Memory(
        current_bytes=current,
        anon_bytes=stat.anon_bytes,
        shmem_bytes=stat.shmem_bytes,
        file_bytes=stat.file_bytes,
        inactive_file_bytes=stat.inactive_file_bytes,
        kernel_bytes=stat.kernel_bytes,
        slab_reclaimable_bytes=stat.slab_reclaimable_bytes,
        sock_bytes=stat.sock_bytes,
        swap_bytes=swap_bytes,
        zswap_bytes=stat.zswapped_bytes,
        virtual_bytes=known.virtual_bytes,
        min_bytes=known.min_bytes,
        low_bytes=known.low_bytes,
        peak_bytes=known.peak_bytes,
    )


def node_memory(meminfo: Meminfo) -> model.NodeMemory:
    """/proc/meminfo."""
    return model.NodeMemory(
        total_bytes=meminfo.total_bytes,
        available_bytes=meminfo.available_bytes,
        free_bytes=meminfo.free_bytes,
        swap_total_bytes=meminfo.swap_total_bytes,
        swap_free_bytes=meminfo.swap_free_bytes,
        zswap_bytes=meminfo.zswap_bytes,
    )


def numa_nodes(readings: Iterable[NumaReading]) -> tuple[model.NumaNode, ...]:
    """node*/meminfo; page cache and reclaimable slab are what a node can give back."""
    return tuple(
        model.NumaNode(
            node=found.node,
            total_bytes=found.total_bytes,
            free_bytes=found.free_bytes,
            reclaimable_bytes=found.active_file_bytes + found.inactive_file_bytes + found.slab_reclaimable_bytes,
        )
        for found in readings
    )


def numa_bytes(cgroup: Cgroup) -> dict[str, int] | None:
    """memory.numa_stat, by the node's number as the Snapshot writes it."""
    held = cgroup.numa_bytes()
    return None if held is None else {str(node): count for node, count in held.items()}


def boundary(cgroup: Cgroup) -> model.Cgroup | None:
    """kubepods or a pod with its limit, and what cannot be reclaimed in it; None when it is gone."""
    current = cgroup.current()
    if current is None:
        return None
    return model.Cgroup(
        path=cgroup.path,
        kind="kubepods" if is_kubepods(cgroup.path) else "pod",
        current_bytes=current,
        max_bytes=finite(cgroup.max()),
        high_bytes=finite(cgroup.high()),
        unreclaimable_bytes=cgroup.unreclaimable(),
    )


def started_at(cgroup: Cgroup, first: FirstProcesses, now: datetime) -> datetime | None:
    """When the container started: with its oldest process; None when it is gone. In the time of the caller.

    Where no process can be seen, when its directory last changed: that is never before it was made, but may be long
    after it (kernfs dates an inode by its first lookup, our own mark or a nested mkdir dates it anew).
    """
    age, fd = first.age_seconds, cgroup.directory.fd
    if age is None and fd >= 0:
        age = time.time() - os.fstat(fd).st_mtime
    return None if age is None else now - timedelta(seconds=max(0.0, age))


def finite(size: int | None) -> int | None:
    """A limit, None for "max"."""
    return None if size is None or size >= UNLIMITED else size


def _rss(found: Process) -> int:
    return found.rss_bytes
