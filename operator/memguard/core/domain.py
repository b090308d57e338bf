"""Which boundary is about to break: the node, kubepods, a NUMA node, a pod's or a container's own limit.

Victims are chosen only inside the domain that breaks, which is the kernel's own rule (mm/oom_kill.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from memguard.core.footprint import share_on, unreclaimable
from memguard.core.model import Cgroup, Container, NumaNode, Snapshot
from memguard.core.policy import SMALLEST_GUARDED_LIMIT, Plan, Settings

Kind = Literal["node", "kubepods", "numa", "pod", "container"]
#: Widest first.
KINDS: tuple[Kind, ...] = get_args(Kind)

#: A container belongs to a NUMA domain when at least this share of its memory lives there and its cpuset is unknown.
BOUND_SHARE = 0.95


class Domain(msgspec.Struct, frozen=True, gc=False):
    """One boundary with its size and headroom, in bytes."""

    kind: Kind
    name: str
    size_bytes: int
    available_bytes: int
    reserve_bytes: int
    swap_total_bytes: int = 0
    swap_free_bytes: int = 0

    @property
    def key(self) -> str:
        """What it is called in output and history: `node`, `numa:0`, `container:<id>`."""
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @property
    def width(self) -> int:
        """Rank from the node (0), which holds all others, to a single container."""
        return KINDS.index(self.kind)

    @property
    def is_own_limit(self) -> bool:
        """Is it a pod's or a container's own limit, not a boundary that all share?"""
        return self.kind in ("pod", "container")

    @property
    def scale_bytes(self) -> int:
        """D of the score: RAM and swap together."""
        return self.size_bytes + self.swap_total_bytes

    @property
    def headroom_bytes(self) -> int:
        """What is left above the reserve; negative inside it."""
        return self.available_bytes - self.reserve_bytes

    def holds(self, container: Container) -> bool:
        """Is the container inside this boundary?"""
        match self.kind:
            case "node":
                return True
            case "numa":
                return _bound(container, int(self.name))
            case "container":
                return container.id == self.name
            case "kubepods":
                return _inside(container, self.name) or not container.cgroup
            case "pod":
                return _inside(container, self.name)


def domains(snapshot: Snapshot, plan: Plan) -> Iterator[Domain]:
    """All boundaries that the readings show and the plan guards; the node first."""
    settings = plan.settings
    yield _node(snapshot, settings)
    for numa in snapshot.node.numa if len(snapshot.node.numa) > 1 else ():
        if any(_bound(container, numa.node) for container in snapshot.containers):
            yield _numa(snapshot, numa, settings)
    for cgroup in snapshot.cgroups:
        domain = _slice(snapshot, cgroup, plan)
        if domain is not None:
            yield domain
    for container in snapshot.containers:
        if guards_limit(container, plan):
            yield _container(container, settings)


def guards_limit(container: Container, plan: Plan) -> bool:
    """Is the container's own limit guarded? An opt-in of its rule, and not offered below 128 MiB."""
    return (container.limit_bytes or 0) >= SMALLEST_GUARDED_LIMIT and plan.rule_for(container).guard_limit


def margin(limit_bytes: int, settings: Settings) -> int:
    """How far under a limit the line stands: 16 MiB or 5 % held every filler for a 300 ms grace (braking.md).

    Never more than a quarter of the limit: a margin for large containers must not condemn the small ones.
    """
    return min(max(settings.margin_bytes, int(limit_bytes * settings.margin_ratio)), limit_bytes // 4)


def reserve(size_bytes: int, settings: Settings) -> int:
    """What must stay available: 6 % of the domain, capped, since a kill needs time and not a share of terabytes."""
    return min(int(size_bytes * settings.reserve_ratio), settings.reserve_cap_bytes)


def _node(snapshot: Snapshot, settings: Settings) -> Domain:
    memory = snapshot.node.memory
    return Domain(
        "node",
        "",
        memory.total_bytes,
        memory.available_bytes,
        reserve(memory.total_bytes, settings),
        memory.swap_total_bytes or 0,
        memory.swap_free_bytes or 0,
    )


def _numa(snapshot: Snapshot, numa: NumaNode, settings: Settings) -> Domain:
    """A full NUMA node is normal: page cache there is headroom; where not known, by each container's share of it."""
    cache = numa.reclaimable_bytes
    if cache is None:
        cache = sum(int(share_on(c, numa.node) * _cache(c)) for c in snapshot.containers if c.numa_bytes)
    available = min(numa.total_bytes, numa.free_bytes + cache)
    return Domain("numa", str(numa.node), numa.total_bytes, available, reserve(numa.total_bytes, settings))


def _slice(snapshot: Snapshot, cgroup: Cgroup, plan: Plan) -> Domain | None:
    if cgroup.kind == "other" or not cgroup.max_bytes:
        return None
    members = [c for c in snapshot.containers if _inside(c, cgroup.path)]
    used = cgroup.unreclaimable_bytes
    if used is None:
        used = sum(unreclaimable(c.memory) for c in members)
    if cgroup.kind == "kubepods":
        kept = reserve(cgroup.max_bytes, plan.settings)
    elif cgroup.max_bytes >= SMALLEST_GUARDED_LIMIT and any(plan.rule_for(c).guard_limit for c in members):
        kept = margin(cgroup.max_bytes, plan.settings)
    else:
        return None
    return Domain(cgroup.kind, cgroup.path, cgroup.max_bytes, max(0, cgroup.max_bytes - used), kept)


def _container(container: Container, settings: Settings) -> Domain:
    limit = container.limit_bytes or 0
    available = max(0, limit - unreclaimable(container.memory))
    return Domain("container", container.id, limit, available, margin(limit, settings))


def _inside(container: Container, path: str) -> bool:
    return container.cgroup.startswith(path + "/")


def _cache(container: Container) -> int:
    memory = container.memory
    return max(0, (memory.file_bytes or 0) - (memory.shmem_bytes or 0)) + (memory.slab_reclaimable_bytes or 0)


def _bound(container: Container, numa_node: int) -> bool:
    """May the container use only a strict subset of the nodes, this one among them?"""
    nodes = container.numa_bytes
    if not nodes or len(nodes) < 2:
        return False
    if container.cpuset_mems is not None:
        allowed = parse_nodes(container.cpuset_mems)
        return numa_node in allowed and len(allowed) < len(nodes)
    return share_on(container, numa_node) >= BOUND_SHARE


#: Both numbers of a range; no machine has a node of more than four digits.
NODES_DIGITS = 16


def parse_nodes(text: str) -> frozenset[int]:
    """`0-2,4` of cpuset.mems.effective as a set; what cannot be read is no node."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal() and len(part) < NODES_DIGITS:
            found.update(range(int(first), min(int(last or first), int(first) + 1024) + 1))
    return frozenset(found)
