"""What was read from one machine at one moment: the public Snapshot format as frozen values.

Sizes are bytes, times are seconds, ratios are 0..1. `None` means "not known", never zero; unknown fields in the
input are ignored. Nothing here is derived, except `recent_cores`: rates come from two snapshots (see history).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

API_VERSION = "memguard.io/snapshot/v1"

#: The kernel's own bounds: an integer beyond them is a broken file, and would overflow the arithmetic of the score.
LARGEST = (1 << 63) - 1

Bytes = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Size = Annotated[int, msgspec.Meta(gt=0, le=LARGEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Number = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Cores = Annotated[float, msgspec.Meta(ge=0)]
#: What msgspec raises for bytes that are no such record; RecursionError: nested thousands deep.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: A moment without its time zone would mean another moment on another machine.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of all records of the public formats: frozen, camelCase outside, snake_case inside."""


class NodeMemory(Record, frozen=True, kw_only=True):
    """/proc/meminfo of the node."""

    total_bytes: Size
    available_bytes: Bytes
    free_bytes: Bytes | None = None
    swap_total_bytes: Bytes | None = None
    swap_free_bytes: Bytes | None = None
    zswap_bytes: Bytes | None = None


class Stall(Record, frozen=True, kw_only=True):
    """Cumulative PSI stall times: some tasks waited for memory, or all of them did (Documentation/accounting/psi)."""

    some_total_seconds: Seconds
    full_total_seconds: Seconds


class NumaNode(Record, frozen=True, kw_only=True):
    """One NUMA node's own memory; `reclaimable_bytes` are its file pages and reclaimable slab."""

    node: Number
    total_bytes: Size
    free_bytes: Bytes
    reclaimable_bytes: Bytes | None = None


class Node(Record, frozen=True, kw_only=True):
    """The machine."""

    memory: NodeMemory
    name: str = ""
    uptime_seconds: Seconds | None = None
    cpus: Size | None = None
    pressure: Stall | None = None
    numa: tuple[NumaNode, ...] = ()


class Owner(Record, frozen=True, kw_only=True):
    """The workload that a pod belongs to."""

    kind: str
    name: str


class Memory(Record, frozen=True, kw_only=True):
    """memory.current, memory.stat and their kin of one container's cgroup.

    `swap_bytes` is memory.swap.current, `zswap_bytes` the part of it held in zswap (memory.stat zswapped);
    `kernel_bytes` already contains what zswap takes in compressed form.
    """

    current_bytes: Bytes
    anon_bytes: Bytes | None = None
    shmem_bytes: Bytes | None = None
    file_bytes: Bytes | None = None
    inactive_file_bytes: Bytes | None = None
    kernel_bytes: Bytes | None = None
    slab_reclaimable_bytes: Bytes | None = None
    sock_bytes: Bytes | None = None
    swap_bytes: Bytes | None = None
    zswap_bytes: Bytes | None = None
    virtual_bytes: Bytes | None = None
    min_bytes: Bytes | None = None
    low_bytes: Bytes | None = None
    peak_bytes: Bytes | None = None


class Events(Record, frozen=True, kw_only=True):
    """memory.events: cumulative counts."""

    low: Count = 0
    high: Count = 0
    max: Count = 0
    oom: Count = 0
    oom_kill: Count = 0
    oom_group_kill: Count = 0


class Cpu(Record, frozen=True, kw_only=True):
    """CPU time used in all, and cores used lately (the one derived reading)."""

    total_seconds: Seconds
    recent_cores: Cores | None = None


class Processes(Record, frozen=True, kw_only=True):
    """How many processes, and in which state."""

    count: Count
    running: Count | None = None
    sleeping: Count | None = None
    uninterruptible: Count | None = None


class MemoryVolume(Record, frozen=True, kw_only=True):
    """Memory that outlives the container: a memory-backed emptyDir, a shared /dev/shm."""

    kind: str
    bytes: Bytes | None = None


