"""Containers, snapshots and short stories for the tests of core: small, explicit, in real units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from memguard.core.history import History
from memguard.core.model import Container, Memory, Node, NodeMemory, Snapshot
from memguard.core.policy import Plan
from memguard.core.replay import Decision, Replayer
from memguard.core.select import Candidate, Ranking, judge
from memguard.core.trace import Reading

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HOUR = 3600.0

MEMORY_FIELDS = {name.removesuffix("_bytes"): name for name in Memory.__struct_fields__}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def memory(**sizes: int | None) -> Memory:
    """`memory(anon=1, file=2)`; current is their sum unless given."""
    if "current" not in sizes:
        charged = (sizes.get(name) or 0 for name in ("anon", "file", "kernel", "sock"))
        sizes["current"] = sum(charged)
    return Memory(**{MEMORY_FIELDS[name]: size for name, size in sizes.items()})


def container(id_: str = "a", /, age: float | None = 6 * HOUR, **facts: Any) -> Container:
    """An ordinary container of its own pod in namespace shop; sizes of `Memory` by their short names."""
    sizes = {key: facts.pop(key) for key in list(facts) if key in MEMORY_FIELDS}
    pod = facts.pop("pod", f"pod-{id_}")
    usual: dict[str, Any] = {
        "id": id_,
        "namespace": "shop",
        "pod": pod,
        "pod_uid": f"uid-{pod}",
        "name": "app",
        "cgroup": f"kubepods.slice/kubepods-{pod}.slice/{id_}.scope",
        "request_bytes": 0,
        "started_at": None if age is None else at(-age),
        "memory": memory(**({"anon": 100 * MIB} | sizes)),
    }
    return Container(**(usual | facts))


def snapshot(
    containers: Iterable[Container],
    *,
    total: int = 16 * GIB,
    available: int = 8 * GIB,
    seconds: float = 0.0,
    swap: tuple[int, int] | None = None,
    **facts: Any,
) -> Snapshot:
    """A node with these containers; `swap` is total and free."""
    swap_total, swap_free = swap or (None, None)
    of_node = NodeMemory(
        total_bytes=total, available_bytes=available, swap_total_bytes=swap_total, swap_free_bytes=swap_free
    )
    node = Node(
        memory=of_node,
        name="node-a",
        uptime_seconds=facts.pop("uptime", 24 * HOUR),
        cpus=facts.pop("cpus", 8),
        pressure=facts.pop("pressure", None),
        numa=facts.pop("numa", ()),
    )
    return Snapshot(taken_at=at(seconds), node=node, containers=tuple(containers), **facts)


#: So little is left that every score above 100 is one too many.
DIRE = {"total": 16 * GIB, "available": 100 * MIB}


def judged(snap: Snapshot, plan: Plan | None = None) -> Ranking:
    """A first look, without history."""
    return judge(History(), snap, plan or Plan())[1]


def ranked(*containers: Container, plan: Plan | None = None, **facts: Any) -> Ranking:
    """A first look at a node that is nearly out of memory."""
    return judged(snapshot(containers, **(DIRE | facts)), plan)


def by_id(ranking: Ranking) -> dict[str, Candidate]:
    return {candidate.container.id: candidate for candidate in ranking.candidates}


def watch(snapshots: Iterable[Snapshot], plan: Plan | None = None) -> list[Ranking]:
    """What is thought at each look, acting on nothing."""
    history, rankings = History(), []
    for snap in snapshots:
        history, ranking = judge(history, snap, plan or Plan())
        rankings.append(ranking)
    return rankings


def decisions(snapshots: Iterable[Snapshot], plan: Plan | None = None) -> list[Decision]:
    """What is decided over a story, each victim gone afterwards."""
    replayer = Replayer(plan)
    found = (replayer.feed(Reading(snapshot=snap)) for snap in snapshots)
    return [decision for decision in found if decision is not None]


def story(
    curves: Sequence[tuple[Container, Callable[[float], float]]],
    *,
    total: int = 16 * GIB,
    rest: int = 0,
    seconds: float = 60.0,
    step: float = 1.0,
    **facts: Any,
) -> list[Snapshot]:
    """Containers whose anonymous memory follows curves (seconds -> bytes); `rest` of the node is used by the system."""
    found = []
    for index in range(int(seconds / step) + 1):
        t = index * step
        now = [with_anon(one, int(curve(t))) for one, curve in curves]
        used = rest + sum(
            c.memory.current_bytes - (c.memory.file_bytes or 0) + (c.memory.shmem_bytes or 0) for c in now
        )
        found.append(snapshot(now, total=total, available=max(0, total - used), seconds=t, **facts))
    return found


def with_anon(one: Container, anon: int) -> Container:
    before = one.memory
    current = before.current_bytes - (before.anon_bytes or 0) + anon
    return changed(one, memory=msgspec.structs.replace(before, anon_bytes=anon, current_bytes=current))


def changed(one: Any, **facts: Any) -> Any:
    """A copy with other facts; sizes of a container by their short names."""
    sizes = {MEMORY_FIELDS[key]: facts.pop(key) for key in list(facts) if key in MEMORY_FIELDS}
    if sizes:
        facts["memory"] = msgspec.structs.replace(one.memory, **sizes)
    return msgspec.structs.replace(one, **facts)
