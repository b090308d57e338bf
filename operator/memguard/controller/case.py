"""One node in trouble: its reports one after another, who is to go, and the one who is on its way.

What is decided is core's (foresight, resize, cluster_budget); what is done, deeds'. One thread at a time looks at it.
What must outlive the operator stands in the cluster: the record before the eviction, the eviction by the pod's
UID, the order in the node's NodeMemory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from memguard.api.decision import MemoryGuardDecisionStatus, first_status, outcome_status
from memguard.api.node_memory import TopContainer, near_limit
from memguard.controller.archive import FORESIGHT, STORM, Archive
from memguard.controller.deeds import Deeds
from memguard.controller.policy_book import PolicyBook
from memguard.controller.reports import snapshot
from memguard.controller.resources import RecordedDecision, Report, ReportedNode
from memguard.core.advice import AdvisedOrder
from memguard.core.cluster_budget import ClusterBudget, weary
from memguard.core.compile import Compiled
from memguard.core.decision import Decision, Outcome, Victim, decision_of, victim_of
from memguard.core.explain import sentence, size
from memguard.core.foresight import FORESIGHT_SECONDS, Way, ahead, look, remedy, settled
from memguard.core.history import History
from memguard.core.model import Container, Identity, unread
from memguard.core.policy import Plan, workload
from memguard.core.resize import raised_limit
from memguard.core.select import Ranking, exclusion, rank
from memguard.kube.identities import identities
from memguard.kube.objects import Node, Pod

#: Who was refused is not asked again for so long.
REFUSED = timedelta(seconds=30)
#: So many are asked for one report: each costs a request.
MOST_ASKED = 5
#: Beyond the pod's own grace, for kubelet and the API server.
EVICTION = timedelta(seconds=60)
#: An order is answered within a second or two; after this the node's agent refuses it.
ORDER = timedelta(seconds=60)
USUAL_GRACE_SECONDS = 30
#: What is only observed is told once in so long.
REPEAT_SECONDS = 600

#: Hears of each decision, with the title of the policy that treats the victim, and of what became of it.
Decided = Callable[[Decision, str], None]
Ended = Callable[[Outcome], None]


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that was evicted. `before_bytes`: what was available then; `gone_at`: when it was no longer there."""

    decision: str
    victim: Victim
    expected_bytes: int
    before_bytes: int
    began_at: datetime
    ends_at: datetime
    gone_at: datetime | None = None


