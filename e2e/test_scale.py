"""A full node: 110 pods; what the guard and the agent then cost, and how fast a policy reaches the guard."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.workloads import Shop, cgroup_of, container, eventually, opened, pod, policy

NODE = NODES[0]
SPACE = "crowd"
MIB = 1 << 20
#: kubelet's own bound, less the one that is ours.
PODS = 109
#: All at once, containerd on an emulated CPU takes longer than kubelet waits for it, and both begin anew.
WAVE = 10
GUARD_MIB, AGENT_MIB = 17, 45
#: Of an emulated CPU, some twenty times slower than a server's, on a node that so many shims make tight.
GUARD_CPU = 0.1


@pytest.fixture(scope="module")
def crowd(memguard: Deployment) -> Iterator[Shop]:
    with opened(memguard.cluster, SPACE) as found:
        for first in range(0, PODS, WAVE):
            wave = range(first, min(first + WAVE, PODS))
            pods = (pod(f"p{n}", NODE, container("app", "pause", request="1Mi"), namespace=SPACE) for n in wave)
            found.create(*pods, seconds=400)
        yield found


def cgroup(memguard: Deployment, name: str) -> str:
    """The cgroup of one of our containers, on the node."""
    status = next(one for one in memguard.statuses(NODE) if one["name"] == name)
    return cgroup_of(memguard.cluster, NODE, status)


def memory_mib(memguard: Deployment, name: str) -> dict[str, float]:
    """What one of our containers holds: all of it, the kernel's share, and its own.

    Own is without the image's files, which are charged to whoever read them first, and without what the kernel holds
    for open files: the guard has six of each container's open.
    """
    at = cgroup(memguard, name)
    current, *stat = memguard.cluster.node(NODE).run(f"cat {at}/memory.current {at}/memory.stat").splitlines()
    fields = {key: int(value) for key, value in (line.split() for line in stat)}
    files = fields["file"] - fields["shmem"]
    mib = {"all": int(current), "kernel": fields["slab"], "own": int(current) - fields["slab"] - files}
    return {key: round(value / MIB, 1) for key, value in mib.items()}


def test_guard_and_agent_stay_within_their_budgets(memguard: Deployment, crowd: Shop) -> None:
    eventually(lambda: memguard.report(NODE).get("containers", 0) >= 2 * PODS, "the guard sees them all", 400)
    assert memguard.report(NODE).get("unmappedContainers") == 0
    found = {name: memory_mib(memguard, name) for name in ("guard", "agent", "supervisor")}
    report.record("110 pods", {f"{name} MiB": value for name, value in found.items()})
    assert found["guard"]["own"] <= GUARD_MIB
    assert found["agent"]["all"] <= AGENT_MIB


def test_idle_costs_little(memguard: Deployment, crowd: Shop) -> None:
    def cpu_seconds(name: str) -> float:
        text = memguard.cluster.node(NODE).run(f"cat {cgroup(memguard, name)}/cpu.stat")
        return int(text.split()[1]) / 1e6

    before = {name: cpu_seconds(name) for name in ("guard", "agent")}
    began = time.monotonic()
    time.sleep(60)
    share = {name: (cpu_seconds(name) - before[name]) / (time.monotonic() - began) for name in before}
    report.record(
        "110 pods", {f"{name} CPU, percent of an emulated one": round(100 * value, 2) for name, value in share.items()}
    )
    assert share["guard"] < GUARD_CPU


def test_a_policy_reaches_the_guard_in_under_two_seconds(memguard: Deployment, crowd: Shop) -> None:
    seconds = []
    for adjustment in (100, 200, 300):
        before = memguard.guards_plan(NODE)
        began = time.monotonic()
        crowd.make(policy("all", SPACE, mode="Enforce", adjustment=adjustment))
        written = time.monotonic()
        eventually(lambda before=before: memguard.guards_plan(NODE) != before, "the plan is another", 30)  # type: ignore[misc]
        seconds.append(time.monotonic() - written)
        assert time.monotonic() - began < 30
    report.record("a policy's way to the guard", {"seconds, emulated": [round(value, 2) for value in seconds]})
    assert min(seconds) < 2.0
