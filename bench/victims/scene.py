"""The stage: a node of a given cluster, filled with ordinary pods up to a budget, before anything goes wrong."""

import random
from dataclasses import dataclass, field

from bench.victims import curves, names
from bench.victims.curves import Curve, steady
from bench.victims.kernel import Node
from bench.victims.machine import Machine
from bench.victims.workload import GIB, KINDS, MIB, PAGE_TABLE_RATIO, TASK_BYTES, Container, Kind, Pod, settle_pod

SIZES_GIB = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CPUS = {1: (2,), 2: (2,), 4: (2, 4), 8: (2, 4), 16: (4, 8), 32: (8, 16), 64: (16, 32), 128: (32, 64), 256: (32, 64)}
# Priority classes by what a team thinks of a workload; many clusters have none at all.
PRIORITIES = (
    {"low": 0, "usual": 0, "high": 0, "top": 0},
    {"low": -10, "usual": 0, "high": 1000, "top": 100_000},
    {"low": -1000, "usual": 100, "high": 10_000, "top": 1_000_000},
)
HIGH_PRIORITY = 100_000


@dataclass(slots=True)
class Scene:
    """A node under construction. `share(x)` is x of the node's memory in bytes.

    `thrift` is how this cluster's people set requests: 1 honestly, 0.5 half of what they use, which is how nodes come
    to be over-committed.
    """

    rng: random.Random
    machine: Machine
    priorities: dict[str, int]
    name: str = "node-a"
    thrift: float = 1.0
    containers: list[Container] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def share(self, x: float) -> float:
        return x * self.machine.total

    # -- building blocks -----------------------------------------------------------------------------------------
    def pod(self, kind: Kind, *, priority: int | None = None, app: str | None = None, important: bool = False) -> Pod:
        rng = self.rng
        app = app or names.app_name(rng, self.taken)
        system = kind.name in ("system", "plane")
        return Pod(
            uid=names.uid(rng),
            name=names.pod_name(rng, app, kind.owner, self.name),
            namespace="kube-system" if system else rng.choice(names.NAMESPACES),
            owner_kind=kind.owner,
            owner_name=self.name if kind.owner == "Node" else app,
            priority=self.priority_of(kind, important=important) if priority is None else priority,
            labels={"app": app} | ({"tier": rng.choice(("a", "b", "c"))} if rng.random() < 0.3 else {}),
            restart_policy=kind.restart,
            static=kind.name == "plane",
        )

    def priority_of(self, kind: Kind, *, important: bool) -> int:
        """By what people think of it; not all of them think of setting one."""
        rng = self.rng
        if kind.name in ("system", "plane"):
            return 2_000_001_000 if kind.name == "plane" or rng.random() < 0.7 else 2_000_000_000
        if important:
            return self.priorities[rng.choice(("usual", "high", "high", "top"))]
        chances = {
            "batch": ("low", "low", "usual"),
            "worker": ("low", "usual", "usual"),
            "agent": ("usual", "high", "high"),
        }
        return self.priorities[rng.choice(chances.get(kind.name, ("low", "usual", "usual", "usual", "high")))]

    def add(
        self, kind: Kind, size: float, *, anon: Curve | None = None, pod: Pod | None = None, **extra: object
    ) -> Container:
        """One container of about `size` bytes (unreclaimable); `anon` replaces its ordinary curve."""
        rng = self.rng
        processes, important = rng.randint(*kind.processes), rng.random() < kind.important
        base = min(2.0 * MIB, 0.1 * size)
        shared = kind.shmem * size
        overhead = shared + base + TASK_BYTES * processes + 0.5 * MIB
        private = max((size - overhead) / (1 + PAGE_TABLE_RATIO), 0.3 * size)
        c = Container(
            id=names.hex_id(rng),
            pod=pod or self.pod(kind, important=important),
            name=rng.choice(("app", "main", "server", "web"))
            if kind.name != "sidecar"
            else rng.choice(("proxy", "log")),
            kind=kind,
            anon=anon or self._ordinary(kind, private),
            shmem=steady(shared),
            hot=kind.hot * private * rng.uniform(0.4, 1.4),
            stream=steady(self._stream(kind)),
            cold=rng.uniform(0.1, 0.6),
            kernel_base=base,
            processes=steady(processes),
            largest_process=1.0
            if processes == 1
            else rng.uniform(0.5, 0.95)
            if kind.name != "worker"
            else 1.6 / processes,
            cores=kind.cores * rng.lognormvariate(0.0, 0.7) * max(1.0, self.machine.cpus / 8),
            nice=rng.choice((0, 0, 0, 0, 5, 19)) if kind.name in ("batch", "agent") else 0,
            privileged=kind.name == "system" and rng.random() < 0.7,
            age=self._age(kind),
            restarts=rng.choice((0, 0, 0, 0, 0, 1, 1, 2, 5)),
            important=important,
            wobble=kind.wobble * rng.uniform(0.4, 1.4),
            home=rng.randrange(self.machine.numa),
            local=rng.uniform(0.45, 0.85),
        )
        self._requests(c, size)
        for key, value in extra.items():
            setattr(c, key, value)
        self.containers.append(c)
        return c

    def _ordinary(self, kind: Kind, level: float) -> Curve:
        """An innocent day: waves of traffic, a collector's teeth, now and then a slow drift."""
        rng = self.rng
        if kind.name in ("jvm", "web") and rng.random() < 0.4:
            depth = rng.uniform(0.01, 0.06)
            return curves.sawtooth(level * (1 - depth), level * (1 + depth), rng.uniform(6, 45), rng.random())
        if rng.random() < 0.3:
            return curves.drift(level, level * rng.uniform(-0.01, 0.02) / 60)
        return curves.wave(level, level * rng.uniform(0.0, 0.02), rng.uniform(60, 400), rng.random())

    def _stream(self, kind: Kind) -> float:
        chance = {"database": 0.3, "queue": 0.7, "batch": 0.5}.get(kind.name, 0.03)
        return self.share(self.rng.uniform(1e-5, 8e-4)) if self.rng.random() < chance else 0.0

    def _age(self, kind: Kind) -> float:
        rng, uptime = self.rng, self.machine.uptime
        if kind.name in ("system", "plane"):
            return uptime - rng.uniform(20, 90)
        if kind.name == "batch":
            return min(rng.lognormvariate(7.0, 1.2), 0.9 * uptime)
        return min(rng.lognormvariate(11.0, 1.6), 0.98 * uptime)

    def _requests(self, c: Container, size: float) -> None:
        """What people set. A big container without a fair request is an offence of its own, so that is rare here."""
        rng, kind = self.rng, c.kind
        big = size > self.share(0.06)
        if rng.random() < kind.no_request * (0.25 if big else 1.0):
            return
        ratio = rng.uniform(*kind.request) * self.thrift
        c.request = _round(size * (max(ratio, rng.uniform(0.4, 0.8)) if big else ratio))
        if rng.random() < 0.35:
            return
        ceiling = c.request * rng.choice((1.0, 1.25, 1.5, 2.0, 3.0))
        c.limit = _round(max(ceiling, 1.2 * size + 8 * MIB))
        if kind.name in ("database", "jvm") and rng.random() < 0.3:
            c.request = c.limit
        if kind.name == "database" and rng.random() < 0.25:
            setattr(c, rng.choice(("low_bytes", "min_bytes")), min(c.request, _round(size)))

    # -- the crowd -----------------------------------------------------------------------------------------------
    def populate(self, budget: float, pods: int) -> list[Container]:
        """Ordinary pods that together hold about `budget` bytes; returns them."""
        rng = self.rng
        kinds = [KINDS["system"]] * rng.randint(2, 4) + [KINDS["agent"]] * rng.randint(0, 2)
        if rng.random() < 0.07:
            kinds += [KINDS["plane"]] * rng.randint(1, 3)
        apps = [k for k in KINDS.values() if k.share and k.name != "system"]
        kinds += rng.choices(apps, [k.share for k in apps], k=max(pods - len(kinds), 4))
        wanted: list[tuple[Kind, float, bool]] = []
        for kind in kinds:
            wanted.append((kind, kind.weight * rng.lognormvariate(0.0, 0.55), False))
            if kind.name in ("web", "jvm", "worker") and rng.random() < 0.25:
                wanted.append((KINDS["sidecar"], 0.2 * rng.lognormvariate(0.0, 0.4), True))
        whole = sum(weight for _, weight, _ in wanted)
        weights = [min(weight, 0.35 * whole) for _, weight, _ in wanted]
        made: list[Container] = []
        for (kind, _, beside), weight in zip(wanted, weights, strict=True):
            size = max(budget * weight / sum(weights), 3.0 * MIB)
            pod = made[-1].pod if beside else self._replica(kind, made)
            native = beside and rng.random() < 0.4
            made.append(self.add(kind, size, pod=pod, type="sidecar" if native else "container"))
        return made

    def _replica(self, kind: Kind, made: list[Container]) -> Pod | None:
        """Now and then another replica of an application that is here already."""
        if kind.owner != "Deployment" or self.rng.random() > 0.25:
            return None
        twins = [c.pod for c in made if c.kind is kind]
        if not twins:
            return None
        twin = self.rng.choice(twins)
        pod = self.pod(kind, priority=twin.priority, app=twin.owner_name)
        pod.namespace = twin.namespace
        return pod

    def passers_by(self, seconds: float) -> None:
        """Short-lived company: cron jobs that come and go while the trace runs."""
        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            begin, size = rng.uniform(0, 0.8 * seconds), self.share(rng.uniform(0.001, 0.008))
            rise = rng.uniform(1, 6)
            c = self.add(KINDS["batch"], size, anon=curves.ramp(0.1 * size, size, begin, rise))
            c.begins, c.ends = begin, begin + rise + rng.uniform(2, 25)
            c.age, c.restarts = -begin, 0

    # -- the whole -----------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Nobody comes any more: requests within what the scheduler allows, QoS, oom_score_adj, and a chance order."""
        self._fit_requests()
        groups: dict[str, list[Container]] = {}
        for c in self.containers:
            groups.setdefault(c.pod.uid, []).append(c)
        for group in groups.values():
            settle_pod(group, self.machine.total)
        self.rng.shuffle(self.containers)

    def ready(self, *, cache_full: float, hot: float) -> Node:
        """The closed scene with its hot caches, as a node that has settled."""
        self.close()
        self._system()
        asked = sum(c.hot for c in self.containers)
        scale = min(1.0, hot / asked) if asked else 0.0
        for c in self.containers:
            top = c.hot if c.limit is None else max(0.8 * (c.limit - 1.05 * (c.anon(0.0) + c.shmem(0.0))), 0.0)
            c.hot = min(c.hot * scale, top)
        node = Node(self.machine, self.containers, self.rng)
        _settle(node, cache_full)
        return node

    def _fit_requests(self) -> None:
        """The scheduler never lets requests exceed what is allocatable, however much is used."""
        allocatable = 0.92 * (self.machine.kubepods_max or self.machine.total)
        free = [c for c in self.containers if c.request and c.request != c.limit and not c.pinned]
        asked = sum(c.request or 0 for c in free)
        fixed = sum(c.request or 0 for c in self.containers) - asked
        scale = max(allocatable - fixed, 0.0) / asked * 0.98 if asked else 1.0
        for c in free if scale < 1 else ():
            c.request = _round((c.request or 0) * scale)

    def _system(self) -> None:
        """kubelet, the runtime and the daemons: on the node, in no pod."""
        size = max(self.share(self.rng.uniform(0.012, 0.03)), 0.06 * min(self.machine.total, 4 * GIB))
        c = self.add(KINDS["system"], size, anon=curves.wave(size, 0.01 * size, 90, self.rng.random()))
        c.hidden, c.limit, c.cores, c.wobble, c.home = True, None, 0.3, 0.002, self.machine.numa - 1


