"""Each invariant finds what breaks it, and a fault excuses no more than what it makes impossible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chaos.cluster.draw import Draw, Fault
from chaos.cluster.judge import Finding, judge
from chaos.cluster.seen import Act, Happened, KernelKill, Pod, Seen

LEAK, SERVICE = "0000-leak", "0000-service"
OOM = KernelKill(at=105.0, cgroup="/kubepods.slice/kubepods-pod0000_leak.slice/x.scope", task="hog", shared=False)
SECOND = KernelKill(at=105.0, cgroup="/kubepods.slice/kubepods-pod0000_leak.slice/y.scope", task="hog", shared=False)
ACT = Act(id="20261130-1", pod="leak-1", container="c" * 64)


def pod(app: str, uid: str, restarts: int = 0, **more: Any) -> Pod:
    return Pod(app=app, uid=uid, restarts={"app": restarts}, exits={"app": 137}, **more)


def seen(*faults: str, leak: str = "limit", **more: Any) -> Seen:
    """A run in which all went well, but for what is said. Its faults last from 100 to 110 s."""
    draw = Draw(
        seed=1, leak=leak, rate_mib_s=50, faults=tuple(Fault(name=name, at=0, seconds=10) for name in faults)
    )  # fmt: skip
    pods = {"chaos/service-1": pod("service", SERVICE), "memguard-system/node": pod("node", "n")}
    well: dict[str, Any] = {
        "happened": tuple(Happened(name=name, began=100.0, ended=110.0) for name in faults),
        "acts": (ACT,),
        "records": (Act(id=ACT.id, pod=ACT.pod, container=ACT.container, phase="Done"),),
        "before": pods,
        "after": pods | {"chaos/leak-1": pod("leak-1", LEAK, 1)},
        "first_leak": OOM.cgroup,
        "guard_since": 10.0,
    }
    return Seen(draw=draw, **(well | more))


def recorded(*ids: str, phase: str = "Done", container: str = "") -> dict[str, Any]:
    return {"records": tuple(Act(id=one, pod="leak-1", container=container or one, phase=phase) for one in ids)}


def after(**pods: Pod) -> dict[str, Any]:
    known = {"service": pod("service", SERVICE), "node": pod("node", "n"), "leak": pod("leak-1", LEAK, 1)} | pods
    keys = {"service": "chaos/service-1", "node": "memguard-system/node", "leak": "chaos/leak-1"}
    return {"after": {keys.get(name, f"chaos/{name}"): one for name, one in known.items()}}


def test_a_run_in_which_all_went_well_is_not_broken() -> None:
    assert judge(seen("kubelet killed")) == ((), ())


BROKEN: list[tuple[str, Seen]] = [
    ("the kernel's OOM killer ended hog", seen("agent killed", kills=(OOM,))),
    ("service was ended", seen("agent killed", **after(service=pod("service", SERVICE, 1)))),
    ("service was ended", seen("agent killed", **after(service=pod("service", "another")))),
    ("service was ended", seen("disk full", **after(service=pod("service", SERVICE, 1)))),
    ("ended hog", seen("set-property", kills=(OOM,))),
    ("the leak ended 2 times", seen("kubelet evicts", **after(leak=pod("leak-1", LEAK, 2)))),
    (
        "the leak ended 2 times",
        seen(
            "agent killed",
            **after(
                leak=Pod(app="leak-1", uid=LEAK, restarts={"app": 2}, exits={"app": 128}),
            ),
        ),
    ),
    ("the leak lives on", seen("etcd stopped", lives_on=True, over_at=150.0)),
    ("the leak lives on", seen("DaemonSet deleted", lives_on=True, over_at=150.0, guard_since=140.0)),
    ("ended 2 times with a budget of 1", seen("guard killed", leak="twice", **recorded("a", "b"))),
    ("20261130-1 was said and not recorded", seen("agent killed", records=())),
    ("b was recorded and never said", seen("agent killed", **recorded(ACT.id, "b"))),
    ("the outcome of 20261130-1 is not known (Acted)", seen("agent killed", **recorded(ACT.id, phase="Acted"))),
    ("container x was ended 2 times", seen("agent killed", **recorded("a", "b", container="x"))),
    ("the leak ended 2 times", seen("agent killed", **after(leak=pod("leak-1", LEAK, 2)))),
    ("of a dead guard were there for 3.0 s", seen("guard killed", left_seconds=(0.1, 3.0))),
    ("a line was left on here", seen("guard killed", lines=("here",))),
    ("a freeze was left on here", seen("guard killed", frozen=("here",))),
    ("somebody else's memory.high became max", seen("memory.high by another")),
    ("a traceback in the log of agent", seen("API server killed", tracebacks=("agent",))),
    ("the app ended by itself (exit code 137)", seen("etcd killed", **after(node=pod("node", "n", 1)))),
    ("not ready in time: pod service", seen("etcd killed", unready="pod service")),
    ("the taint stands 500 s", seen("etcd killed", taint_seconds=500.0)),
]


@pytest.mark.parametrize(("words", "run"), BROKEN, ids=[words for words, _ in BROKEN])
def test_what_breaks_an_invariant_is_found(words: str, run: Seen) -> None:
    assert any(words in one for one in judge(run).broken), judge(run)


EXCUSED: list[tuple[str, Seen]] = [
    ("cut by a full disk", seen("disk full", acts=(), lost_lines=1)),
    ("there was no guard", seen("guard killed", kills=(OOM,), guard_since=112.0)),
    ("a sixth of its time", seen("guard slowed", kills=(OOM,))),
    ("the guard stood still", seen("guard stopped", kills=(OOM,))),
    ("while there is no supervisor", seen("supervisor killed", kills=(OOM,))),
    ("no line of ours stands there", seen("memory.high by another", kills=(OOM,), foreign_high="188743680")),
    ("budget of one end is spent", seen("agent killed", leak="twice", kills=(SECOND,))),
    ("who its second container is", seen("API server killed", leak="twice", kills=(SECOND,), acts=(), records=())),
    ("the kernel chose it", seen("guard killed", kills=(
        KernelKill(at=105.0, cgroup="/kubepods.slice/pod0000_service.slice", task="warm", shared=True),
    ), **after(service=pod("service", SERVICE, 1)))),
    ("failed on the full disk", seen("disk full", **after(
        service=Pod(app="service", uid=SERVICE, restarts={"app": 1}, exits={"app": 1}),
    ))),
    ("kubelet evicted it", seen("kubelet evicts", **after(
        service=pod("service", "another"), old=pod("service", SERVICE, evicted=True),
    ))),
    ("while it started it again", seen("kubelet evicts", **after(
        leak=Pod(app="leak-1", uid=LEAK, restarts={"app": 2}, exits={"app": 128}),
    ))),
    ("while it started it again", seen("kubelet evicts", **after(
        leak=Pod(app="leak-1", uid=LEAK, restarts={"app": 2}, exits={}),
    ))),
    ("no guard came meanwhile", seen("DaemonSet deleted", lives_on=True, over_at=150.0, guard_since=160.0)),
    ("in the middle of it", seen("guard killed", **recorded(ACT.id, phase="Acted"))),
    ("was a fault's victim", seen("guard killed", "supervisor stopped", left_seconds=(8.0,))),
    ("it cannot", seen("limit raised", happened=(
        Happened(name="limit raised", began=100, ended=101, problem="it cannot"),
    ))),
]  # fmt: skip


@pytest.mark.parametrize(("why", "run"), EXCUSED, ids=[why for why, _ in EXCUSED])
def test_a_fault_excuses_what_it_makes_impossible(why: str, run: Seen) -> None:
    verdict = judge(run)
    assert not verdict.broken
    assert any(why in one for one in verdict.excused)


LATE = KernelKill(at=200.0, cgroup=OOM.cgroup, task="hog", shared=False)


@pytest.mark.parametrize("fault", ["guard killed", "guard stopped", "supervisor killed", "node pod deleted"])
def test_an_excuse_ends_with_its_fault(fault: str) -> None:
    assert judge(seen(fault, kills=(LATE,))).broken


@pytest.mark.parametrize("kill", [OOM, KernelKill(at=105.0, cgroup=SECOND.cgroup, task="hog", shared=True)])
def test_a_budget_excuses_neither_the_first_end_nor_a_shortage_of_the_node(kill: KernelKill) -> None:
    assert judge(seen("agent killed", leak="twice", kills=(kill,))).broken


def test_every_invariant_can_fail() -> None:
    """A function that is never true would be no invariant."""
    from chaos.cluster.judge import INVARIANTS

    def fails(invariant: Any) -> Iterator[Finding]:
        for run in (*(run for _, run in BROKEN), *(run for _, run in EXCUSED)):
            yield from invariant(run)

    assert all(any(fails(invariant)) for invariant in INVARIANTS)
