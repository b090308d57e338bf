"""From kernel files to core's Snapshot: one pass over cgroups that are held open, consistent for the decision.

What the kernel does not know (who a container is, its memory-backed volumes) comes from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Container as Membership
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from memguard.core import model
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.host import cpus, uptime_seconds
from memguard.kernel.memory_stat import MemoryStat
from memguard.kernel.paths import is_kubepods, parse_container_path
from memguard.kernel.process import Process, process
from memguard.kernel.psi import read_stall
from memguard.kernel.readers import Readers

#: Processes of one container that are looked at one by one.
PROCESSES_LOOKED_AT: Final = 64
_LOWEST_NICE, _HIGHEST_NICE = -20, 19
_UNREAD: Final = model.Memory(current_bytes=0)


def take_snapshot(
    readers: Readers,
    identities: Mapping[str, model.Container],
    clock: Callable[[], datetime],
    *,
    full: Membership[str] | None = None,
) -> model.Snapshot:
    """Read everything once. What vanished meanwhile is left out.

    `identities`: container id (or cgroup path) -> what is known of it beside its readings. `full`: the cgroup
    paths that get every reading (memory.stat alone is 100 us), the others only memory.current; None: all.
    `clock` gives the time with its zone, once.
    """
    taken_at = clock()
    containers = (
        _container(readers, cgroup, _identity(identities, path), taken_at, full=full is None or path in full)
        for path, cgroup in readers.containers.items()
    )
    return model.Snapshot(
        taken_at=taken_at,
        node=_node(readers),
        containers=tuple(found for found in containers if found is not None),
        cgroups=tuple(found for cgroup in readers.boundaries.values() if (found := _boundary(cgroup)) is not None),
        vmstat=readers.vmstat.read(),
    )


def _node(readers: Readers) -> model.Node:
    memory = readers.meminfo.read()
    return model.Node(
        name=readers.node_name,
        uptime_seconds=uptime_seconds(readers.proc),
        cpus=cpus(),
        memory=model.NodeMemory(
            total_bytes=memory.total_bytes,
            available_bytes=memory.available_bytes,
            free_bytes=memory.free_bytes,
            swap_total_bytes=memory.swap_total_bytes,
            swap_free_bytes=memory.swap_free_bytes,
            zswap_bytes=memory.zswap_bytes,
        ),
        pressure=read_stall(readers.pressure),
        numa=tuple(
            model.NumaNode(node=found.node, total_bytes=found.total_bytes, free_bytes=found.free_bytes)
            for found in readers.numa.read()
        ),
    )


def _boundary(cgroup: Cgroup) -> model.Cgroup | None:
    current = cgroup.current()
    if current is None:
        return None
    return model.Cgroup(
        path=cgroup.path,
        kind="kubepods" if is_kubepods(cgroup.path) else "pod",
        current_bytes=current,
        max_bytes=_finite(cgroup.max()),
        high_bytes=_finite(cgroup.high()),
        unreclaimable_bytes=cgroup.unreclaimable(),
    )


def _identity(identities: Mapping[str, model.Container], path: str) -> model.Container:
    place = parse_container_path(path)
    found = (identities.get(place.container_id) if place else None) or identities.get(path)
    if found is not None:
        return found
    if place is None:
        return model.Container(id=path, cgroup=path, memory=_UNREAD)
    return model.Container(id=place.container_id, cgroup=path, pod_uid=place.pod_uid, qos=place.qos, memory=_UNREAD)


def _container(
    readers: Readers, cgroup: Cgroup, known: model.Container, taken_at: datetime, *, full: bool
) -> model.Container | None:
    current = cgroup.current()
    if current is None:
        return None
    if not full:
        return replace(known, cgroup=cgroup.path, memory=model.Memory(current_bytes=current))
    pids = cgroup.pids() or []
    processes = [found for pid in pids[:PROCESSES_LOOKED_AT] if (found := process(pid, readers.proc)) is not None]
    biggest = max(processes, key=_rss, default=None)
    mems = cgroup.numa_bytes()
    return replace(
        known,
        cgroup=cgroup.path,
        memory=_memory(cgroup, current, processes),
        limit_bytes=_finite(cgroup.max()),
        high_bytes=_finite(cgroup.high()),
        events=cgroup.events(),
        cpu=_cpu(readers, cgroup, taken_at.timestamp()),
        pressure=cgroup.pressure(),
        processes=_processes(len(pids), processes),
        numa_bytes=None if mems is None else {str(node): held for node, held in mems.items()},
        cpuset_mems=cgroup.cpuset_mems(),
        nice=_nice(cgroup.nice(), biggest),
        oom_score_adj=known.oom_score_adj if biggest is None else biggest.oom_score_adj,
    )


def _memory(cgroup: Cgroup, current: int, processes: list[Process]) -> model.Memory:
    stat = cgroup.stat() or MemoryStat()
    return model.Memory(
        current_bytes=current,
        anon_bytes=stat.anon_bytes,
        shmem_bytes=stat.shmem_bytes,
        file_bytes=stat.file_bytes,
        inactive_file_bytes=stat.inactive_file_bytes,
        kernel_bytes=stat.kernel_bytes,
        slab_reclaimable_bytes=stat.slab_reclaimable_bytes,
        sock_bytes=stat.sock_bytes,
        swap_bytes=cgroup.swap_current(),
        zswap_bytes=stat.zswapped_bytes,
        virtual_bytes=sum(found.virtual_bytes for found in processes) if processes else None,
        min_bytes=cgroup.min(),
        low_bytes=cgroup.low(),
        peak_bytes=cgroup.peak(),
    )


def _cpu(readers: Readers, cgroup: Cgroup, now: float) -> model.Cpu | None:
    total = cgroup.cpu_seconds()
    if total is None:
        return None
    return model.Cpu(total_seconds=total, recent_cores=readers.recent_cores(cgroup.path, now, total))


def _processes(count: int, looked_at: list[Process]) -> model.Processes:
    if len(looked_at) < count:
        return model.Processes(count=count)
    return model.Processes(
        count=count,
        running=sum(found.state == "R" for found in looked_at),
        sleeping=sum(found.state in "SI" for found in looked_at),
        uninterruptible=sum(found.state == "D" for found in looked_at),
    )


def _nice(weight_nice: int | None, biggest: Process | None) -> int | None:
    """cpu.weight.nice and the biggest process's own nice work in series: added, and clamped."""
    if weight_nice is None or biggest is None:
        return weight_nice if biggest is None else biggest.nice
    return min(max(weight_nice + biggest.nice, _LOWEST_NICE), _HIGHEST_NICE)


def _rss(found: Process) -> int:
    return found.rss_bytes


def _finite(size: int | None) -> int | None:
    return None if size is None or size >= UNLIMITED else size
