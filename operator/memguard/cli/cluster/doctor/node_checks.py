"""The checks of a node in a cluster, as its own guard and agent report them in the node's NodeMemory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from memguard.api.meta import Condition
from memguard.api.node_memory import NodeCapability, NodeMemoryStatus
from memguard.cli.checks.check import Check, DoctorReport, fail, ok, warn
from memguard.cli.cluster.cluster import OUR_PODS
from memguard.cli.words import span

#: Without these nothing can be done on the node; without the others it is a weaker guard.
NEEDED = ("cgroup-write",)
#: A guard with neither is of the observe profile: that it may not act is how it was installed, and no illness.
TO_ACT = ("cgroup-write", "host-pid")
REMEDIES = {
    "cgroup-write": "Install the enforce profile (docs/security.md), if memguard is to act here.",
    "host-pid": "Give the pod hostPID.",
    "signals": "Add the capability KILL, and see that no AppArmor profile stands in the way.",
    "psi-trigger": "Boot with psi=1; add the capability SYS_RESOURCE.",
    "supervisor": "See why the container supervisor of the pod does not run.",
    "memory-lock": "Add the capability IPC_LOCK.",
    "real-time-scheduling": "Add the capability SYS_NICE.",
    "oom-score-adj": "Add the capability SYS_RESOURCE, or priorityClassName system-node-critical.",
    "pages-in-place": "Mount /proc/sys/vm/compact_unevictable_allowed, or set it to 0 on the node.",
}
#: Condition, and what to do when it is not True. Acting is none of them: to observe is no illness.
CONDITIONS = {
    "Ready": f"See the logs of memguard's pod on the node, guard, then agent: {OUR_PODS}",
    "Fit": "Mend what the sentence names; until then the node is only observed.",
    "PlanCurrent": "Mend or delete the policies that the sentence names.",
}


def examine(status: NodeMemoryStatus, now: datetime) -> DoctorReport:
    """All that the node said of itself, and whether it still speaks."""
    said = (*_conditions(status.conditions), *map(_capability, status.capabilities))
    if _observes(status):
        said = tuple(_excused(check) for check in said)
    checks = (_speaks(status, now), *said)
    return DoctorReport(fit=all(check.status != "fail" for check in checks), checks=checks)


def _observes(status: NodeMemoryStatus) -> bool:
    lacking = {capability.name for capability in status.capabilities if not capability.ok}
    return lacking.issuperset(TO_ACT)


def _excused(check: Check) -> Check:
    if check.name in {"Fit", *NEEDED} and check.status == "fail":
        return warn(check.name, check.finding, REMEDIES["cgroup-write"])
    return check


def _speaks(status: NodeMemoryStatus, now: datetime) -> Check:
    age = status.age_seconds(now)
    if age is None:
        return fail("report", "the node never said anything", CONDITIONS["Ready"])
    if status.silent(now):
        return fail("report", f"the node has been silent for {span(age)}", CONDITIONS["Ready"])
    mode = f", {status.mode}" if status.mode else ""
    return ok("report", f"{span(age)} old: {status.level}, {status.headroom} above the reserve{mode}")


def _conditions(conditions: tuple[Condition, ...]) -> Iterator[Check]:
    found = {condition.type: condition for condition in conditions}
    for name, remedy in CONDITIONS.items():
        condition = found.get(name)
        if condition is None:
            yield warn(name, "the node does not say", remedy)
        elif condition.status == "True":
            yield ok(name, condition.reason)
        else:
            yield (warn if name == "PlanCurrent" else fail)(name, condition.message or condition.reason, remedy)


def _capability(capability: NodeCapability) -> Check:
    if capability.ok:
        return ok(capability.name, capability.detail or "yes")
    remedy = REMEDIES.get(capability.name, "See docs/security.md.")
    return (fail if capability.name in NEEDED else warn)(capability.name, capability.detail, remedy)