class Case:
    """The node `name`'s. `flight`: who is on its way; `compiled`: the node's plan, as it was made last."""

    def __init__(
        self,
        name: str,
        book: PolicyBook,
        archive: Archive,
        deeds: Deeds,
        *,
        decided: Decided,
        ended: Ended,
        refused: Callable[[str], None],
    ) -> None:
        self.name = name
        self._book, self._archive, self._deeds = book, archive, deeds
        self._decided, self._ended, self._refusing = decided, ended, refused
        self._history = History()
        self._taken_at: datetime | None = None
        self._known: dict[str, Identity] = {}
        self._pods: dict[str, Pod] = {}
        self._refused: dict[str, tuple[str, datetime]] = {}
        self._observed: set[str] = set()
        self._order: tuple[str, datetime] | None = None
        self.flight: Flight | None = None
        self.compiled: Compiled | None = None

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Who runs there, as far as it was asked."""
        return tuple(self._known.values())

    @property
    def workloads(self) -> tuple[str, ...]:
        """The workloads that they are of."""
        return tuple({workload(unread(one)): None for one in self.identities})

    # --- what is reported

    def attend(self, reported: ReportedNode, node: Node, now: datetime) -> None:
        """Take in a report, and do what is to be done. Raises KubeError for what may succeed later."""
        report = reported.status
        if report.observed_at == self._taken_at:
            return
        cramped = tuple(filter(near_limit, report.top))
        soon = report.level != "Calm" and (report.exhaustion_seconds or FORESIGHT_SECONDS + 1) <= FORESIGHT_SECONDS
        if soon or cramped:
            self._recognise(report)
        self.compiled = self._book.plan(node.metadata.labels, (one.namespace or "" for one in self._known.values()))
        if self.compiled is None or reported.spec.emergency_stop:
            return
        for one in cramped:
            self._raise_limit(one, report, now)
        if report.level == "Calm":
            self._history = History()
        else:
            self._judge(reported, now, soon=soon)
        self._taken_at = report.observed_at

    def _recognise(self, report: Report) -> None:
        """Who they are; the API server is asked when there is one that is not known."""
        if all(one.id in self._known for one in report.top):
            return
        pods = self._deeds.pods_on(self.name)
        self._pods = {pod.metadata.uid: pod for pod in pods}
        self._known = {identity.id: identity for pod in pods for identity in identities(pod)}

    def _judge(self, reported: ReportedNode, now: datetime, *, soon: bool) -> None:
        """Take it into the history; where it will run short soon, act on who is chosen, or on the next who may be."""
        if self.compiled is None:
            return
        taken = snapshot(self.name, reported.status, self._known)
        plan = ahead(msgspec.structs.replace(self.compiled.plan, bias=dict(reported.spec.bias)))
        self._refused = {key: (why, until) for key, (why, until) in self._refused.items() if until > now}
        refusals = {key: why for key, (why, _) in self._refused.items()}
        self._history, ranking = look(self._history, taken, plan, refusals)
        if not soon or self.flight is not None or self._order is not None:
            return
        for _ in range(MOST_ASKED):
            if ranking.victim is None:
                return
            why_not = self._act(reported, ranking, now)
            if why_not is None:
                self._history = settled(self._history, taken, foreign=ranking.foreign_growth)
                return
            self._refusing(why_not)
            key = ranking.victim.container.id
            self._refused[key] = (why_not, now + REFUSED)
            refusals[key] = why_not
            ranking = rank(self._history, taken, plan, ranking.domain, ranking.pressure, refusals=refusals)

    # --- what is done

    def _act(self, reported: ReportedNode, ranking: Ranking, now: datetime) -> str | None:
        """Have the chosen one go; why not, if it may not."""
        container = ranking.candidates[0].container
        pod = self._pods.get(container.pod_uid or "")
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return "its pod is ending already"
        rule, at = self._plan.rule_for(container), now.timestamp()
        found = remedy(container, rule, weary=weary(self._archive.ends(at), workload(container), self.name, at))
        if found.way is None:
            return found.reason
        if self._observes(container):
            self._would(ranking, found.way, now)
            return None
        spent = self._spent(container, at)
        if spent is not None:
            return spent
        if found.way != "evict":
            self._have_ended(reported, container, found.way, now)
            return None
        decision = decision_of(
            ranking,
            id=f"evict-{pod.metadata.uid}",
            mode="Enforce",
            action="evict",
            trigger=FORESIGHT,
            reason=sentence(ranking),
        )
        return self._evict(pod, decision, rule.policy, reported.status, now)

    def _evict(self, pod: Pod, decision: Decision, policy: str, report: Report, now: datetime) -> str | None:
        """Ask first, write it down, then do it: whoever comes after us finds what was meant. Why not, if it may not."""
        why_not = self._deeds.evict(pod, dry_run=True)
        if why_not is not None:
            return why_not
        namespace = pod.metadata.namespace
        self._deeds.record(decision, namespace=namespace, node=self.name, at=now, policy=policy)
        why_not = self._deeds.evict(pod)
        if why_not is not None:
            self._deeds.amend(namespace, decision.id, MemoryGuardDecisionStatus(phase="Incomplete", finished_at=now))
            return why_not
        self.flight = _flight(pod, decision, report.available_bytes, now)
        self._deeds.amend(namespace, decision.id, first_status(decision))
        self._decided(decision, policy)
        return None

    def _have_ended(self, reported: ReportedNode, container: Container, way: Way, now: datetime) -> None:
        """The guard does it, if its own plan allows; its agent writes the record."""
        name = f"{way}-{container.id[:12]}-{now:%Y%m%d%H%M%S}"
        order = AdvisedOrder(
            id=name,
            action="kill" if way == "kill" else "terminate",
            pod_uid=container.pod_uid or "",
            container_id=container.id,
            expires_at=now + ORDER,
        )
        self._deeds.order(reported, order, now)
        self._order = (name, now + ORDER)

    def _would(self, ranking: Ranking, way: Way, now: datetime) -> None:
        """Only observed: told once in a while."""
        container = ranking.candidates[0].container
        name = f"foresee-{container.id[:12]}-{int(now.timestamp()) // REPEAT_SECONDS}"
        if name in self._observed:
            return
        decision = decision_of(
            ranking,
            id=name,
            mode="Observe",
            action=way,
            trigger=FORESIGHT,
            reason=sentence(ranking),
            not_done_because="its policy says Observe",
        )
        self._tell(decision, self._plan.rule_for(container).policy, first_status(decision), now)
        self._observed.add(name)

    def relocate(self, record: RecordedDecision, reported: ReportedNode, node: Node, now: datetime) -> None:
        """It was ended in place again and again: one more restart there is of no use, but another node may be."""
        seen = record.spec.victim
        pod = self._deeds.pod(seen.namespace, seen.pod, seen.pod_uid)
        if pod is None or pod.metadata.deletion_timestamp is not None or self.flight is not None:
            return
        identity = next((one for one in identities(pod) if one.name == seen.name), None)
        self.compiled = self._book.plan(node.metadata.labels, [seen.namespace])
        if identity is None or self.compiled is None or reported.spec.emergency_stop:
            return
        container = unread(identity)
        rule, at = self._plan.rule_for(container), now.timestamp()
        refused = exclusion(container, rule, self.compiled.plan) or self._spent(container, at)
        if refused or self._observes(container) or remedy(container, rule, weary=True).way != "evict":
            return
        reason = f"{container.title} was ended in place again and again: another restart on {self.name} is of no use."
        name = f"evict-{pod.metadata.uid}"
        decision = _decision(container, reported.status, STORM, id=name, action="evict", reason=reason)
        self._evict(pod, decision, rule.policy, reported.status, now)

    def _raise_limit(self, one: TopContainer, report: Report, now: datetime) -> None:
        """Where its policy wants it, and the node has room."""
        identity, key = self._known.get(one.id), f"resize {one.id}"
        pod = self._pods.get(identity.pod_uid or "") if identity else None
        if identity is None or pod is None or identity.qos == "Guaranteed" or key in self._refused:
            return
        container, limit = unread(identity), one.limit_bytes or 0
        rule = self._plan.rule_for(container)
        wanted = raised_limit(limit, rule.largest_limit_bytes, report.available_bytes, report.reserve_bytes)
        if wanted is None or not rule.allows("resize") or self._observes(container):
            return
        why_not = self._deeds.resize(pod, identity.name or "", wanted)
        self._refused[key] = (why_not or "kubelet has been asked", now + REFUSED)
        if why_not is None:
            reason = f"{container.title} was about to reach its limit: raised from {size(limit)} to {size(wanted)}."
            name = f"resize-{one.id[:12]}-{wanted >> 20}"
            decision = _decision(container, report, FORESIGHT, id=name, action="resize", reason=reason)
            self._tell(decision, rule.policy, MemoryGuardDecisionStatus(phase="Done", finished_at=now), now)

    # --- what becomes of it

    def resume(self, record: RecordedDecision, now: datetime) -> None:
        """An eviction that another operator began, or we before a restart."""
        seen = record.spec.victim
        pod = self._deeds.pod(seen.namespace, seen.pod, seen.pod_uid)
        if pod is not None and pod.metadata.deletion_timestamp is None:  # written down, and never done
            status = MemoryGuardDecisionStatus(phase="Incomplete", finished_at=now)
            self._deeds.amend(record.metadata.namespace, record.metadata.name, status)
            return
        self.flight = Flight(
            decision=record.metadata.name,
            victim=msgspec.convert(msgspec.to_builtins(seen), Victim),
            expected_bytes=record.spec.expected_bytes,
            before_bytes=record.spec.available_bytes,
            began_at=record.spec.taken_at,
            ends_at=now + EVICTION + timedelta(seconds=_grace_seconds(pod)),
        )

    def follow(self, report: Report | None, now: datetime) -> None:
        """Is who is on its way gone, and what came back? That the next report tells, if there is one."""
        if self._order is not None:
            name, until = self._order
            if now > until or (report is not None and any(one.id == name for one in report.orders)):
                self._order = None
        flight = self.flight
        if flight is None:
            return
        seen = flight.victim
        if flight.gone_at is None and self._deeds.pod(seen.namespace or "", seen.pod or "", seen.pod_uid or "") is None:
            flight = self.flight = msgspec.structs.replace(flight, gone_at=now)
        observed_at = report.observed_at if report else None
        told = flight.gone_at is not None and observed_at is not None and observed_at > flight.gone_at
        if told or now > flight.ends_at:
            self._finish(flight, report, now)

    def _finish(self, flight: Flight, report: Report | None, now: datetime) -> None:
        freed_bytes = report.available_bytes - flight.before_bytes if report and flight.gone_at else 0
        outcome = Outcome(
            id=flight.decision,
            victim=flight.victim,
            action="evict",
            complete=flight.gone_at is not None,
            seconds=((flight.gone_at or now) - flight.began_at).total_seconds(),
            expected_bytes=flight.expected_bytes,
            freed_bytes=max(0, freed_bytes),
            headroom_bytes=report.available_bytes - report.reserve_bytes if report else 0,
        )
        self._deeds.amend(flight.victim.namespace or "", flight.decision, outcome_status(outcome, now))
        self.flight = None
        self._ended(outcome)

    # --- what is allowed, and what is told

    @property
    def _plan(self) -> Plan:
        return self.compiled.plan if self.compiled else Plan()

    def _observes(self, container: Container) -> bool:
        return self._plan.mode_for(container) == "Observe"

    def _spent(self, container: Container, at: float) -> str | None:
        budget = ClusterBudget(budget=self._plan.budget, per_cluster=self.compiled.per_cluster if self.compiled else 0)
        own = self._plan.rule_for(container).budget
        return budget.refusal(self._archive.ends(at), container, self.name, at, own)

    def _tell(self, decision: Decision, policy: str, status: MemoryGuardDecisionStatus, now: datetime) -> None:
        namespace = decision.victim.namespace or ""
        self._deeds.record(decision, namespace=namespace, node=self.name, at=now, policy=policy)
        self._deeds.amend(namespace, decision.id, status)
        self._decided(decision, policy)


def _decision(container: Container, report: Report, trigger: str, **facts: Any) -> Decision:
    """One that was not made by ranking."""
    return Decision(
        mode="Enforce",
        domain="node",
        trigger=trigger,
        victim=victim_of(container),
        pressure=0.0,
        threshold_score=0.0,
        available_bytes=report.available_bytes,
        reserve_bytes=report.reserve_bytes,
        fall_bytes_per_second=0,
        need_bytes=0,
        expected_bytes=0,
        score=0,
        badness=0.0,
        **facts,
    )


def _flight(pod: Pod, decision: Decision, before_bytes: int, now: datetime) -> Flight:
    return Flight(
        decision=decision.id,
        victim=decision.victim,
        expected_bytes=decision.expected_bytes,
        before_bytes=before_bytes,
        began_at=now,
        ends_at=now + EVICTION + timedelta(seconds=_grace_seconds(pod)),
    )


def _grace_seconds(pod: Pod | None) -> int:
    asked = pod.spec.termination_grace_period_seconds if pod else None
    return USUAL_GRACE_SECONDS if asked is None else asked