def _round(x: float) -> int:
    """People write whole mebibytes."""
    return max(int(x / MIB), 1) * MIB


def _settle(node: Node, cache_full: float) -> None:
    """A node that has run for long: page cache fills the share `cache_full` of what is free, counters have history."""
    node.step(0.0, 1.0)
    for k in range(node.machine.numa):
        room = max(node.free(k) - 1.1 * node.machine.watermarks()[2] / node.machine.numa, 0.0) * cache_full
        takers = [c for c in node.containers if c.used and (c.home == k or not c.bound)]
        weight = {c.id: (c.hot + 0.02 * c.current + MIB) * node.rng.uniform(0.3, 1.7) for c in takers}
        for c in takers:
            top = (c.limit or 1 << 60) * 0.99 - c.current
            c.file[k] += max(min(room * weight[c.id] / sum(weight.values()), top), 0.0)
    for _ in range(8):
        node.step(0.0, 1.0)
    fresh = node.rng.uniform
    for name in ("scan_kswapd", "scan_direct", "refault_file", "refault_anon"):
        setattr(node.count, name, fresh(1e4, 1e8))
    node.count.steal_kswapd = node.count.scan_kswapd * fresh(0.7, 0.98)
    node.count.steal_direct = node.count.scan_direct * fresh(0.5, 0.98)
    node.count.some, node.count.full = fresh(0, 400), fresh(0, 90)
    for c in node.containers:
        c.cpu_total = max(c.cores * max(c.age, 1.0) * fresh(0.4, 1.2), 0.01)
        c.stall_some, c.stall_full, c.stalled = fresh(0, 20), fresh(0, 5), 0.0
        c.peak = c.current * fresh(1.0, 1.15)
        c.max_events = 0
