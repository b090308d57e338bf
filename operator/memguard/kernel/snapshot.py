"""From kernel files to core's Snapshot: one pass over cgroups that are held open, consistent for the decision.

What the kernel does not know (who a container is, its memory-backed volumes) comes from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from memguard.core import model
from memguard.kernel import reading
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.host import cpus, uptime_seconds
from memguard.kernel.memory_stat import MemoryStat
from memguard.kernel.paths import parse_container_path
from memguard.kernel.psi import read_stall
from memguard.kernel.readers import Readers

#: Processes of one container that are looked at one by one.
PROCESSES_LOOKED_AT: Final = 64


def take_snapshot(
    readers: Readers, identities: Mapping[str, model.Container], clock: Callable[[], datetime]
) -> model.Snapshot:
    """Read everything once. What vanished meanwhile is left out. Raises KernelFileError for what cannot be understood.

    `identities`: container id (or cgroup path) -> what is known of it beside its readings. `clock` gives the time
    with its zone, once.
    """
    taken_at = clock()
    containers = (
        _container(readers, cgroup, _identity(identities, path), taken_at)
        for path, cgroup in readers.containers.items()
    )
    return model.Snapshot(
        taken_at=taken_at,
        node=_node(readers),
        containers=tuple(found for found in containers if found is not None),
        cgroups=tuple(
            found for cgroup in readers.boundaries.values() if (found := reading.boundary(cgroup)) is not None
        ),
        vmstat=readers.vmstat.read(),
    )


def _node(readers: Readers) -> model.Node:
    return model.Node(
        name=readers.node_name,
        uptime_seconds=uptime_seconds(readers.proc),
        cpus=cpus(),
        memory=reading.node_memory(readers.meminfo.read()),
        pressure=read_stall(readers.pressure),
        numa=reading.numa_nodes(readers.numa.read()),
    )


def _identity(identities: Mapping[str, model.Container], path: str) -> model.Container:
    place = parse_container_path(path)
    found = (identities.get(place.container_id) if place else None) or identities.get(path)
    if found is not None:
        return found
    if place is None:
        return model.unread(model.Identity(id=path), path)
    return model.unread(model.Identity(id=place.container_id, pod_uid=place.pod_uid, qos=place.qos), path)


def _container(readers: Readers, cgroup: Cgroup, known: model.Container, taken_at: datetime) -> model.Container | None:
    current = cgroup.current()
    if current is None:
        return None
    first = reading.FirstProcesses(cgroup.pids() or [], readers.proc, PROCESSES_LOOKED_AT)
    rare = model.Memory(
        current_bytes=current,
        virtual_bytes=first.virtual_bytes,
        min_bytes=cgroup.min(),
        low_bytes=cgroup.low(),
        peak_bytes=cgroup.peak(),
    )
    return replace(
        known,
        cgroup=cgroup.path,
        memory=reading.memory(current, cgroup.stat() or MemoryStat(), cgroup.swap_current(), rare),
        limit_bytes=reading.finite(cgroup.max()),
        high_bytes=reading.finite(cgroup.high()),
        events=cgroup.events(),
        cpu=_cpu(readers, cgroup, taken_at.timestamp()),
        pressure=cgroup.pressure(),
        processes=first.processes,
        numa_bytes=reading.numa_bytes(cgroup),
        cpuset_mems=cgroup.cpuset_mems(),
        nice=first.nice(cgroup.nice()),
        oom_score_adj=known.oom_score_adj if first.oom_score_adj is None else first.oom_score_adj,
        started_at=known.started_at or reading.started_at(cgroup, first, taken_at),
    )


def _cpu(readers: Readers, cgroup: Cgroup, now: float) -> model.Cpu | None:
    total = cgroup.cpu_seconds()
    if total is None:
        return None
    return model.Cpu(total_seconds=total, recent_cores=readers.recent_cores(cgroup.path, now, total))
