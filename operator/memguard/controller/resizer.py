"""Raises a limit in place before its container reaches it: asks first, writes it down, then does it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from memguard.api.decision import MemoryGuardDecisionStatus
from memguard.api.node_memory import TopContainer
from memguard.controller.archive import BY_REPORT
from memguard.controller.census import Census
from memguard.controller.decision import Decided, unranked
from memguard.controller.deeds import Deeds
from memguard.controller.mandate import Mandate
from memguard.controller.refusals import Refusals
from memguard.controller.resources import Report
from memguard.core.decision import Decision
from memguard.core.explain import size
from memguard.core.model import Container, Identity, unread
from memguard.core.quantity import parse_bytes
from memguard.core.refusal import Refusal
from memguard.core.resize import raised_limit
from memguard.kube.objects import Pod


class Resizer:
    """On one node, where the policy wants it and the node has room."""

    def __init__(self, mandate: Mandate, deeds: Deeds, census: Census, refusals: Refusals, decided: Decided) -> None:
        self._mandate, self._deeds, self._census = mandate, deeds, census
        self._refusals, self._decided = refusals, decided

    def raise_limit(self, one: TopContainer, report: Report, now: datetime) -> bool:
        """Of one that is about to reach it; was it done? Raises KubeError."""
        identity, key = self._census.identities.get(one.id), f"resize {one.id}"
        if identity is None or identity.qos == "Guaranteed" or key in self._refusals:
            return False
        wanted = self._wanted(one, identity, report)
        pod = self._census.pod(identity.pod_uid or "", now) if wanted is not None else None
        if wanted is None or pod is None:
            return False
        container = unread(self._census.identities[one.id])  # its labels may have changed
        limit = one.limit_bytes or 0
        if not self._allowed(container) or not _resizable(pod, container.name, limit):
            self._refusals.hold(key, "its limit may not be raised", now)
            return False
        reason = f"{container.title} is about to reach its limit: raised from {size(limit)} to {size(wanted)}."
        name = f"resize-{one.id[:12]}-{wanted >> 20}"
        decision = unranked(container, report, BY_REPORT, id=name, action="resize", reason=reason)
        why_not = self._resize(pod, container, decision, wanted, now)
        if why_not is not None:
            self._refusals.add(key, why_not, now)
            return False
        self._refusals.hold(key, "kubelet has been asked", now)
        return True

    def _wanted(self, one: TopContainer, identity: Identity, report: Report) -> int | None:
        """The limit that it is to have."""
        largest = self._mandate.plan.rule_for(unread(identity)).largest_limit_bytes
        return raised_limit(one.limit_bytes or 0, largest, report.available_bytes, report.reserve_bytes)

    def _allowed(self, container: Container) -> bool:
        return self._mandate.plan.rule_for(container).allows("resize") and not self._mandate.observes(container)

    def _resize(
        self, pod: Pod, container: Container, decision: Decision, limit_bytes: int, now: datetime
    ) -> Refusal | None:
        policy = self._mandate.plan.rule_for(container).policy
        resize = partial(self._deeds.resize, pod, container.name or "", limit_bytes)
        why_not = resize(dry_run=True) or self._mandate.record(decision, policy, now)
        if why_not is not None:
            return why_not
        why_not = resize()
        status = MemoryGuardDecisionStatus(phase="Incomplete" if why_not else "Done", finished_at=now)
        self._deeds.amend(pod.metadata.namespace, decision.id, status)
        if why_not is None:
            self._decided(decision, policy)
        return why_not


def _resizable(pod: Pod, name: str | None, limit_bytes: int) -> bool:
    """Without a restart, and has nobody else asked for another limit meanwhile?"""
    spec = next((one for one in (*pod.spec.containers, *pod.spec.init_containers) if one.name == name), None)
    if spec is None or any(one.resource_name == "memory" and one.restarts for one in spec.resize_policy):
        return False
    return spec.resources.limits.memory is not None and parse_bytes(spec.resources.limits.memory) == limit_bytes
