"""A decision as Events, on the pod and on the policy: agent and operator tell it alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from memguard.api.meta import GROUP
from memguard.core.decision import Decision, Victim
from memguard.core.policy import Action
from memguard.kube.events import Notice
from memguard.kube.objects import ObjectReference
from memguard.kube.resources import PODS

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
DECISION = f"{GROUP}/decision"
#: An Event's note has room for 1024 bytes; the decision's name is to stand in it whole.
_MOST_REASON = 850


def decided(decision: Decision, policy: ObjectReference | None) -> Iterator[Notice]:
    """The Events of a decision: one that was carried out is told once, by its id; observed ones become a series."""
    pod = pod_of(decision.victim)
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


def pod_of(victim: Victim) -> ObjectReference | None:
    """The victim's pod, as an Event names it; None where there is none."""
    if not (victim.namespace and victim.pod):
        return None
    return ObjectReference(
        api_version=PODS.api_version,
        kind=PODS.kind,
        namespace=victim.namespace,
        name=victim.pod,
        uid=victim.pod_uid or "",
    )
