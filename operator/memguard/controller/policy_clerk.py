"""Keeps the status of every policy true: at once after a change of the policies, and once a minute for the figures."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from memguard.api.meta import Condition, updated
from memguard.api.policies import (
    ClusterMemoryGuardPolicyStatus,
    LastDecision,
    MemoryGuardPolicyStatus,
    PolicyScorecard,
)
from memguard.api.wire import body
from memguard.controller.archive import Archive
from memguard.controller.fleet import Fleet
from memguard.controller.policy_book import PolicyBook
from memguard.controller.policy_status import Known, clusters_status, tenants_status
from memguard.controller.resources import RecordedDecision
from memguard.core.compile import DEFAULT, Compiled, compile_plan
from memguard.core.model import UNREADABLE, Record, unread
from memguard.core.notes import Note, title_of
from memguard.core.policy import Plan
from memguard.core.scorecard import Tally, together
from memguard.errors import KubeError, NotFoundError
from memguard.kube.client import Client
from memguard.kube.codec import Broken, Found
from memguard.kube.identities import identities
from memguard.kube.objects import Node
from memguard.kube.resources import PODS, Resource, Selection
from memguard.service.policies import named
from memguard.service.resources import CLUSTER_POLICIES, POLICIES

REFRESH_SECONDS = 60.0
#: After a failure.
AGAIN_SECONDS = 5.0
#: Between two looks, however often policies change: each costs a compilation and lists of pods.
PAUSE_SECONDS = 1.0
#: The figures of so many namespaces are counted anew each minute: each is a list of its pods.
MOST_COUNTED = 50

Item = Found[Any] | Broken


class _Status(Record, frozen=True, kw_only=True):
    """What of a status is read again."""

    conditions: tuple[Condition, ...] = ()


class PolicyClerk:
    """`run` it in a thread of its own; `poke` says that policies changed. It writes only while `leading`."""

    def __init__(
        self,
        client: Client,
        book: PolicyBook,
        fleet: Fleet,
        archive: Archive,
        *,
        leading: Callable[[], bool],
        now: Callable[[], datetime],
        trouble: Callable[[str], None],
    ) -> None:
        self._client, self._book, self._fleet, self._archive = client, book, fleet, archive
        self._leading, self._now, self._trouble = leading, now, trouble
        self._poked, self._stopped = threading.Event(), threading.Event()
        self._written: dict[str, dict[str, Any]] = {}
        self._turn = 0

    def poke(self) -> None:
        """Look at once."""
        self._poked.set()

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()
        self._poked.set()

    def run(self) -> None:
        """Keep them true until stopped."""
        while not self._stopped.is_set():
            self._poked.clear()
            ok = not self._leading() or self.settle()
            if not self._leading():
                self._written.clear()  # whoever leads meanwhile writes
            self._stopped.wait(PAUSE_SECONDS)
            self._poked.wait(REFRESH_SECONDS if ok else AGAIN_SECONDS)

    def settle(self) -> bool:
        """Bring every status up to date; was there no failure?"""
        if not self._book.fresh:
            return False
        ok = True
        rulings = self._rulings()
        notes = _by_policy(note for _, compiled in rulings.values() for note in compiled.notes)
        last, tallies = self._last(), self._tallies()
        counted = self._counted(rulings)
        for item in self._book.clusters():
            title = title_of("", item.name)
            nodes = self._halted_by(item) or (rulings[item.name][0] if item.name in rulings else ())
            containers = sum(one.status.containers for node in nodes if (one := self._fleet.report(node.metadata.name)))
            known = Known(_generation(item), containers, len(nodes), last.get(title), tallies.get(title))
            ok &= self._write(CLUSTER_POLICIES, item, clusters_status(notes.get(title, ()), known, self._now()))
        for item in _in_turn(self._book.tenants()):
            title = title_of(item.namespace, item.name)
            known = Known(_generation(item), counted.get(title), None, last.get(title), tallies.get(title))
            ok &= self._write(POLICIES, item, tenants_status(notes.get(title, ()), known, self._now()))
        there = {one.uid for one in (*self._book.tenants(), *self._book.clusters())}
        self._written = {uid: status for uid, status in self._written.items() if uid in there}
        return ok

    def _halted_by(self, item: Item) -> tuple[Node, ...]:
        """The nodes on which its emergency stop counts."""
        spec = None if isinstance(item, Broken) else item.object.spec
        nodes = self._fleet.nodes.objects().values()
        return tuple(node for node in nodes if spec is not None and spec.stops(node.metadata.labels))

    def _rulings(self) -> dict[str, tuple[tuple[Node, ...], Compiled]]:
        """By the cluster's policy: the nodes on which it counts, and what the policies come to there."""
        clusters, tenants = named(self._book.clusters()), named(self._book.tenants())
        nodes: dict[str, list[Node]] = {}
        by_labels: dict[frozenset[tuple[str, str]], str] = {}
        for node in self._fleet.nodes.objects().values():
            labels = frozenset(node.metadata.labels.items())
            if labels not in by_labels:
                by_labels[labels] = compile_plan(clusters, (), node.metadata.labels).cluster
            nodes.setdefault(by_labels[labels], []).append(node)
        found = {
            name: (tuple(alike), compile_plan(clusters, tenants, alike[0].metadata.labels))
            for name, alike in nodes.items()
        }
        return found or {DEFAULT: ((), compile_plan(clusters, tenants, {}))}

    def _counted(self, rulings: dict[str, tuple[tuple[Node, ...], Compiled]]) -> dict[str, int]:
        """How many containers each tenant's policy treats; a part of the namespaces at a time, where there are many."""
        plans = {node.metadata.name: one.plan for nodes, one in rulings.values() for node in nodes}
        namespaces = sorted({item.namespace for item in self._book.tenants()})
        start = self._turn * MOST_COUNTED % max(1, len(namespaces))
        self._turn += 1
        counts: Counter[str] = Counter()
        for namespace in [*namespaces[start:], *namespaces[:start]][:MOST_COUNTED]:
            try:
                counts.update(self._matched(namespace, plans))
            except KubeError as error:
                self._trouble(str(error))
                continue
            counts.update(
                {title_of(item.namespace, item.name): 0 for item in self._book.tenants() if item.namespace == namespace}
            )
        return dict(counts)

    def _matched(self, namespace: str, plans: dict[str, Plan]) -> Iterator[str]:
        for pod in self._client.list_all(Selection(PODS, namespace)).objects:
            plan = plans.get(pod.spec.node_name)
            if plan is not None:
                yield from (plan.rule_for(unread(one)).policy for one in identities(pod))

    def _last(self) -> dict[str, LastDecision]:
        latest: dict[str, RecordedDecision] = {}
        for one in self._archive.all():
            known = latest.get(one.spec.policy)
            if known is None or one.spec.taken_at > known.spec.taken_at:
                latest[one.spec.policy] = one
        return {title: _last_decision(one) for title, one in latest.items()}

    def _tallies(self) -> dict[str, PolicyScorecard]:
        """Of all nodes' scorecards, by policy."""
        found: dict[str, Tally] = {}
        for one in self._fleet.reports.objects().values():
            for tally in one.status.scorecard.policies if one.status.scorecard else ():
                found[tally.policy] = together((found.get(tally.policy, Tally()), tally))
        return {title: PolicyScorecard(**msgspec.structs.asdict(tally)) for title, tally in found.items()}

    def _write(
        self, resource: Resource[Any], item: Item, status: MemoryGuardPolicyStatus | ClusterMemoryGuardPolicyStatus
    ) -> bool:
        """Where it says something else than was written before."""
        before = self._written.get(item.uid)
        try:
            known = self._conditions(resource, item) if before is None else msgspec.convert(before, _Status).conditions
            found = msgspec.structs.replace(status, conditions=updated(known, status.conditions))
            wanted = (before or {}) | body(found)  # what is not counted in this turn stands as it was
            if wanted != before:
                self._client.merge_patch(
                    resource, item.name, {"status": wanted}, item.namespace or None, subresource="status"
                )
        except NotFoundError:
            self._written.pop(item.uid, None)
            return True
        except KubeError as error:
            self._trouble(str(error))
            return False
        self._written[item.uid] = wanted
        return True

    def _conditions(self, resource: Resource[Any], item: Item) -> tuple[Condition, ...]:
        """Those that stood there before we began: since when a condition holds is part of it."""
        kept = self._client.get(_with_status(resource), item.name, item.namespace or None)
        try:
            return msgspec.json.decode(kept.status, type=_Status).conditions
        except UNREADABLE:
            return ()


