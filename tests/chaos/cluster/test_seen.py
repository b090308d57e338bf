"""What is read of a run: the kernel's log, containerd's logs of our programs, pods."""

from __future__ import annotations

import json

from chaos.cluster.seen import acts_of, journal, kernel_kills, lines_of, pods_of

OOM = (
    "[   93.123456] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-a.scope,mems_allowed=0,"
    "oom_memcg=/kubepods.slice/kubepods-pod1.slice,task_memcg=/kubepods.slice/kubepods-pod1.slice/a.scope,task=hog,"
    "pid=812,uid=0\n"
    "[   93.123999] Memory cgroup out of memory: Killed process 812 (hog) total-vm:4196372kB\n"
    "[  120.500000] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/kubepods.slice/b.scope,task=warm,pid=1,uid=0\n"
)


def test_each_time_that_the_kernel_struck_is_one() -> None:
    found = kernel_kills(OOM, since=0)
    assert [(one.at, one.task, one.shared) for one in found] == [(93.123456, "hog", False), (120.5, "warm", True)]
    assert found[0].cgroup == "/kubepods.slice/kubepods-pod1.slice/a.scope"
    assert kernel_kills(OOM, since=100) == found[1:]


def test_a_long_line_is_put_together_again() -> None:
    at = "2026-11-30T12:00:00.1Z"
    log = f'{at} stdout P {{"kind":"decision",\n{at} stdout F "mode":"Observe"}}\n{at} stderr F Traceback\nnothing\n'
    assert list(lines_of(log)) == ['{"kind":"decision","mode":"Observe"}', "Traceback"]
    assert journal(lines_of(log)) == ([{"kind": "decision", "mode": "Observe"}], 0)


def test_a_line_that_a_full_disk_has_cut_is_counted() -> None:
    at = "2026-11-30T12:00:00.1Z"
    log = f'{at} stdout F {{"kind":"decision","vic{at} stdout F {{"kind":"outcome"}}\n{at} stdout F {{"kind":"stop"}}\n'
    assert journal(lines_of(log)) == ([{"kind": "stop"}], 1)


def test_acts_are_what_was_carried_out_against_that_pod() -> None:
    def said(pod: str, mode: str, kind: str = "decision") -> dict[str, object]:
        return {"kind": kind, "id": f"{pod}-{mode}", "mode": mode, "victim": {"id": "c", "pod": pod}}

    told = [said("leak-1", "Enforce"), said("leak-1", "Observe"), said("leak-2", "Enforce"), {"kind": "start"}]
    assert [act.id for act in acts_of(json.loads(json.dumps(told)), "leak-1")] == ["leak-1-Enforce"]


def test_a_pod_that_is_ending_counts_no_more() -> None:
    status = {
        "reason": "Evicted",
        "containerStatuses": [
            {"name": "app", "restartCount": 2, "lastState": {"terminated": {"exitCode": 137}}},
            {"name": "beside", "restartCount": 0, "lastState": {}},
        ],
    }
    one = {"metadata": {"namespace": "chaos", "name": "a", "uid": "u", "labels": {"app": "leak"}}, "status": status}
    gone = {"metadata": {"namespace": "chaos", "name": "b", "uid": "v", "deletionTimestamp": "now"}, "status": {}}
    [(name, pod)] = pods_of([one, gone]).items()
    assert (name, pod.app, pod.evicted) == ("chaos/a", "leak", True)
    assert (pod.restarts, pod.exits) == ({"app": 2, "beside": 0}, {"app": 137})
