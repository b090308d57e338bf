"""A full node: 110 pods; what the guard and the agent then cost, and how fast a policy reaches the guard."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from e2e import report
from e2e.deployment import Deployment
from e2e.workloads import Shop, container, eventually, pod, policy

NODE = "node-a"
SPACE = "crowd"
MIB = 1 << 20
#: kubelet's own bound, less the one that is ours.
PODS = 109
GUARD_MIB, AGENT_MIB = 17, 45


@pytest.fixture(scope="module")
def crowd(memguard: Deployment) -> Iterator[Shop]:
    found = Shop(memguard.cluster, SPACE)
    found.close()
    found.open()
    for number in range(PODS):
        found.make(pod(f"p{number}", NODE, container("app", "pause", request="1Mi"), namespace=SPACE))
    eventually(lambda: running(found) == PODS, "all run", 1500)
    yield found
    found.close()


def running(shop: Shop) -> int:
    return sum(one["status"].get("phase") == "Running" for one in shop.items("pods"))


def footprint_mib(memguard: Deployment, name: str) -> float:
    """memory.current of one of our containers, less the page cache of its files."""
    status = next(one for one in memguard.statuses(NODE) if one["name"] == name)
    found = status["containerID"].rpartition("/")[2]
    files = memguard.cluster.node(NODE).run(
        f"cd $(find /sys/fs/cgroup -name '*{found}*' -type d | head -1) && cat memory.current memory.stat"
    )
    current, *stat = files.splitlines()
    fields = dict(line.split() for line in stat)
    return (int(current) - int(fields["file"]) + int(fields["shmem"])) / MIB


def test_guard_and_agent_stay_within_their_budgets(memguard: Deployment, crowd: Shop) -> None:
    eventually(lambda: memguard.report(NODE).get("containers", 0) >= 2 * PODS, "the guard sees them all", 400)
    assert memguard.report(NODE).get("unmappedContainers") == 0
    found = {name: round(footprint_mib(memguard, name), 1) for name in ("guard", "agent", "supervisor")}
    report.record("110 pods", {f"{name} MiB": value for name, value in found.items()})
    assert found["guard"] <= GUARD_MIB
    assert found["agent"] <= AGENT_MIB


def test_idle_costs_little(memguard: Deployment, crowd: Shop) -> None:
    def cpu_seconds(name: str) -> float:
        status = next(one for one in memguard.statuses(NODE) if one["name"] == name)
        found = status["containerID"].rpartition("/")[2]
        text = memguard.cluster.node(NODE).run(
            f"cat $(find /sys/fs/cgroup -name '*{found}*' -type d | head -1)/cpu.stat"
        )
        return int(text.split()[1]) / 1e6

    before = {name: cpu_seconds(name) for name in ("guard", "agent")}
    began = time.monotonic()
    time.sleep(60)
    share = {name: (cpu_seconds(name) - before[name]) / (time.monotonic() - began) for name in before}
    report.record(
        "110 pods", {f"{name} CPU, percent of an emulated one": round(100 * value, 2) for name, value in share.items()}
    )
    assert share["guard"] < 0.05


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