class _Kept(Record, frozen=True, kw_only=True):
    status: msgspec.Raw = msgspec.Raw(b"{}")


def _with_status(resource: Resource[Any]) -> Resource[_Kept]:
    return msgspec.structs.replace(resource, type=_Kept)


def _in_turn(items: Iterable[Item]) -> list[Item]:
    """One of each namespace, then another of each: whoever has thousands keeps only itself waiting (30 a second)."""
    place: Counter[str] = Counter()

    def turn(item: Item) -> int:
        place[item.namespace] += 1
        return place[item.namespace]

    return sorted(items, key=turn)


def _generation(item: Item) -> int:
    return 0 if isinstance(item, Broken) else int(item.object.metadata.generation)


def _by_policy(notes: Iterable[Note]) -> dict[str, tuple[Note, ...]]:
    """Each told once, however many nodes it is true of."""
    found: dict[str, dict[Note, None]] = {}
    for note in notes:
        found.setdefault(note.policy, {})[note] = None
    return {policy: tuple(some) for policy, some in found.items()}


def _last_decision(one: RecordedDecision) -> LastDecision:
    victim = one.spec.victim
    return LastDecision(
        name=one.metadata.name,
        namespace=one.metadata.namespace,
        at=one.spec.taken_at,
        action=one.spec.action,
        mode=one.spec.mode,
        victim=f"{victim.namespace}/{victim.pod}/{victim.name}",
    )
