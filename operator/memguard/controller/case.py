"""One node in trouble: its reports one after another, who is to go, and the one who is on its way.

What is decided is core's (foresight, resize, cluster_budget); what is done, deeds'. One thread at a time looks at it.
What must outlive the operator stands in the cluster: the record before the eviction, the eviction by the pod's
UID, the order in the node's NodeMemory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from memguard.api.decision import MemoryGuardDecisionStatus, first_status
from memguard.api.node_memory import TopContainer, near_limit
from memguard.controller.archive import BY_REPORT, BY_STORM, Archive
from memguard.controller.deeds import Deeds
from memguard.controller.eviction import Eviction
from memguard.controller.lender import Lender
from memguard.controller.policy_book import PolicyBook
from memguard.controller.reports import snapshot
from memguard.controller.resources import RecordedDecision, Report, ReportedNode
from memguard.core.advice import AdvisedOrder
from memguard.core.cluster_budget import ClusterBudget, End, weary
from memguard.core.compile import Compiled
from memguard.core.decision import Decision, Outcome, decision_of, victim_of
from memguard.core.exclusion import exclusion
from memguard.core.explain import sentence, size
from memguard.core.footprint import freed
from memguard.core.foresight import FORESIGHT_SECONDS, Way, ahead, culprit, look, remedy, settled
from memguard.core.history import History
from memguard.core.ladder import is_virtual_machine
from memguard.core.model import Container, Identity, unread
from memguard.core.policy import Plan, workload
from memguard.core.quantity import parse_bytes
from memguard.core.refusal import DEPOSED, ENDING, LENT, OBSERVED, Refusal, refused
from memguard.core.resize import raised_limit
from memguard.core.select import Ranking, rank
from memguard.core.timeline import before
from memguard.errors import KubeError, ServerError, TooManyRequestsError, UnreachableError
from memguard.kube.identities import identities
from memguard.kube.objects import Node, Pod

#: Who was refused is not asked again for so long.
REFUSED = timedelta(seconds=30)
#: So many are asked for one report: each costs a request.
MOST_ASKED = 5
#: An order is answered within a second or two; after this the node's agent refuses it.
ORDER = timedelta(seconds=60)
#: What is only observed is told once in so long.
REPEAT_SECONDS = 600

#: Hears of each decision, with the title of the policy that treats the victim, and of what became of it.
Decided = Callable[[Decision, str], None]
Ended = Callable[[Outcome], None]


class Case:
    """The node `name`'s. `compiled`: the node's plan, as it was made last."""

    def __init__(
        self,
        name: str,
        book: PolicyBook,
        archive: Archive,
        deeds: Deeds,
        lender: Lender,
        *,
        decided: Decided,
        ended: Ended,
        refused: Callable[[Refusal], None],
        acts: Callable[[], bool],
    ) -> None:
        self.name = name
        self._book, self._archive, self._deeds, self._lender = book, archive, deeds, lender
        self._decided, self._ended, self._refusing, self._acts = decided, ended, refused, acts
        self._history = History()
        self._taken_at: datetime | None = None
        self._known: dict[str, Identity] = {}
        self._pods: dict[str, Pod] = {}
        self._listed_at: datetime | None = None
        self._refused: dict[str, tuple[str, datetime]] = {}
        self._failed: set[str] = set()
        self._cramped = False
        self._next_would_at = datetime.min.replace(tzinfo=UTC)
        self._observed: set[str] = set()
        self._order: AdvisedOrder | None = None
        #: Nothing may be ended on the node: its profile, or that it is not fit. Then we only observe there, too.
        self._watches_only = True
        self._eviction: Eviction | None = None
        self.compiled: Compiled | None = None

    @property
    def idle(self) -> bool:
        """Is there nothing to remember: nobody on the way, asked a moment ago, or about to reach a limit?"""
        return self._eviction is None and self._order is None and not (self._refused or self._cramped)

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
        self._watches_only = report.mode == "Observe"
        if report.observed_at == self._taken_at:
            return
        cramped = tuple(filter(near_limit, report.top))
        self._cramped = bool(cramped)
        left = report.exhaustion_seconds
        soon = report.level != "Calm" and left is not None and left <= FORESIGHT_SECONDS
        if report.level != "Calm" or cramped:
            self._recognise(report, now)
        self.compiled = self._compiled(node)
        if self.compiled is None or reported.spec.emergency_stop:
            return
        self._history = History() if report.level == "Calm" else self._judge(reported, now, soon=soon)
        for one in cramped:
            if self._raise_limit(one, report, now):
                break  # the next one when a report shows what room is left
        self._taken_at = report.observed_at

    def _recognise(self, report: Report, now: datetime) -> None:
        """Who they are; the API server is asked when there is one that is not known."""
        if all(one.id in self._known for one in report.top):
            return
        pods = self._deeds.pods_on(self.name)
        self._pods, self._listed_at = {pod.metadata.uid: pod for pod in pods}, now
        self._known = {identity.id: identity for pod in pods for identity in identities(pod)}

    def _judge(self, reported: ReportedNode, now: datetime, *, soon: bool) -> History:
        """Where it will run short soon, act on who is chosen, or on the next who may be.

        The history with this report; after an error it is not taken in, since it comes again.
        """
        taken = snapshot(self.name, reported.status, self._known)
        plan = ahead(msgspec.structs.replace(self._plan, bias=dict(reported.spec.bias)))
        refusals = {key: why for key, (why, _) in self._refused.items()}
        history, ranking = look(self._history, taken, plan, refusals)
        if not soon or self._eviction is not None or self._ordered(reported, now):
            return history
        for _ in range(MOST_ASKED):
            victim = culprit(history, ranking)
            if victim is None:
                break
            why_not = self._act(reported, history, ranking, now)
            if why_not is None:
                return settled(history, taken, foreign=ranking.foreign_growth)
            self._refuse(victim.container.id, why_not, now)
            refusals[victim.container.id] = why_not.words
            ranking = rank(history, taken, plan, ranking.domain, ranking.pressure, refusals=refusals)
        return history

    # --- what is done

    def _act(self, reported: ReportedNode, history: History, ranking: Ranking, now: datetime) -> Refusal | None:
        """Have the chosen one go; why not, if it may not."""
        container = ranking.candidates[0].container
        pod = self._pod(container.pod_uid or "", now)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return ENDING
        container = container.known_as(self._known[container.id])  # its labels may have changed
        rule, at = self._plan.rule_for(container), now.timestamp()
        excluded = exclusion(container, rule, self._plan)
        if excluded is not None:
            return Refusal(cause="policy", words=excluded)
        tired = weary(self._archive.ends(at), workload(container), self.name, at)
        found = remedy(container, rule, weary=tired)
        if isinstance(found, Refusal):
            return found
        if self._observes(container):
            if now >= self._next_would_at:  # who comes behind it would have been spared by its end
                self._next_would_at = now + REFUSED
                self._would(history, ranking, found, now)
            return OBSERVED
        if found != "evict":
            return self._have_ended(reported, container, found, now)
        decision = _foreseen(history, ranking, id=f"evict-{pod.metadata.uid}", mode="Enforce", action="evict")
        # With its pod goes what would outlive the container.
        decision = msgspec.structs.replace(decision, expected_bytes=freed(container, swap_counts=True, with_pod=True))
        return self._evict(pod, container, decision, reported.status, now, weary=tired)

    def _pod(self, uid: str, now: datetime) -> Pod | None:
        """As it is in this turn: somebody else may have ended it since we looked."""
        pod = self._pods.get(uid)
        if pod is None or self._listed_at == now:
            return pod
        fresh = self._deeds.pod(pod.metadata.namespace, pod.metadata.name, uid)
        if fresh is not None:
            self._pods[uid] = fresh
            self._known |= {one.id: one for one in identities(fresh)}
        return fresh

    def _evict(
        self, pod: Pod, container: Container, decision: Decision, report: Report, now: datetime, *, weary: bool
    ) -> Refusal | None:
        """Ask first, write it down, then do it: whoever comes after us finds what was meant. Why not, if it may not."""
        claim, policy = (pod.metadata.namespace, decision.id), self._plan.rule_for(container).policy
        migrates = is_virtual_machine(container)
        why_not = None if self._lender.spares(self.name, container, now) else LENT
        if why_not is None and not migrates:  # a dry run would not have it migrate
            why_not = self._tried(pod)
        if why_not is not None:
            return why_not
        why_not = self._claim(claim, container, now, moving=weary, in_place=False)
        if why_not is not None:
            return why_not
        why_not = self._record(decision, policy, now)
        if why_not is None:
            # Before it is asked for: where no answer comes it may have been done, and `follow` looks.
            before = report.available_bytes
            self._eviction = Eviction.begun(self._deeds, pod, decision, before, now, migrates=migrates)
            why_not = self._carry_out(pod, self._eviction, now)
        if why_not is not None:
            self._archive.release(claim)
            return why_not
        self._lender.spent(self.name, container)
        self._decided(decision, policy)
        return None

    def _tried(self, pod: Pod) -> Refusal | None:
        """A dry run of its eviction. What fails twice in a row is the pod's own trouble, and not the server's.

        A pod with two PodDisruptionBudgets, say, is a 500.
        """
        uid = pod.metadata.uid
        try:
            why_not = self._deeds.evict(pod, dry_run=True)
        except (ServerError, TooManyRequestsError) as error:
            if uid not in self._failed:
                self._failed.add(uid)
                raise
            why_not = refused("the eviction", error.problem)
        self._failed.discard(uid)
        return why_not

    def _carry_out(self, pod: Pod, eviction: Eviction, now: datetime) -> Refusal | None:
        """The eviction itself, unless another leads by now; without an answer it may have been done."""
        try:
            why_not = self._deeds.evict(pod) if self._acts() else DEPOSED
        except UnreachableError:
            raise
        except KubeError:
            self._give_up(eviction, now)
            raise
        if why_not is not None:
            self._give_up(eviction, now)
        return why_not

    def _give_up(self, eviction: Eviction, now: datetime) -> None:
        eviction.give_up(now)
        self._eviction = None

    def _have_ended(self, reported: ReportedNode, container: Container, way: Way, now: datetime) -> Refusal | None:
        """The guard does it, if its own plan allows; its agent writes the record. Why not, if it may not."""
        # The same within its time, whoever gives it: where no answer came, it may stand there.
        name = f"{way}-{container.id[:12]}-{int(now.timestamp() // ORDER.total_seconds())}"
        spent = self._claim(("", name), container, now, moving=False, in_place=True)
        if spent is not None:
            return spent
        order = AdvisedOrder(
            id=name,
            action="kill" if way == "kill" else "terminate",
            pod_uid=container.pod_uid or "",
            container_id=container.id,
            expires_at=now + ORDER,
        )
        self._deeds.order(reported, order)
        self._order = order
        return None

    def _would(self, history: History, ranking: Ranking, way: Way, now: datetime) -> None:
        """Only observed: told once in a while."""
        container = ranking.candidates[0].container
        name = f"foresee-{container.id[:12]}-{int(now.timestamp()) // REPEAT_SECONDS}"
        if name in self._observed:
            return
        decision = _foreseen(
            history,
            ranking,
            id=name,
            mode="Observe",
            action=way,
            not_done_because="its node only observes" if self._watches_only else "its policy says Observe",
        )
        policy = self._plan.rule_for(container).policy
        why_not = self._record(decision, policy, now)
        if why_not is None:
            self._deeds.amend(container.namespace or "", name, first_status(decision))
        else:
            self._refusing(why_not)
        self._decided(decision, policy)
        self._observed.add(name)

    def relocate(self, record: RecordedDecision, reported: ReportedNode, node: Node, now: datetime) -> None:
        """It was ended in place again and again: one more restart there is of no use, but another node may be."""
        seen, key = record.spec.victim, f"relocate {record.spec.victim.pod_uid}"
        if self._eviction is not None or key in self._refused:
            return
        pod = self._deeds.pod(seen.namespace, seen.pod, seen.pod_uid)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return
        identity = next((one for one in identities(pod) if one.name == seen.name), None)
        self.compiled = self._compiled(node, seen.namespace)
        if identity is None or self.compiled is None or reported.spec.emergency_stop:
            return
        container = unread(identity)
        rule = self._plan.rule_for(container)
        if exclusion(container, rule, self.compiled.plan) or self._observes(container):
            return
        if remedy(container, rule, weary=True) != "evict":
            return
        reason = f"{container.title} was ended in place again and again: another restart on {self.name} is of no use."
        name = f"evict-{pod.metadata.uid}"
        decision = _decision(container, reported.status, BY_STORM, id=name, action="evict", reason=reason)
        why_not = self._evict(pod, container, decision, reported.status, now, weary=True)
        if why_not is not None:
            self._refuse(key, why_not, now)

    def _raise_limit(self, one: TopContainer, report: Report, now: datetime) -> bool:
        """Where its policy wants it, and the node has room; was it done?"""
        identity, key = self._known.get(one.id), f"resize {one.id}"
        if identity is None or identity.qos == "Guaranteed" or key in self._refused:
            return False
        largest, limit = self._plan.rule_for(unread(identity)).largest_limit_bytes, one.limit_bytes or 0
        wanted = raised_limit(limit, largest, report.available_bytes, report.reserve_bytes)
        pod = self._pod(identity.pod_uid or "", now) if wanted is not None else None
        if wanted is None or pod is None:
            return False
        container = unread(self._known[one.id])
        rule = self._plan.rule_for(container)
        if not rule.allows("resize") or self._observes(container) or not _resizable(pod, container.name, limit):
            self._refused[key] = ("its limit may not be raised", now + REFUSED)
            return False
        reason = f"{container.title} is about to reach its limit: raised from {size(limit)} to {size(wanted)}."
        name = f"resize-{one.id[:12]}-{wanted >> 20}"
        decision = _decision(container, report, BY_REPORT, id=name, action="resize", reason=reason)
        raised = partial(self._deeds.resize, pod, container.name or "", wanted)
        why_not = raised(dry_run=True) or self._record(decision, rule.policy, now)
        if why_not is None:
            why_not = raised()
            status = MemoryGuardDecisionStatus(phase="Incomplete" if why_not else "Done", finished_at=now)
            self._deeds.amend(pod.metadata.namespace, name, status)
        if why_not is not None:
            self._refuse(key, why_not, now)
            return False
        self._refused[key] = ("kubelet has been asked", now + REFUSED)
        self._decided(decision, rule.policy)
        return True

    # --- what becomes of it

    def resume(self, record: RecordedDecision, now: datetime) -> None:
        """Go on with an eviction that another operator began, or we before a restart. Raises KubeError."""
        self._eviction = Eviction.resumed(self._deeds, record, now)

    def follow(self, report: Report | None, now: datetime) -> None:
        """What became of whoever is on its way. Raises KubeError."""
        self._refused = {key: (why, until) for key, (why, until) in self._refused.items() if until > now}
        self._follow_order(report, now)
        if self._eviction is None:
            return
        outcome = self._eviction.follow(report, now)
        if self._eviction.over:
            self._eviction = None
        if outcome is not None:
            self._ended(outcome)

    def _ordered(self, reported: ReportedNode, now: datetime) -> bool:
        """Is an order of ours still to be answered? Whoever led before us may have given one, too."""
        answered = {one.id for one in reported.status.orders}
        standing = (one for one in reported.spec.orders if one.id not in answered and one.expires_at > now)
        return self._order is not None or any(standing)

    def _follow_order(self, report: Report | None, now: datetime) -> None:
        """Was it answered? Whom the guard does not end, by its own plan, is not ordered to end again at once."""
        order = self._order
        if order is None:
            return
        answer = next((one for one in report.orders if one.id == order.id), None) if report else None
        if answer is not None and not answer.accepted:
            self._refuse(order.container_id, refused("the order", answer.reason), now)
        if answer is not None or now > order.expires_at:
            self._archive.release(("", order.id))
            self._order = None

    # --- what is allowed, and what is told

    @property
    def _plan(self) -> Plan:
        return self.compiled.plan if self.compiled else Plan()

    def _compiled(self, node: Node, *namespaces: str) -> Compiled | None:
        """With the policies of all who are known there, and of these namespaces."""
        known = (one.namespace or "" for one in self._known.values())
        return self._book.plan(node.metadata.labels, (*known, *namespaces))

    def _observes(self, container: Container) -> bool:
        return self._watches_only or self._plan.mode_for(container) == "Observe"

    def _claim(
        self, key: tuple[str, str], container: Container, now: datetime, *, moving: bool, in_place: bool
    ) -> Refusal | None:
        """Have it counted in the cluster's budgets, or hear which of them is spent."""
        at, name = now.timestamp(), workload(container)
        end = End(
            at=at, workload=name, namespace=container.namespace or "", node=self.name, in_place=in_place, ordered=True
        )
        budget = ClusterBudget(budget=self._plan.budget, per_cluster=self.compiled.per_cluster if self.compiled else 0)
        own = self._plan.rule_for(container).budget
        spent = self._archive.claim(
            key, end, lambda ends: budget.refusal(ends, container, self.name, at, own, moving=moving)
        )
        return None if spent is None else Refusal(cause="budget", words=spent)

    def _refuse(self, key: str, why_not: Refusal, now: datetime) -> None:
        """Not to be asked again for a while."""
        self._refusing(why_not)
        self._refused[key] = (why_not.words, now + REFUSED)

    def _record(self, decision: Decision, policy: str, now: datetime) -> Refusal | None:
        """Write it down before it is done, unless another leads by now: answers may take longer than the lease."""
        if not self._acts():
            return DEPOSED
        namespace = decision.victim.namespace or ""
        return self._deeds.record(decision, namespace=namespace, node=self.name, at=now, policy=policy)


def _resizable(pod: Pod, name: str | None, limit_bytes: int) -> bool:
    """Without a restart, and has nobody else asked for another limit meanwhile?"""
    spec = next((one for one in (*pod.spec.containers, *pod.spec.init_containers) if one.name == name), None)
    if spec is None or any(one.resource_name == "memory" and one.restarts for one in spec.resize_policy):
        return False
    return spec.resources.limits.memory is not None and parse_bytes(spec.resources.limits.memory) == limit_bytes


def _foreseen(history: History, ranking: Ranking, **facts: Any) -> Decision:
    """One that was made on reports, with what they showed before."""
    victim, at = ranking.candidates[0].container, ranking.taken_at.timestamp()
    led_to_it = before(history, ranking.domain.key, victim.id, at)
    return decision_of(ranking, trigger=BY_REPORT, reason=sentence(ranking), timeline=led_to_it, **facts)


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
