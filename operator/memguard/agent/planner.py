"""Keeps the guard's plan what the policies say: makes it anew when anything of it changed, keeps it, hands it over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from memguard.agent.census import Census
from memguard.agent.guard_link import GuardLink
from memguard.agent.notices import broken_policy
from memguard.agent.plan import Sources, broken, compiled, references
from memguard.agent.plan_store import KeptPlan, PlanStore
from memguard.core.decision import Victim
from memguard.core.link import NewPlan, encode
from memguard.core.model import Identity, unread
from memguard.core.notes import Note, title_of
from memguard.core.policy import Plan
from memguard.errors import LinkError
from memguard.kube.events import Recorder
from memguard.kube.objects import ObjectReference
from memguard.service.journal import Journal


class Planner:
    """`kept`: the plan in force, if there is one. `current`: it is what the policies say; `notes` about them.

    `halted`: by whom it says that all is stopped. `problem`: why a plan of what they say cannot be had.
    """

    def __init__(
        self,
        store: PlanStore,
        link: GuardLink,
        census: Census,
        recorder: Recorder,
        journal: Journal,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._link, self._census = store, link, census
        self._recorder, self._journal, self._now = recorder, journal, now
        self._references: dict[str, ObjectReference] = {}
        self._told: frozenset[tuple[str, str]] = frozenset()
        kept = store.plan()
        self.kept = None if kept is None or _misfit(kept.plan) else kept
        self.current = False
        self.problem = ""
        self.notes: tuple[Note, ...] = ()
        self.halted = ""

    def remake(self, sources: Sources) -> None:
        """The plan of these, kept and handed over where it is another than before."""
        made = compiled(sources)
        self._references = references(sources)
        self._tell_of_broken(sources, made.notes)
        news = self.kept is None or (self.kept.plan, self.kept.cluster) != (made.plan, made.cluster)
        self.problem = _misfit(made.plan) if news else ""
        self.notes, self.halted, self.current = made.notes, made.halted, not self.problem
        if self.problem:
            self._journal.trouble(self.problem)
        elif news:
            self.kept = KeptPlan(plan=made.plan, cluster=made.cluster, made_at=self._now())
            self._link.tell(plan=made.plan)
            self._store.keep_plan(self.kept)
            self._journal.write("plan", version=made.plan.version, policy=made.cluster, notes=made.notes)

    def find_policy(self, title: str) -> ObjectReference | None:
        """The object of a policy; None for the one that is compiled in."""
        return self._references.get(title)

    def policy_of(self, victim: Victim) -> str:
        """By which policy a container is treated; as well as can be told where it is no longer known."""
        if self.kept is None:
            return ""
        # One that is not known has no labels here: conditions on them do not hold.
        told = Identity(id=victim.id, namespace=victim.namespace, pod=victim.pod, name=victim.name)
        known = self._census.find(victim.id) or told
        return self.kept.plan.rule_for(unread(known, victim.cgroup)).policy

    def _tell_of_broken(self, sources: Sources, notes: tuple[Note, ...]) -> None:
        found = {(policy.uid, version): (policy, reason) for policy, version, reason in broken(sources, notes)}
        for (uid, version), (policy, reason) in found.items():
            if (uid, version) not in self._told:
                self._recorder.emit(broken_policy(policy, version, reason))
                self._journal.write("ignored", policy=title_of(policy.namespace, policy.name), reason=reason)
        self._told = frozenset(found)


def _misfit(plan: Plan) -> str:
    """Why the guard cannot be told of it: a connection on which that is tried would end, each time anew."""
    try:
        encode(NewPlan(plan=plan))
    except LinkError as error:
        return f"the guard keeps the plan that it has, another does not go over the socket: {error}"
    return ""