#: How a node stands: less than four reserves left above the reserve is Tight, within the reserve is Critical.
Level = Literal["Calm", "Tight", "Critical"]
ContainerType = Literal["container", "init", "sidecar", "ephemeral", "sandbox"]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]
RestartPolicy = Literal["Always", "OnFailure", "Never"]


class Identity(Record, frozen=True, kw_only=True):
    """Which container of which pod a container id is: what Kubernetes knows of it, as opposed to what is read."""

    id: str
    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    name: str | None = None
    owner: Owner | None = None
    qos: Qos | None = None
    priority: Number | None = None
    privileged: bool | None = None
    static: bool | None = None
    restart_policy: RestartPolicy | None = None
    restart_count: Count | None = None
    request_bytes: Bytes | None = None
    labels: dict[str, str] | None = None
    type: ContainerType = "container"
    memory_volumes: tuple[MemoryVolume, ...] = ()


def container_title(namespace: str | None, pod: str | None, name: str | None, otherwise: str = "") -> str:
    """What a person calls a container: namespace/pod/name; where nothing is mapped, its name or what else it has."""
    return "/".join(filter(None, (namespace, pod, name))) if pod else name or otherwise


def titled(identity: str, title: str) -> Identity:
    """The container of this id whose title is namespace/pod/name."""
    place, _, name = title.rpartition("/")
    namespace, _, pod = place.rpartition("/")
    return Identity(id=identity, namespace=namespace or None, pod=pod or None, name=name or None)


class Container(Identity, frozen=True, kw_only=True):
    """One container: its identity (cgroup and pod) and its readings."""

    memory: Memory
    cgroup: str = ""
    started_at: Moment | None = None
    oom_score_adj: Number | None = None
    nice: Number | None = None
    limit_bytes: Bytes | None = None
    high_bytes: Bytes | None = None
    events: Events | None = None
    cpu: Cpu | None = None
    pressure: Stall | None = None
    processes: Processes | None = None
    numa_bytes: dict[str, Bytes] | None = None
    cpuset_mems: str | None = None

    @property
    def title(self) -> str:
        """What a person calls it: namespace/pod/name, or its cgroup where nothing is mapped."""
        return container_title(self.namespace, self.pod, self.name, self.cgroup or self.id[:12])

    @property
    def mapped(self) -> bool:
        """Is it known which container of which pod this cgroup is?"""
        return bool(self.namespace and self.pod and self.name)

    def known_as(self, identity: Identity) -> Container:
        """The same readings with this identity."""
        return msgspec.structs.replace(self, **{name: getattr(identity, name) for name in Identity.__struct_fields__})


def unread(identity: Identity, cgroup: str = "") -> Container:
    """The container of which nothing is known but who it is."""
    return Container(id=identity.id, cgroup=cgroup, memory=Memory(current_bytes=0)).known_as(identity)


class Cgroup(Record, frozen=True, kw_only=True):
    """A boundary above containers: kubepods or a pod's slice."""

    path: str
    current_bytes: Bytes
    kind: Literal["kubepods", "pod", "other"] = "other"
    max_bytes: Bytes | None = None
    high_bytes: Bytes | None = None
    unreclaimable_bytes: Bytes | None = None


class Vmstat(Record, frozen=True, kw_only=True):
    """The counters of /proc/vmstat that tell failing reclaim from healthy cache churn: cumulative pages."""

    pgscan_direct: Count | None = None
    pgsteal_direct: Count | None = None
    pgscan_kswapd: Count | None = None
    pgsteal_kswapd: Count | None = None
    workingset_refault_file: Count | None = None
    workingset_refault_anon: Count | None = None
    oom_kill: Count | None = None


class Snapshot(Record, frozen=True, kw_only=True):
    """Everything that one decision looks at, taken once and consistent for the whole pass."""

    taken_at: Moment
    node: Node
    containers: tuple[Container, ...]
    api_version: str = API_VERSION
    cgroups: tuple[Cgroup, ...] = ()
    vmstat: Vmstat | None = None

    @property
    def seconds(self) -> float:
        """`taken_at` as seconds since the epoch."""
        return self.taken_at.timestamp()
