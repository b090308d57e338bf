"""Any container and any node that the formats allow: what properties are tested on."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, at

from memguard.core.model import (
    Cgroup,
    Container,
    Cpu,
    Memory,
    MemoryVolume,
    Node,
    NodeMemory,
    NumaNode,
    Owner,
    Processes,
    Snapshot,
    Stall,
    Vmstat,
)
from memguard.core.policy import Match, Plan, Rule

sizes = st.one_of(st.integers(0, 4 * GIB), st.integers(0, 2**62), st.sampled_from([0, 1, MIB]))
maybe_sizes = st.one_of(st.none(), sizes)
seconds = st.floats(0, 1e9)
counts = st.integers(0, 2**40)
words = st.sampled_from(["", "a", "b", "app", "db", "ops", "sidecar"])
moments = st.one_of(st.none(), st.floats(-1e6, 1e3).map(at))


def structs(kind: type[Any], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A struct of this kind; fields without a default are always given, the others sometimes."""
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    given = {name: strategy for name, strategy in fields.items() if name in required}
    optional = {name: strategy for name, strategy in fields.items() if name not in required}
    return st.fixed_dictionaries(given, optional=optional).map(lambda values: kind(**values))


memories = structs(
    Memory,
    current_bytes=sizes,
    **{name: maybe_sizes for name in Memory.__struct_fields__ if name != "current_bytes"},
)
stalls = structs(Stall, some_total_seconds=seconds, full_total_seconds=seconds)
processes = structs(Processes, count=counts, running=counts, sleeping=counts, uninterruptible=counts)
owners = structs(Owner, kind=st.sampled_from(["Deployment", "Job", "VirtualMachineInstance"]), name=words)

containers = structs(
    Container,
    id=st.text("abcdef0123456789", min_size=1, max_size=6),
    memory=memories,
    cgroup=st.sampled_from(["", "kubepods.slice/x/1", "kubepods.slice/y/2", "system.slice/ssh.service"]),
    namespace=st.sampled_from([None, "shop", "ops", "kube-system"]),
    pod=st.sampled_from([None, "x", "y", "z"]),
    pod_uid=st.sampled_from([None, "ux", "uy"]),
    name=st.sampled_from([None, "app", "sidecar"]),
    owner=st.none() | owners,
    qos=st.sampled_from([None, "Guaranteed", "Burstable", "BestEffort"]),
    priority=st.none() | st.integers(-(2**31), 2**31),
    privileged=st.sampled_from([None, True, False]),
    static=st.sampled_from([None, True, False]),
    restart_policy=st.sampled_from([None, "Always", "OnFailure", "Never"]),
    restart_count=st.none() | counts,
    started_at=moments,
    oom_score_adj=st.none() | st.integers(-1000, 1000),
    nice=st.none() | st.integers(-20, 19),
    request_bytes=maybe_sizes,
    limit_bytes=maybe_sizes,
    cpu=st.none() | structs(Cpu, total_seconds=seconds, recent_cores=st.none() | st.floats(0, 1e4)),
    pressure=st.none() | stalls,
    processes=st.none() | processes,
    numa_bytes=st.none() | st.dictionaries(st.sampled_from(["0", "1"]), sizes),
    cpuset_mems=st.sampled_from([None, "", "0", "1", "0-1"]),
    labels=st.none() | st.dictionaries(words, words, max_size=2),
    type=st.sampled_from(["container", "init", "sidecar", "ephemeral", "sandbox"]),
    memory_volumes=st.sampled_from([(), (MemoryVolume(kind="emptyDir"),)]),
)

populations = st.lists(containers, max_size=6, unique_by=lambda container: container.id).map(tuple)


@st.composite
def node_memories(draw: st.DrawFn) -> NodeMemory:
    total = draw(st.one_of(st.integers(1, 2**62), st.sampled_from([1, 99, GIB, 64 * GIB])))
    swap = draw(st.none() | st.integers(0, 2**62))
    return NodeMemory(
        total_bytes=total,
        available_bytes=draw(st.integers(0, total)),
        free_bytes=draw(st.none() | st.integers(0, total)),
        swap_total_bytes=swap,
        swap_free_bytes=None if swap is None else draw(st.integers(0, swap)),
    )


nodes = structs(
    Node,
    memory=node_memories(),
    uptime_seconds=st.none() | seconds,
    cpus=st.none() | st.integers(1, 512),
    pressure=st.none() | stalls,
    numa=st.sampled_from(
        [(), tuple(NumaNode(node=index, total_bytes=GIB, free_bytes=free) for index, free in enumerate((0, GIB // 2)))]
    ),
)

cgroups = structs(
    Cgroup,
    path=st.sampled_from(["kubepods.slice", "kubepods.slice/x", "kubepods.slice/y"]),
    current_bytes=sizes,
    kind=st.sampled_from(["kubepods", "pod", "other"]),
    max_bytes=maybe_sizes,
    unreclaimable_bytes=maybe_sizes,
)

snapshots = st.builds(
    Snapshot,
    taken_at=st.floats(0, 1e4).map(at),
    node=nodes,
    containers=populations,
    cgroups=st.lists(cgroups, max_size=3, unique_by=lambda cgroup: cgroup.path).map(tuple),
    vmstat=st.none() | structs(Vmstat, pgscan_direct=counts, pgscan_kswapd=counts, workingset_refault_file=counts),
)

rules = structs(
    Rule,
    match=structs(Match, namespace=st.sampled_from(["*", "shop"]), container=st.sampled_from(["*", "app"])),
    adjustment=st.integers(-1000, 1000),
    protected=st.booleans(),
    minimum_age_seconds=st.sampled_from([0.0, 60.0, 1e9]),
    guard_limit=st.booleans(),
    actions=st.sampled_from([("kill",), ("evict",), ("notify",), ("terminate", "kill", "evict")]),
)
plans = structs(
    Plan,
    rules=st.lists(rules, max_size=2).map(tuple),
    bias=st.dictionaries(st.sampled_from(["shop/x/app", "shop/Deployment/a/app"]), st.integers(-50, 50)),
)
