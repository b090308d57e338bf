"""Who lives on a node: kinds of workload with their habits, and the container as the simulation sees it.

The habits (relative size, cache, CPU, how requests are set, what a loss costs the people who run it) are plain
statements about such programs. They decide the truth later: what a loss costs follows from what the program is for.
"""

import math
import random
from dataclasses import dataclass, field

from bench.victims.curves import NEVER, Curve, nothing, one

MIB = 1 << 20
GIB = 1 << 30

# Pages that a page table costs, and a task's stack, slab and cgroup overhead in the kernel.
PAGE_TABLE_RATIO = 1 / 400
TASK_BYTES = 56 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """Habits of a kind of workload.

    `weight` is its relative size, `hot` its hot page cache as a multiple of its anonymous memory, `request` the range
    of request over usual footprint (an honest database against a careless web service), `no_request` how often none is
    set, `cost` what its loss costs (1 = one of many replicas is restarted), `share` how common it is.
    """

    name: str
    weight: float
    cost: float
    owner: str
    request: tuple[float, float]
    no_request: float = 0.1
    hot: float = 0.05
    shmem: float = 0.0
    wobble: float = 0.01
    cores: float = 0.05
    processes: tuple[int, int] = (1, 4)
    important: float = 0.0
    restart: str = "Always"
    virtual: float = 1.5
    share: int = 0


KINDS = {
    kind.name: kind
    for kind in (
        Kind("web", 1.0, 1, "Deployment", (0.4, 1.2), 0.2, wobble=0.03, cores=0.15, processes=(1, 12), share=34),
        Kind("jvm", 3.2, 3, "Deployment", (0.7, 1.2), 0.08, wobble=0.012, cores=0.3, virtual=2.5, important=0.12,
             share=16),
        Kind("database", 6.0, 25, "StatefulSet", (0.85, 1.4), 0.05, hot=1.2, shmem=0.35, wobble=0.006, cores=0.4,
             processes=(1, 60), important=0.8, share=8),
        Kind("cache", 3.5, 5, "Deployment", (0.8, 1.3), 0.08, hot=0.0, wobble=0.008, cores=0.2, important=0.3, share=6),
        Kind("queue", 3.0, 15, "StatefulSet", (0.8, 1.3), 0.05, hot=2.0, cores=0.3, virtual=3.0, important=0.6,
             share=4),
        Kind("batch", 2.5, 3, "Job", (0.4, 1.1), 0.3, hot=0.3, wobble=0.02, cores=0.9, restart="OnFailure", share=6),
        Kind("worker", 1.6, 1.5, "Deployment", (0.4, 1.1), 0.25, wobble=0.025, cores=0.4, processes=(2, 24), share=10),
        Kind("agent", 0.4, 2, "DaemonSet", (0.5, 1.2), 0.1, hot=0.3, cores=0.05, share=6),
        Kind("system", 0.25, 30, "DaemonSet", (0.5, 1.5), 0.1, hot=0.3, cores=0.05, important=1.0, share=10),
        Kind("sidecar", 0.2, 1, "", (0.5, 1.2), 0.1, cores=0.03),
        Kind("plane", 3.0, 100, "Node", (0.5, 1.0), 0.1, hot=0.5, cores=0.3, important=1.0),
    )
}  # fmt: skip


@dataclass(slots=True)
class Pod:
    """A pod's identity; its containers share it."""

    uid: str
    name: str
    namespace: str
    owner_kind: str
    owner_name: str
    priority: int
    labels: dict[str, str]
    restart_policy: str
    static: bool = False
    qos: str = "BestEffort"


@dataclass(slots=True, eq=False)
class Container:
    """One container: who it is, what it wants over time, and what it holds now (bytes; lists are per NUMA node).

    `pinned`: the story depends on its request, so the scheduler's limit is kept at the others' expense. `local`: the
    share of its memory that it touches first on its home NUMA node; its threads run on the others too, unless `bound`.
    """

    id: str
    pod: Pod
    name: str
    kind: Kind
    anon: Curve
    type: str = "container"
    request: int | None = None
    limit: int | None = None
    pinned: bool = False
    shmem: Curve = nothing
    volume: str | None = None
    hot: float = 0.0
    stream: Curve = nothing
    cold: float = 0.3
    kernel_base: float = 2.0 * MIB
    socket: float = 0.2 * MIB
    processes: Curve = one
    largest_process: float = 0.9
    cores: float = 0.05
    busy: Curve = one
    nice: int = 0
    privileged: bool = False
    adj: int = 1000
    min_bytes: int = 0
    low_bytes: int = 0
    age: float = 3600.0
    restarts: int = 0
    begins: float = -NEVER
    ends: float = NEVER
    home: int = 0
    local: float = 1.0
    bound: bool = False
    hidden: bool = False
    important: bool = False
    wobble: float = 0.01
    # what it holds now
    noise: float = 0.0
    used: list[float] = field(default_factory=list)
    file: list[float] = field(default_factory=list)
    anon_now: float = 0.0
    shmem_now: float = 0.0
    kernel_now: float = 0.0
    slab_now: float = 0.0
    swap: float = 0.0
    zswapped: float = 0.0
    peak: float = 0.0
    cpu_total: float = 0.0
    cpu_now: float = 0.0
    stall_some: float = 0.0
    stall_full: float = 0.0
    stalled: float = 0.0
    max_events: int = 0

    @property
    def current(self) -> float:
        return sum(self.used) + sum(self.file)

    def alive(self, t: float) -> bool:
        return self.begins <= t < self.ends

    def want(self, t: float, dt: float, rng: random.Random) -> float:
        """Draws what it wants to hold at t, without page cache; returns the bytes that must be resident or swapped."""
        tau = 20.0
        keep = math.exp(-dt / tau)
        self.noise = self.noise * keep + rng.gauss(0.0, self.wobble) * math.sqrt(1 - keep * keep)
        self.anon_now = max(self.anon(t) * (1 + self.noise), 64 * 1024)
        self.shmem_now = max(self.shmem(t), 0.0)
        file = sum(self.file)
        self.slab_now = 0.004 * file + 0.3 * MIB
        self.kernel_now = (
            self.kernel_base + PAGE_TABLE_RATIO * (self.anon_now + self.shmem_now) + TASK_BYTES * self.processes(t)
        )
        return self.anon_now + self.shmem_now + self.kernel_now + self.slab_now + self.socket


def kubelet_adj(qos: str, request: int | None, capacity: int, priority: int) -> int:
    """oom_score_adj as kubelet's qos/policy.go computes it."""
    if priority >= 2_000_001_000 or qos == "Guaranteed":
        return -997
    if qos == "BestEffort":
        return 1000
    return min(max(1000 - 1000 * (request or 0) // capacity, 3), 999)


def settle_pod(containers: list[Container], capacity: int) -> None:
    """Gives the containers of one pod their QoS class and oom_score_adj, from requests, limits and priority."""
    pod = containers[0].pod
    if all(c.limit and c.request == c.limit for c in containers):
        pod.qos = "Guaranteed"
    elif any(c.limit or c.request for c in containers):
        pod.qos = "Burstable"
    else:
        pod.qos = "BestEffort"
    for c in containers:
        c.adj = kubelet_adj(pod.qos, c.request, capacity, pod.priority)
    regular = [c.adj for c in containers if c.type == "container"]
    for c in containers:
        if c.type == "sidecar" and regular:
            c.adj = min(c.adj, *regular)
