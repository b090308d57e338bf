"""What outlives the operator: what was learned, and the records until their time is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.agents import withdraw
from tests.cluster.clients import wait_until
from tests.cluster.kinds import SYSTEM_NAMESPACE
from tests.cluster.operators import MIB, Decline, Node, OperatorProcess, Space, deploy_operator, entry, operating, stamp

LEARNED = ("configmap", "memguard-experience", "-n", SYSTEM_NAMESPACE)


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@contextmanager
def led(plane: ControlPlane, directory: Path, *options: str) -> Iterator[OperatorProcess]:
    """An operator that leads, and gives the lease back; as soon as it leads it keeps what it knows."""
    with operating(plane, directory, *options) as process:
        process.wait_ready()
        process.wait_leading()
        yield process
        process.stop()


def learned(node: Node) -> tuple[str, dict[str, Any]]:
    """The object's version, and what stands in it by workload."""
    found = node.get("configmaps", "-n", SYSTEM_NAMESPACE, "--field-selector=metadata.name=memguard-experience")[
        "items"
    ]
    if not found:
        return "", {}
    workloads: dict[str, Any] = json.loads(found[0]["data"]["memory.json"])["experience"]["workloads"]
    return found[0]["metadata"]["resourceVersion"], workloads


@pytest.mark.row("F1", "F2", "F3")
def test_what_was_learned_outlives_operator_and_records(plane: ControlPlane, tmp_path: Path) -> None:
    node = Node(plane, "memory-node")
    space = Space(node, "memory")
    space.policy(mode="Observe")
    leak, promise = space.pod("leak"), space.pod("promise")
    for number in range(2):  # freed a tenth of what it promised
        measured = {"phase": "Done", "freedBytes": 10 * MIB}
        space.decided("promise", promise, f"promise-{number}", measured)
    grower = {"id": leak, "title": "leak", "score": 700, "badness": 0.7, "growthRatio": 0.9, "qos": "Burstable"}
    space.decided("leak", leak, "leak-1", {"phase": "Acted"}, candidates=[grower])  # nobody knows what became of it

    def kept(*workloads: str) -> bool:
        return set(learned(node)[1]) == {f"memory/ConfigMap/{one}/app" for one in workloads}

    with led(plane, tmp_path):
        wait_until(lambda: kept("promise"))
    version, known = learned(node)
    [conduct] = known.values()
    assert (conduct["kills"], conduct["incidents"]) == (2, 0)
    assert conduct["effectiveness"] == pytest.approx(0.1)

    with led(plane, tmp_path) as operator:
        decline = Decline(node, operator, (entry(leak, 400), 25), (entry(promise, 100), 0))
        decline.look_until(lambda: node.spec().get("bias"))
        assert node.spec()["bias"] == {"memory/ConfigMap/promise/app": -45}  # 50 * (1 - 0.1)
        assert operator.total("memguard_learned_points") == -45
    assert learned(node) == (version, known)  # each record teaches once

    plane.kubectl("delete", "mgd", "--all", "-n", "memory")
    with led(plane, tmp_path):
        again = space.decided("leak", leak, "leak-2", {"phase": "Done", "freedBytes": 100 * MIB}, candidates=[grower])
        wait_until(lambda: again in space.decisions())
    with led(plane, tmp_path):
        wait_until(lambda: kept("promise", "leak"))
    caused = learned(node)[1]["memory/ConfigMap/leak/app"]
    assert (caused["incidents"], caused["effectiveness"]) == (1, 1)

    plane.kubectl("annotate", *LEARNED, "memguard.io/reset=memory/ConfigMap/leak/app")
    with led(plane, tmp_path):
        wait_until(lambda: kept("promise"))
    plane.kubectl("annotate", *LEARNED, "memguard.io/reset=all")
    with led(plane, tmp_path):
        wait_until(kept)
    assert "memguard.io/reset" not in node.get(*LEARNED)["metadata"].get("annotations", {})


@pytest.mark.row("S10")
def test_records_expire_by_count_and_age(plane: ControlPlane, tmp_path: Path) -> None:
    node = Node(plane, "expiry-node")
    space = Space(node, "expiry")
    pod = space.pod("pod")
    now = datetime.now(UTC)
    plane.kubectl("delete", "mgd", "--all", "--all-namespaces")

    def observed(name: str, age: timedelta, **more: Any) -> str:
        facts = {"mode": "Observe", "takenAt": stamp(now - age)} | more
        return space.decided("pod", pod, name, {"phase": "Observed"}, **facts)

    recent = [observed(f"recent-{number}", timedelta(minutes=number)) for number in range(5)]
    old = observed("old", timedelta(days=3))
    with led(plane, tmp_path, "--keep-days=2", "--keep-decisions=9") as operator:
        wait_until(lambda: old not in space.decisions())
        assert sorted(space.decisions()) == recent
        assert operator.total("memguard_operator_expired_decisions_total") == 1
    ended = observed("ended", timedelta(hours=1), mode="Enforce")  # budgets may still count it
    same = observed("same", timedelta(hours=1))
    with led(plane, tmp_path, "--keep-days=0.02", "--keep-decisions=9"):
        wait_until(lambda: same not in space.decisions())
        assert sorted(space.decisions()) == [ended, *recent]
    with led(plane, tmp_path, "--keep-days=2", "--keep-decisions=3"):
        wait_until(lambda: sorted(space.decisions()) == recent[:3])
