"""What was seen of a run, and how it is read from what the node and our programs write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.cluster.draw import Draw

#: Of the kernel, one for each time that it struck: "[  93.1] oom-kill:constraint=...,task=hog,pid=...".
_OOM = re.compile(r"\[ *([\d.]+)\] oom-kill:.*?(global_oom|oom_memcg=[^,]*),task_memcg=([^,]*),task=([^,]*),")
#: Of containerd: time, stream, F for a whole line or the last part of one, text.
_CRI = re.compile(r"^\S+ (?:stdout|stderr) ([FP])\S* (.*)$")


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A fault; `began` and `ended` on the node's clock since its boot; `problem`: it could not be played, and why."""

    name: str
    began: float
    ended: float
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class KernelKill:
    """The kernel's OOM killer struck at that time after the boot. `shared`: because the whole node was short."""

    at: float
    cgroup: str
    task: str
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Act:
    """An end, by the guard's journal or by the cluster's record, which has a `phase`."""

    id: str
    pod: str
    container: str
    phase: str = ""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod at one moment, with the restarts and the last exit code of each container."""

    uid: str
    app: str
    restarts: Mapping[str, int]
    exits: Mapping[str, int]
    evicted: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One run. `before` and `after`: pods of ours and of the run by namespace and name.

    `first_leak`: the cgroup of the leak's first container; `guard_since`: when the guard that is there now began;
    `left_seconds`: how long what a dead guard left was there; `lines`, `frozen`: what stands at the end, when the leak
    is gone; `foreign_high`: the database's memory.high then; `lost_lines`: of the journals, which the guard dropped or
    a full disk cut; `over_at`: when the leak was over, or was waited for no longer; `unready`: what was not ready in
    time; `taint_seconds`: since the node had its last trouble, where the taint stands; `logs`: what our containers
    wrote, by file, and the Events of the leak's pod.
    """

    draw: Draw
    happened: tuple[Happened, ...]
    kills: tuple[KernelKill, ...] = ()
    acts: tuple[Act, ...] = ()
    records: tuple[Act, ...] = ()
    before: Mapping[str, Pod] = field(default_factory=dict)
    after: Mapping[str, Pod] = field(default_factory=dict)
    first_leak: str = ""
    guard_since: float = 0.0
    left_seconds: tuple[float, ...] = ()
    lines: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    foreign_high: str = "max"
    lost_lines: int = 0
    tracebacks: tuple[str, ...] = ()
    lives_on: bool = False
    over_at: float = 0.0
    unready: str = ""
    taint_seconds: float | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


def kernel_kills(log: str, since: float) -> tuple[KernelKill, ...]:
    """Those in the kernel's log after that time."""
    found = (
        KernelKill(at=float(at), cgroup=cgroup, task=task, shared=domain == "global_oom")
        for at, domain, cgroup, task in _OOM.findall(log)
    )
    return tuple(kill for kill in found if kill.at >= since)


def lines_of(log: str) -> Iterator[str]:
    """The lines that a container wrote, by containerd's log of it, which cuts long ones."""
    begun = ""
    for line in log.splitlines():
        if match := _CRI.match(line):
            begun += match[2]
            if match[1] == "F":
                yield begun
                begun = ""


def journal(lines: Iterable[str]) -> tuple[list[dict[str, Any]], int]:
    """Those that are JSON objects, and how many of those a full disk has cut."""
    entries, cut = [], 0
    for line in lines:
        try:
            entries += [json.loads(line)] if line.startswith("{") else []
        except json.JSONDecodeError:
            cut += 1
    return entries, cut


def acts_of(entries: Iterable[Mapping[str, Any]], pod: str) -> tuple[Act, ...]:
    """The ends of a pod's containers that a guard's journal tells of."""
    return tuple(
        Act(id=one["id"], pod=pod, container=one["victim"]["id"])
        for one in entries
        if one["kind"] == "decision" and one["mode"] == "Enforce" and one["victim"].get("pod") == pod
    )


def pods_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, Pod]:
    """Pods of the API by namespace and name, without those that are ending."""
    return {
        f"{one['metadata']['namespace']}/{one['metadata']['name']}": _pod(one)
        for one in listed
        if "deletionTimestamp" not in one["metadata"]
    }


def _pod(one: Mapping[str, Any]) -> Pod:
    status, labels = one["status"], one["metadata"].get("labels", {})
    every = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    ends = {container["name"]: container.get("lastState", {}).get("terminated") for container in every}
    return Pod(
        uid=one["metadata"]["uid"],
        app=labels.get("app", labels.get("app.kubernetes.io/component", "")),
        restarts={container["name"]: container["restartCount"] for container in every},
        exits={name: end["exitCode"] for name, end in ends.items() if end},
        evicted=status.get("reason") == "Evicted",
    )
