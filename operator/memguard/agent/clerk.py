"""What is to be looked after every second, and at once when the cluster says something new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from memguard.agent.census import Census
from memguard.agent.chronicle import Chronicle
from memguard.agent.guard_link import GuardLink
from memguard.agent.orders import attend
from memguard.agent.plan import Sources
from memguard.agent.plan_store import PlanStore
from memguard.agent.planner import Planner
from memguard.agent.roster import Roster
from memguard.core.advice import Advice
from memguard.core.link import Order

TICK_SECONDS = 1.0
#: Pods come and go often, and each time is a write to the disk.
KEEP_SECONDS = 5.0
#: Between two plans that only other namespaces of pods ask for; a policy must reach the guard sooner.
REMAKE_SECONDS = 2.0


class Clerk:
    """Plan, names, orders, the passing of time. `run` it in a thread of its own, `stop` ends it.

    `advised` says that what the plan is made of may be another, `peopled` that the pods are. `sources`, for pods of
    these namespaces, gives None while not all of it is known.
    """

    def __init__(
        self,
        planner: Planner,
        census: Census,
        link: GuardLink,
        chronicle: Chronicle,
        store: PlanStore,
        *,
        sources: Callable[[frozenset[str]], Sources | None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        done: Callable[[], None],
    ) -> None:
        self._sources, self._planner, self._census, self._link = sources, planner, census, link
        self._chronicle, self._store = chronicle, store
        self._now, self._clock, self._done = now, clock, done
        self._changed = threading.Event()
        self._stopped = False
        self._kept: Roster | None = census.roster
        self._kept_at = float("-inf")
        self._given: tuple[Order, ...] = ()
        self._advice: Advice | None = None
        self._stale = True
        self._made_for: frozenset[str] | None = None
        self._made_at = float("-inf")

    def advised(self) -> None:
        """Policies, Node or advice may be others."""
        self._stale = True
        self._changed.set()

    def peopled(self) -> None:
        """Other pods are here."""
        self._changed.set()

    def stop(self) -> None:
        """End soon."""
        self._stopped = True
        self._changed.set()

    def run(self) -> None:
        """Look after it all until stopped."""
        while not self._stopped:
            self._changed.wait(TICK_SECONDS)
            self._changed.clear()
            self.tick()
        self._keep_roster()

    def tick(self) -> None:
        """Once. A container is told of after the plan that knows its namespace: before, the guard leaves it alone."""
        roster = self._census.roster
        if roster is not None and roster.listed:
            if self._due(roster.namespaces):
                self._plan(roster.namespaces)
            if self._planner.current and self._made_for is not None and roster.namespaces <= self._made_for:
                self._link.tell(roster=roster)
            if self._advice is not None:
                self._attend(self._advice)
        self._chronicle.pass_time(self._now().timestamp())
        if self._clock() - self._kept_at >= KEEP_SECONDS:
            self._keep_roster()
        self._done()

    def _due(self, namespaces: frozenset[str]) -> bool:
        """Is another plan to be made?"""
        late = self._clock() - self._made_at >= REMAKE_SECONDS
        return self._stale or (late and namespaces != self._made_for)

    def _plan(self, namespaces: frozenset[str]) -> None:
        self._stale = False  # before they are asked for: what changes meanwhile asks again
        sources = self._sources(namespaces)
        if sources is None:
            self._stale = True
            return
        self._planner.remake(sources)
        self._made_for, self._made_at, self._advice = namespaces, self._clock(), sources.advice

    def _attend(self, advice: Advice) -> None:
        """The orders that are open, to the guard; those that it need not see are answered."""
        given, answers = attend(
            advice,
            self._chronicle.ledger.answers,
            self._census.runs,
            self._now(),
            given={order.id for order in self._given},
            settled=self._link.presence.settled,
        )
        if given != self._given:
            self._given = given
            self._link.order(given)
        self._chronicle.answered(answers)

    def _keep_roster(self) -> None:
        roster = self._census.roster
        if roster is not None and roster is not self._kept and roster.listed:
            self._store.keep_roster(roster)
            self._kept = roster
        self._kept_at = self._clock()
