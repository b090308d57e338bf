"""What of each PodDisruptionBudget is lent to which node: never more, to all of them, than the budget has to spare.

A loan stands in the node's NodeMemory with its end, so whoever leads next knows of it; until its end nobody else may
spend it. A workload that has a budget and got no loan may not be disrupted on that node, which a loan of 0 says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from memguard.controller.resources import ReportedNode
from memguard.core.advice import LentDisruptions
from memguard.core.model import Container, Identity, unread
from memguard.core.policy import workload
from memguard.core.selector import LabelSelector
from memguard.kube.client import Client
from memguard.kube.objects import PodDisruptionBudget
from memguard.kube.resources import DISRUPTION_BUDGETS, Selection

#: Long enough for a node in trouble, short enough to be lent to another soon.
LOAN = timedelta(seconds=60)
#: With less than this left it is given anew, if the node still needs it.
RENEW = timedelta(seconds=20)


class Lender:
    """`reports`: the NodeMemories in which loans stand. Any thread may ask."""

    def __init__(self, client: Client, reports: Callable[[], Iterable[ReportedNode]]) -> None:
        self._client, self._reports = client, reports
        self._lock = threading.Lock()
        self._given: dict[tuple[str, str], LentDisruptions] = {}
        self._without: dict[str, datetime] = {}
        self._used: set[tuple[str, str]] = set()
        self._asking: dict[str, dict[str, datetime]] = {}

    def loans(
        self, node: str, known: Iterable[Identity], before: Mapping[str, LentDisruptions], now: datetime
    ) -> dict[str, LentDisruptions]:
        """What this node has from now on, by workload; as before where that still holds. Raises KubeError."""
        needed = {workload(unread(one)): one for one in known if one.namespace and one.labels is not None}
        with self._lock:
            fresh = {
                key: loan
                for key, loan in before.items()
                if key in needed and loan.until - now > RENEW and (node, key) not in self._used
            }
            # Most have none: they are not asked for again each time.
            self._without = {key: until for key, until in self._without.items() if until > now}
            missing = {key: one for key, one in needed.items() if key not in fresh and key not in self._without}
        if not missing:
            return dict(before)
        budgets = self._budgets({one.namespace or "" for one in missing.values()})
        with self._lock:  # not while the server is asked: evictions wait for it
            lent = self._lent(now)
            for key, one in missing.items():
                budget = next((budget for budget in budgets if _is_for(budget, one)), None)
                if budget is None:
                    self._without[key] = now + RENEW
                else:
                    fresh[key] = lent[node, key] = self._lend(node, key, budget, lent, now)
        return fresh

    def _budgets(self, namespaces: Iterable[str]) -> list[PodDisruptionBudget]:
        return [
            budget
            for namespace in sorted(namespaces)
            for budget in self._client.list_all(Selection(DISRUPTION_BUDGETS, namespace)).objects
        ]

    def _lent(self, now: datetime) -> dict[tuple[str, str], LentDisruptions]:
        """By node and workload: what we gave, which reports may not show yet, and what whoever led before us did."""
        self._given = {place: loan for place, loan in self._given.items() if loan.until > now}
        standing = {
            (one.metadata.name, key): loan
            for one in self._reports()
            for key, loan in one.spec.disruptions.items()
            if loan.until > now
        }
        return standing | self._given

    def _lend(
        self,
        node: str,
        key: str,
        budget: PodDisruptionBudget,
        lent: Mapping[tuple[str, str], LentDisruptions],
        now: datetime,
    ) -> LentDisruptions:
        """One at most: who needs a second asks again."""
        title = _title(budget)
        elsewhere = _elsewhere(lent, title, (node, key))
        count = int(budget.status.disruptions_allowed > elsewhere and not self._to_pass_on(node, key, title, lent, now))
        if not count:
            self._asking.setdefault(title, {})[node] = now + LOAN + RENEW
        loan = LentDisruptions(count=count, since=now, until=now + LOAN, budget=title)
        self._given[node, key] = loan
        self._used.discard((node, key))
        return loan

    def _to_pass_on(
        self, node: str, key: str, title: str, lent: Mapping[tuple[str, str], LentDisruptions], now: datetime
    ) -> bool:
        """Has this node had it for a term, and does another wait for it?"""
        asking = {one: until for one, until in self._asking.pop(title, {}).items() if until > now and one != node}
        had = (node, key) in lent and lent[node, key].count > 0
        if asking and not had:
            self._asking[title] = asking
        return had and bool(asking)

    def spares(self, node: str, one: Container, now: datetime) -> bool:
        """May a pod of this node be evicted, with what is lent to others? Raises KubeError."""
        place = node, workload(one)
        with self._lock:
            lent = self._lent(now)
        if not any(key == place[1] and where != node and loan.count for (where, key), loan in lent.items()):
            return True
        budget = next((budget for budget in self._budgets({one.namespace or ""}) if _is_for(budget, one)), None)
        return budget is None or budget.status.disruptions_allowed > _elsewhere(lent, _title(budget), place)

    def spent(self, node: str, one: Container) -> None:
        """A pod of this node was evicted: what was lent to it is to be counted anew."""
        place = node, workload(one)
        with self._lock:
            if place in self._given:
                self._used.add(place)


def _title(budget: PodDisruptionBudget) -> str:
    return f"{budget.metadata.namespace}/{budget.metadata.name}"


def _elsewhere(lent: Mapping[tuple[str, str], LentDisruptions], title: str, place: tuple[str, str]) -> int:
    """What of this budget is lent to others than this node's workload."""
    return sum(loan.count for other, loan in lent.items() if loan.budget == title and other != place)


def _is_for(budget: PodDisruptionBudget, one: Identity | Container) -> bool:
    selector = budget.spec.selector
    if selector is None or budget.metadata.namespace != one.namespace:
        return False
    try:
        ours = msgspec.convert(selector, LabelSelector)
    except msgspec.ValidationError:  # a selector that we do not understand is taken to be for everybody
        return True
    return ours.selects(one.labels or {})
