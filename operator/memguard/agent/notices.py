"""What people read in `kubectl describe`: each news as Events, on the pod, on the policy, on the node. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from memguard.agent.entries import Told
from memguard.api.meta import API_VERSION
from memguard.core.decision import Alarm, AlarmKind, Decision, KernelKill, Outcome, Victim
from memguard.core.policy import Action
from memguard.kube.events import Notice
from memguard.kube.objects import ObjectReference
from memguard.kube.resources import NODES, PODS

#: Reasons of Events are a promise: alerts and people look for them. What is only observed Would...
DONE: dict[Action, str] = {
    "terminate": "MemoryGuardTerminated",
    "kill": "MemoryGuardKilled",
    "evict": "MemoryGuardEvicted",
}
OBSERVED: dict[Action, str] = {
    "terminate": "MemoryGuardWouldTerminate",
    "kill": "MemoryGuardWouldKill",
    "evict": "MemoryGuardWouldEvict",
}
ALARMS: dict[AlarmKind, str] = {
    "foreign": "ForeignMemoryGrowth",
    "critical": "CriticalProcessGone",
    "supervisor": "NoSupervisor",
}
DECISION = f"{API_VERSION.partition('/')[0]}/decision"
#: An Event's note has room for 1024 bytes; the decision's name is to stand in it whole.
_MOST_REASON = 850

#: The object that a policy's title (`namespace/name`, `cluster/name`) names; None for the one that is compiled in.
FindPolicy = Callable[[str], ObjectReference | None]


def notices(told: Told, find_policy: FindPolicy, node: ObjectReference) -> Iterator[Notice]:
    """The Events that these news are worth."""
    news = told.news
    if news.decision is not None:
        yield from _decision(news.decision, find_policy(told.policy))
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
    pod, name = _pod(decision.victim), decision.victim.name
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


def _decision(decision: Decision, policy: ObjectReference | None) -> Iterator[Notice]:
    """Each that was carried out by itself; what is only observed is counted."""
    pod = _pod(decision.victim)
    for regarding, related in ((pod, policy), (policy, pod)):
        if regarding is None:
            continue
        if decision.mode == "Enforce":
            yield _done(decision, regarding, related)
        else:
            yield _observed(decision, regarding, related)


def _done(decision: Decision, regarding: ObjectReference, related: ObjectReference | None) -> Notice:
    return Notice(
        regarding=regarding,
        related=related,
        reason=DONE.get(decision.action, "MemoryGuardActed"),
        action=decision.action.capitalize(),
        note=f"{decision.reason[:_MOST_REASON]} [{decision.id}]",
        type="Warning",
        id=decision.id,
        annotations={DECISION: decision.id},
    )


def _observed(decision: Decision, regarding: ObjectReference, related: ObjectReference | None) -> Notice:
    return Notice(
        regarding=regarding,
        related=related,
        reason=OBSERVED.get(decision.action, "MemoryGuardWouldAct"),
        action="Observe",
        note=f"{decision.reason[:_MOST_REASON]} [{decision.id}] Not done: {decision.not_done_because}",
    )


def _incomplete(outcome: Outcome) -> Iterator[Notice]:
    pod = _pod(outcome.victim)
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
    pod = _pod(kill.victim) if kill.victim else None
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


def _pod(victim: Victim) -> ObjectReference | None:
    if not (victim.namespace and victim.pod):
        return None
    return ObjectReference(
        api_version=PODS.api_version,
        kind=PODS.kind,
        namespace=victim.namespace,
        name=victim.pod,
        uid=victim.pod_uid or "",
    )
