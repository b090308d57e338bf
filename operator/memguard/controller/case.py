"""One node in trouble: its reports one after another, who is to go, and the one who is on its way.

What is decided is core's (foresight, resize, cluster_budget). What is done, evictor, orders and resizer do, within the
node's mandate. One thread at a time looks at it. What must outlive the operator stands in the cluster: the record
before the eviction, the eviction by the pod's UID, the order in the node's NodeMemory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from memguard.api.decision import first_status
from memguard.api.node_memory import near_limit
from memguard.controller.archive import BY_STORM, Archive
from memguard.controller.census import Census
from memguard.controller.decision import Decided, foreseen, unranked
from memguard.controller.deeds import Deeds
from memguard.controller.evictor import Evictor
from memguard.controller.lender import Lender
from memguard.controller.mandate import Mandate
from memguard.controller.orders import Orders
from memguard.controller.policy_book import PolicyBook
from memguard.controller.refusals import REFUSED, Refusals
from memguard.controller.reports import snapshot
from memguard.controller.resizer import Resizer
from memguard.controller.resources import RecordedDecision, Report, ReportedNode
from memguard.core.cluster_budget import weary
from memguard.core.compile import Compiled
from memguard.core.decision import Outcome
from memguard.core.exclusion import exclusion
from memguard.core.footprint import freed
from memguard.core.foresight import FORESIGHT_SECONDS, Way, ahead, culprit, look, remedy, settled
from memguard.core.history import History
from memguard.core.model import Container, unread
from memguard.core.policy import workload
from memguard.core.refusal import ENDING, OBSERVED, Refusal
from memguard.core.select import Ranking, rank
from memguard.kube.identities import identities
from memguard.kube.objects import Node, Pod

#: So many are asked for one report: each costs a request.
MOST_ASKED = 5
#: What is only observed is told once in so long.
REPEAT_SECONDS = 600


class Case:
    """Of the node `name`. `decided` hears of each decision, `ended` of its outcome, `refused` of what may not be."""

    def __init__(
        self,
        name: str,
        book: PolicyBook,
        archive: Archive,
        deeds: Deeds,
        lender: Lender,
        *,
        decided: Decided,
        ended: Callable[[Outcome], None],
        refused: Callable[[Refusal], None],
        acts: Callable[[], bool],
    ) -> None:
        self.name = name
        self.census = Census(name, deeds)
        self._archive, self._deeds = archive, deeds
        self._decided, self._ended, self._refused = decided, ended, refused
        self._mandate = Mandate(name, book, archive, deeds, acts)
        self._refusals = Refusals(refused)
        self._evictor = Evictor(self._mandate, deeds, lender, decided)
        self._orders = Orders(self._mandate, deeds)
        self._resizer = Resizer(self._mandate, deeds, self.census, self._refusals, decided)
        self._history = History()
        self._taken_at: datetime | None = None
        self._cramped = False
        self._next_would_at = datetime.min.replace(tzinfo=UTC)
        self._observed: set[str] = set()

    @property
    def idle(self) -> bool:
        """Is there nothing to remember: nobody on the way, asked a moment ago, or about to reach a limit?"""
        return not (self._evictor.busy or self._orders.open or self._refusals or self._cramped)

    @property
    def compiled(self) -> Compiled | None:
        """The node's plan, as it was made last."""
        return self._mandate.compiled

    # --- what is reported

    def attend(self, reported: ReportedNode, node: Node, now: datetime) -> None:
        """Take in a report, and do what is to be done. Raises KubeError for what may succeed later."""
        report = reported.status
        self._mandate.watches_only = report.mode == "Observe"
        if report.observed_at == self._taken_at:
            return
        cramped = tuple(filter(near_limit, report.top))
        self._cramped = bool(cramped)
        left = report.exhaustion_seconds
        soon = report.level != "Calm" and left is not None and left <= FORESIGHT_SECONDS
        if report.level != "Calm" or cramped:
            self.census.recognise((one.id for one in report.top), now)
        if self._mandate.renew(node, self.census.namespaces) is None or reported.spec.emergency_stop:
            return
        self._history = History() if report.level == "Calm" else self._judge(reported, now, soon=soon)
        for one in cramped:
            if self._resizer.raise_limit(one, report, now):
                break  # the next one when a report shows what room is left
        self._taken_at = report.observed_at

    def _judge(self, reported: ReportedNode, now: datetime, *, soon: bool) -> History:
        """Where it will run short soon, act on who is chosen, or on the next who may be.

        The history with this report; after an error it is not taken in, since it comes again.
        """
        taken = snapshot(self.name, reported.status, self.census.identities)
        plan = ahead(msgspec.structs.replace(self._mandate.plan, bias=dict(reported.spec.bias)))
        refusals = self._refusals.words
        history, ranking = look(self._history, taken, plan, refusals)
        if not soon or self._evictor.busy or self._orders.stand(reported, now):
            return history
        for _ in range(MOST_ASKED):
            victim = culprit(history, ranking)
            if victim is None:
                break
            why_not = self._act(reported, history, ranking, now)
            if why_not is None:
                return settled(history, taken, foreign=ranking.foreign_growth)
            self._refusals.add(victim.container.id, why_not, now)
            refusals[victim.container.id] = why_not.words
            ranking = rank(history, taken, plan, ranking.domain, ranking.pressure, refusals=refusals)
        return history

    # --- what is done

    def _act(self, reported: ReportedNode, history: History, ranking: Ranking, now: datetime) -> Refusal | None:
        """Have the chosen one go; why not, if it may not."""
        container = ranking.candidates[0].container
        pod = self.census.pod(container.pod_uid or "", now)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return ENDING
        container = container.known_as(self.census.identities[container.id])  # its labels may have changed
        tired = self._weary(container, now)
        way = self._way(container, weary=tired)
        if isinstance(way, Refusal):
            return way
        if self._mandate.observes(container):
            if now >= self._next_would_at:  # who comes behind it would have been spared by its end
                self._next_would_at = now + REFUSED
                self._would(history, ranking, way, now)
            return OBSERVED
        if way != "evict":
            return self._orders.give(reported, container, way, now)
        decision = foreseen(history, ranking, id=_eviction_of(pod), mode="Enforce", action="evict")
        # With its pod goes what would outlive the container.
        decision = msgspec.structs.replace(decision, expected_bytes=freed(container, swap_counts=True, with_pod=True))
        return self._evictor.evict(pod, container, decision, reported.status, now, weary=tired)

    def _weary(self, container: Container, now: datetime) -> bool:
        """Was it ended in place again and again, so that one more restart there is of no use?"""
        at = now.timestamp()
        return weary(self._archive.ends(at), workload(container), self.name, at)

    def _way(self, container: Container, *, weary: bool) -> Way | Refusal:
        """How it is to go, or why it may not."""
        plan = self._mandate.plan
        rule = plan.rule_for(container)
        excluded = exclusion(container, rule, plan)
        return remedy(container, rule, weary=weary) if excluded is None else Refusal(cause="policy", words=excluded)

    def _would(self, history: History, ranking: Ranking, way: Way, now: datetime) -> None:
        """Only observed: told once in a while."""
        container = ranking.candidates[0].container
        name = f"foresee-{container.id[:12]}-{int(now.timestamp()) // REPEAT_SECONDS}"
        if name in self._observed:
            return
        decision = foreseen(
            history,
            ranking,
            id=name,
            mode="Observe",
            action=way,
            not_done_because="its node only observes" if self._mandate.watches_only else "its policy says Observe",
        )
        policy = self._mandate.plan.rule_for(container).policy
        why_not = self._mandate.record(decision, policy, now)
        if why_not is None:
            self._deeds.amend(container.namespace or "", name, first_status(decision))
        else:
            self._refused(why_not)
        self._decided(decision, policy)
        self._observed.add(name)

    def relocate(self, record: RecordedDecision, reported: ReportedNode, node: Node, now: datetime) -> None:
        """It was ended in place again and again: one more restart there is of no use, but another node may be."""
        seen, key = record.spec.victim, f"relocate {record.spec.victim.pod_uid}"
        if self._evictor.busy or key in self._refusals:
            return
        pod = self._deeds.pod(seen.namespace, seen.pod, seen.pod_uid)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return
        identity = next((one for one in identities(pod) if one.name == seen.name), None)
        compiled = self._mandate.renew(node, {*self.census.namespaces, seen.namespace})
        if identity is None or compiled is None or reported.spec.emergency_stop:
            return
        container = unread(identity)
        if self._mandate.observes(container) or self._way(container, weary=True) != "evict":
            return
        reason = f"{container.title} was ended in place again and again: another restart on {self.name} is of no use."
        decision = unranked(container, reported.status, BY_STORM, id=_eviction_of(pod), action="evict", reason=reason)
        why_not = self._evictor.evict(pod, container, decision, reported.status, now, weary=True)
        if why_not is not None:
            self._refusals.add(key, why_not, now)

    # --- what becomes of it

    def resume(self, record: RecordedDecision, now: datetime) -> None:
        """Go on with an eviction that another operator began, or we before a restart. Raises KubeError."""
        self._evictor.resume(record, now)

    def follow(self, report: Report | None, now: datetime) -> None:
        """What became of whoever is on its way. Raises KubeError."""
        self._refusals.expire(now)
        refused = self._orders.follow(report, now)
        if refused is not None:  # by the guard's own plan: it is not ordered again at once
            self._refusals.add(*refused, now)
        outcome = self._evictor.follow(report, now)
        if outcome is not None:
            self._ended(outcome)


def _eviction_of(pod: Pod) -> str:
    """The decision's name: a pod is evicted once."""
    return f"evict-{pod.metadata.uid}"
