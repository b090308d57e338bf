"""The decision carried out: read, judge, act, and follow each victim until its memory is back.

Nothing between a wake-up and a kill opens a file, writes a log, or looks at all containers.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

import msgspec

from memguard.core.decision import Answer
from memguard.core.domain import domains
from memguard.core.history import History, after_victim, forget_gauge, observe
from memguard.core.ladder import choose_action, choose_deed, may_terminate, only_evictable
from memguard.core.link import Order
from memguard.core.model import Cgroup as CgroupReading
from memguard.core.model import Snapshot
from memguard.core.policy import Action, Plan, workload
from memguard.core.select import UNCONDITIONAL_LEVEL, Ranking, judge, rank, rank_node
from memguard.core.timeline import TimelinePoint, before
from memguard.core.trace import LEARNING, Event, Outcome, Reading
from memguard.guard.aside import aside
from memguard.guard.clock import Clock
from memguard.guard.course import Course
from memguard.guard.ears import Ears
from memguard.guard.hold import Hold
from memguard.guard.report import Report
from memguard.guard.scene import Scene
from memguard.guard.spending import Spending
from memguard.guard.stability import Stability
from memguard.guard.trigger import Trigger
from memguard.guard.ward import Ward
from memguard.guard.watch import Watch, sampled

#: An eviction goes through the cluster's API; ending the container would be useless or wrong.
CANNOT_EVICT = "only an eviction would help, and a guard on a node evicts nobody"
#: What the record of an order says.
ORDERED = "ended because the operator ordered it."
#: Beside a culprit that is dying already.
NOT_GUILTY = "it makes too little of the growth to die beside the culprit"
#: Who makes this share of the growth is guilty enough to die where the guiltiest may not be touched, or dies already:
#: of two hogs each makes half, and an innocent 0-7 % (named cells). Chosen between, not swept.
GUILTY_GROWTH = 0.25


class Court:
    """History, budget, and the victims that are on their way out (`courses`, by container id)."""

    def __init__(
        self, scene: Scene, watch: Watch, hold: Hold, spending: Spending, *, ears: Ears, report: Report, clock: Clock
    ) -> None:
        self.history, self._spending = History(), spending
        self.courses: dict[str, Course] = {}
        #: how often an act was refused because a budget was spent
        self.budget_refusals = 0
        #: how often one was ended although its PodDisruptionBudget had nothing to spare, as its policy asks
        self.budget_overrides = 0
        self._scene, self._watch, self._hold = scene, watch, hold
        self._ears, self._report, self._clock = ears, report, clock

    @property
    def _plan(self) -> Plan:
        return self._watch.terms.plan

    def may_act(self, ward: Ward) -> bool:
        """Is acting on this container allowed now? Without that nothing of it is ever held or braked."""
        if ward.forbidden is not None or ward.id in self.courses:
            return False
        return self._refusal(ward) is None

    def learn(self, snapshot: Snapshot) -> None:
        """Into the history, without a decision; the trace says so."""
        self.history = observe(self.history, snapshot, tuple(domains(snapshot, self._plan)))
        self._report.trace(Reading(snapshot=snapshot, domain=LEARNING))

    def new_episode(self, domain: str) -> None:
        """A line was crossed: what that domain did before says nothing about now."""
        self.history = forget_gauge(self.history, domain)
        self._report.trace(Event(at=self._clock.now(), kind="line", subject=domain))

    def decide(
        self,
        wards: Iterable[Ward],
        trigger: Trigger,
        *,
        pods: tuple[CgroupReading, ...] = (),
        within: str | None = None,
        with_vmstat: bool = False,
        guilty_only: bool = False,
    ) -> Ranking:
        """Read these wards, judge them, and act on the one that is chosen.

        `within` names the only domain that all containers are shown of; `with_vmstat` also reads /proc/vmstat; with
        `guilty_only` nobody dies who does not grow.
        """
        present = {ward.id: ward for ward in wards if ward.id not in self.courses and ward.read()}
        snapshot = self._scene.snapshot(self._clock.now(), sampled(present.values()), pods, with_vmstat=with_vmstat)
        trigger.mark("read")
        self.history, ranking = judge(self.history, snapshot, self._plan, self._refusals(present.values()), within)
        trigger.mark("ranked")
        self._report.trace(Reading(snapshot=snapshot, domain=within))
        if ranking.victim is None:
            self._report.nobody(ranking)
            return ranking
        self._act_on_the_guilty(ranking, snapshot, present, trigger, guilty_only=guilty_only)
        return ranking

    def outlook(self) -> Ranking:
        """How those of the front stand on the node now, and those whose limit may be raised.

        Nothing is decided, nothing learned.
        """
        asked = dict.fromkeys((*self._watch.front, *self._watch.raisable()))
        return self._ranked(ward for ward in asked if ward.read())

    def obey(self, order: Order, ward: Ward | None) -> Answer:
        """End a container because the operator says so, if it is the one that is meant and the plan allows it."""
        why_not = self._objection(order, ward)
        if ward is None or why_not is not None:
            return Answer(order=order.id, accepted=False, reason=why_not or "")
        trigger = Trigger("order", self._clock.monotonic)
        ranking = self._ranked((ward,))
        refusal = self._act(ranking, ward, order.action, trigger, words=f"{ward.container.title}: {ORDERED}")
        if refusal is not None:
            return Answer(order=order.id, accepted=False, reason=refusal)
        return Answer(order=order.id, accepted=True, decision=self.courses[ward.id].decision)

    def _objection(self, order: Order, ward: Ward | None) -> str | None:
        """Why an order is not carried out. Who gave it is nobody that the guard can ask: only its plan counts."""
        if order.expires_at.timestamp() <= self._clock.wall():
            return "the order has expired"
        if ward is None or not ward.read():
            return "there is no such container on this node"
        if ward.container.pod_uid != order.pod_uid:
            return f"the container belongs to pod {ward.container.pod_uid}, not to {order.pod_uid}"
        return ward.forbidden or self._refusal(ward) or self._misfit(order, ward)

    def _misfit(self, order: Order, ward: Ward) -> str | None:
        """Why just this is not to be done to it."""
        if ward.id in self.courses:
            return "it is ending already"
        if not ward.rule.allows(order.action):
            return f"its policy does not allow to {order.action} it"
        if order.action == "terminate" and not may_terminate(ward.container):
            return "asking it to end would count as success: order to kill it"
        return None

    def _ranked(self, wards: Iterable[Ward]) -> Ranking:
        containers = tuple(ward.container for ward in wards)
        snapshot = self._scene.snapshot(self._clock.now(), containers, (), with_vmstat=False)
        return rank_node(self.history, snapshot, self._plan)

    def pending_bytes(self, now: float, wards: Iterable[Ward] | None = None) -> int:
        """What the victims, or those of them that are among `wards`, are still expected to free."""
        courses = self.courses
        if courses and wards is not None:
            courses = {ward.id: courses[ward.id] for ward in wards if ward.id in courses}
        return sum(course.pending_bytes(now) for course in courses.values())

    def advance(self, now: float) -> list[Course]:
        """Follow the victims; those that are over are returned, reported and forgotten."""
        for course in self.courses.values():
            if course.needs_help(now):
                course.helped = aside(course.release_memory, self._ears)
            course.watched(now, self._scene.available)
        over = [course for course in self.courses.values() if course.advance(now)]
        for course in over:
            course.over(self._scene.available)
            del self.courses[course.ward.id]
            self._ears.deafen(course.fd)
            if course.stage == "ended":  # should its cgroup stay, it must not be killed again for what it holds
                course.ward.emptied = True
                course.ward.adopt()
            self._report.finished(course, self._scene.headroom())
            self._report.trace(_outcome(course, self._clock))
        return over

    def _refusals(self, wards: Iterable[Ward]) -> dict[str, str]:
        plan = self._plan
        if not self._spending.recent.kills and plan.budget.generous and not plan.disruptions:
            return {}
        asked = ((ward.id, self._refusal(ward)) for ward in wards)
        refused = {key: reason for key, reason in asked if reason is not None}
        self.budget_refusals += sum(self._report.fresh(f"budget {key}") for key in refused)
        return refused

    def _refusal(self, ward: Ward) -> str | None:
        """Why the budget, or what was lent of a PodDisruptionBudget, forbids it now."""
        budget = self._plan.budget.narrowed(ward.rule.budget)
        reason = self._spending.recent.refusal(ward.container, budget, self._clock.monotonic())
        if reason is None and self._plan.disruptions and not (ward.rule.override_disruption_budget and self._emergency):
            reason = self._undisruptable(ward)
        return reason

    def _undisruptable(self, ward: Ward) -> str | None:
        lent = self._plan.disruptions.get(workload(ward.container))
        if lent is None:
            return None
        return self._spending.recent.undisruptable(ward.container, lent, self._clock.now(), self._clock.monotonic())

    @property
    def _emergency(self) -> bool:
        """Is half of the reserve gone?"""
        return self._scene.headroom() <= -UNCONDITIONAL_LEVEL * self._scene.reserve_bytes

    def _act_on_the_guilty(
        self, ranking: Ranking, snapshot: Snapshot, present: dict[str, Ward], trigger: Trigger, *, guilty_only: bool
    ) -> None:
        """Act on the victim; where it may not be touched and half of the reserve is gone, on the next guilty one."""
        refusals = self._refusals(present.values())
        while (victim := ranking.victim) is not None:
            if guilty_only and victim.growth_ratio < GUILTY_GROWTH:
                why_not = NOT_GUILTY
            else:
                refusal = self._carry_out(ranking, present[victim.container.id], trigger)
                if refusal is None or ranking.pressure.level < UNCONDITIONAL_LEVEL:
                    return
                why_not, guilty_only = refusal, True
            refusals = {**refusals, victim.container.id: why_not}
            ranking = rank(self.history, snapshot, self._plan, ranking.domain, ranking.pressure, refusals=refusals)

    def _carry_out(self, ranking: Ranking, ward: Ward, trigger: Trigger) -> str | None:
        """Act on the chosen one; why not, if it may not be."""
        victim = ranking.candidates[0]
        action = choose_action(ranking, victim, ward.rule)
        why_not = ward.forbidden or (CANNOT_EVICT if only_evictable(victim.container) else None)
        if why_not is None:
            return self._act(ranking, ward, action, trigger)
        self._report.would(ranking, action, why_not, trigger, timeline=self._led_to(ranking))
        return why_not

    def _act(
        self, ranking: Ranking, ward: Ward, action: Action, trigger: Trigger, *, words: str | None = None
    ) -> str | None:
        """Do it; why not, if the kernel refuses. `words` say why, where it is not the ranking that does."""
        now = self._clock.monotonic()
        course = Course(ward, ranking.domain, ranking.candidates[0].freed_bytes, now)
        deed = choose_deed(ranking, ranking.candidates[0], ward.rule) if action == "evict" else action
        course.action = "terminate" if deed == "terminate" and self._terminated(course) else "kill"
        if course.action == "kill" and not course.kill(now):
            self._report.refused(ranking, course)
            return course.refusal
        trigger.mark("acted")
        self._hold.release()
        if overridden := self._plan.disruptions and self._undisruptable(ward):
            self.budget_overrides += 1
            self._report.say("override", victim=ward.container.title, reason=overridden)
        self._spending.spend(ward.container, self._plan.budget, now)
        self.courses[ward.id] = course
        if spent := self._refusal(ward):
            self._report.say("budget", victim=ward.container.title, reason=spent)
        led_to_it = self._led_to(ranking)
        self.history = after_victim(self.history, ranking.taken_at.timestamp(), foreign=ranking.foreign_growth)
        self._ears.listen(course.fd, lambda _: None)  # the turn that it wakes looks after it
        told = self._with_the_rest(ranking)
        course.decision = self._report.decided(told, action, course.action, trigger, words=words, timeline=led_to_it)
        return None

    def _terminated(self, course: Course) -> bool:
        """Thaw it first: who stands still cannot hear the signal."""
        self._hold.release()
        rule = course.ward.rule
        return course.terminate(signal.Signals[rule.stop_signal], rule.grace_seconds, self._watch.proc_root)

    def _led_to(self, ranking: Ranking) -> tuple[TimelinePoint, ...]:
        """How the memory went until now."""
        victim, at = ranking.candidates[0].container, ranking.taken_at.timestamp()
        return before(self.history, ranking.domain.key, victim.id, at)

    def _with_the_rest(self, ranking: Ranking) -> Ranking:
        """For the record, after the deed: how those of the front stood that were not on the shortlist."""
        known = {candidate.container.id for candidate in ranking.candidates}
        others = tuple(ward.container for ward in self._watch.front if ward.id not in known)
        snapshot = self._scene.snapshot(ranking.taken_at, others, (), with_vmstat=False)
        rest = rank(self.history, snapshot, self._plan, ranking.domain, ranking.pressure)
        return msgspec.structs.replace(ranking, candidates=ranking.candidates + rest.candidates)


def check_stability(stability: Stability, course: Course, report: Report) -> None:
    """After a victim: are the processes that the node cannot do without still there?"""
    for name in stability.lost():
        report.alarm(f"the critical process {name} is gone", "critical", decision=course.decision)


def _outcome(course: Course, clock: Clock) -> Outcome:
    return Outcome(
        at=clock.now(),
        victim=course.ward.id,
        action=course.action,
        freed_bytes=course.freed_bytes,
        seconds=course.seconds,
        complete=course.stage == "ended",
    )
