"""What people read in `kubectl describe`: each news as Events, on the pod, on the policy, on the node. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from memguard.agent.entries import Told
from memguard.core.decision import Alarm, AlarmKind, KernelKill, Outcome
from memguard.kube.events import Notice
from memguard.kube.objects import ObjectReference
from memguard.kube.resources import NODES
from memguard.service.notices import DECISION, decided, pod_of

ALARMS: dict[AlarmKind, str] = {
    "foreign": "ForeignMemoryGrowth",
    "critical": "CriticalProcessGone",
    "supervisor": "NoSupervisor",
}
#: The object that a policy's title (`namespace/name`, `cluster/name`) names; None for the one that is compiled in.
FindPolicy = Callable[[str], ObjectReference | None]


def notices(told: Told, find_policy: FindPolicy, node: ObjectReference) -> Iterator[Notice]:
    """The Events that these news are worth."""
    news = told.news
    if news.decision is not None:
        yield from decided(news.decision, find_policy(told.policy))
    if news.outcome is not None and not news.outcome.complete:
        yield from _incomplete(news.outcome)
    if news.kernel_kill is not None:
        yield from _kernel_kill(news.kernel_kill, f"kernel-{told.session}-{news.number}")
    if news.alarm is not None:
        yield _alarm(news.alarm, node)


def vpa_notice(told: Told) -> Notice | None:
    """The Event by which VPA's recommender learns that a container was ended for its memory; None where there is none.

    It reads Events of the reason Evicted about pods, with three lists of equal length in their annotations
    (vertical-pod-autoscaler/pkg/recommender/input/oom/observer.go). Like kubelet we name only who used more than it
    asked for.
    """
    decision = told.news.decision
    if decision is None or decision.mode == "Observe" or not told.offender:
        return None
    pod, name = pod_of(decision.victim), decision.victim.name
    if pod is None or not name:
        return None
    usage = str(decision.expected_bytes)
    return Notice(
        regarding=pod,
        reason="Evicted",
        action="Evict",
        note=f"The node was low on memory: memguard ended container {name}, which used {usage} bytes.",
        type="Warning",
        id=decision.id,
        annotations={
            "offending_containers": name,
            "offending_containers_usage": usage,
            "starved_resource": "memory",
            DECISION: decision.id,
        },
    )


def broken_policy(policy: ObjectReference, version: str, reason: str) -> Notice:
    """A policy cannot be read. All nodes see it, and one Event tells it: it is named after the object's version."""
    return Notice(
        regarding=policy,
        reason="PolicyIgnored",
        action="Ignore",
        note=reason,
        type="Warning",
        id=f"ignored-{policy.uid}-{version}",
    )


def node_reference(name: str, uid: str) -> ObjectReference:
    """This node, as an Event names it."""
    return ObjectReference(api_version=NODES.api_version, kind=NODES.kind, name=name, uid=uid)


def _incomplete(outcome: Outcome) -> Iterator[Notice]:
    pod = pod_of(outcome.victim)
    if pod is not None:
        yield Notice(
            regarding=pod,
            reason="MemoryGuardIncomplete",
            action=outcome.action.capitalize(),
            note=f"Container {outcome.victim.name} is still there {outcome.seconds:.1f} s later. [{outcome.id}]",
            type="Warning",
            id=outcome.id,
            annotations={DECISION: outcome.id},
        )


def _kernel_kill(kill: KernelKill, name: str) -> Iterator[Notice]:
    """Kubernetes shows it only where the container's first process was among them."""
    pod = pod_of(kill.victim) if kill.victim else None
    if kill.victim is not None and pod is not None:
        what = "the whole container" if kill.group else f"{kill.count} of its processes"
        yield Notice(
            regarding=pod,
            reason="KernelOOMKill",
            action="OOMKill",
            note=f"The kernel's OOM killer ended {what} in container {kill.victim.name}: memguard did not prevent it.",
            type="Warning",
            id=name,
        )


def _alarm(alarm: Alarm, node: ObjectReference) -> Notice:
    reason = ALARMS.get(alarm.kind, "MemoryGuardAlarm")
    told = {DECISION: alarm.decision} if alarm.decision else {}
    return Notice(regarding=node, reason=reason, action="Alarm", note=alarm.reason, type="Warning", annotations=told)
