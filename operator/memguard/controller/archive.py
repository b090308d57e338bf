"""All decisions of the cluster, as they are recorded: what was spent, what is under way, and what has had its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from memguard.controller.resources import DECISIONS, RecordedDecision
from memguard.core.cluster_budget import End, weary
from memguard.core.decision import ENDS
from memguard.core.fairness import Share, share
from memguard.core.model import Record
from memguard.core.policies import LONGEST_WINDOW_SECONDS
from memguard.core.retention import Kept, outdated
from memguard.kube.client import Client
from memguard.kube.codec import Key
from memguard.kube.resources import Selection
from memguard.kube.store import Change
from memguard.kube.watch import Watcher

#: The triggers of what the operator itself decided: a report that looks bad, restarts in place that are of no use.
BY_REPORT, BY_STORM = "report", "storm"
#: ... and of what a guard did at its order.
BY_ORDER = "order"
IN_PLACE = ("kill", "terminate")
#: What was claimed is recorded by then, or was not done.
CLAIM_SECONDS = 90.0


class Keep(Record, frozen=True, kw_only=True):
    """How long records stay."""

    days: float
    count: int


class Archive:
    """`told` hears of each record that is new or has changed."""

    def __init__(self, client: Client, told: Callable[[RecordedDecision], None]) -> None:
        self.watcher = Watcher(client, Selection(DECISIONS), self._changed)
        self._told = told
        self._lock = threading.Lock()
        self._ends: dict[Key, End] = {}
        self._claims: dict[Key, End] = {}

    def _changed(self, change: Change[RecordedDecision]) -> None:
        with self._lock:
            for one in change.upserted:
                self._take(one)
        for one in change.upserted:
            self._told(one)

    def _take(self, one: RecordedDecision) -> None:
        if ended(one):
            self._ends[_key(one)] = _end(one)
        else:
            self._ends.pop(_key(one), None)

    def all(self) -> tuple[RecordedDecision, ...]:
        """Every record that can be read."""
        return tuple(self.watcher.objects().values())

    def ends(self, now: float) -> tuple[End, ...]:
        """What was ended lately, all over the cluster."""
        with self._lock:
            return tuple(end for end in self._ends.values() if _counts(end.at, now))

    def claim(self, key: Key, end: End, refusal: Callable[[Iterable[End]], str | None]) -> str | None:
        """Count what is about to be done under this key as done, unless `refusal` minds what all others did; why not.

        A hundred nodes may ask within the second that it takes until the first record comes back.
        """
        with self._lock:
            self._claims = {one: claim for one, claim in self._claims.items() if end.at - claim.at < CLAIM_SECONDS}
            # A record that is used again has the date of the first try.
            others = self._claims | {
                one: spent
                for one, spent in self._ends.items()
                if one not in self._claims or spent.at > self._claims[one].at
            }
            others.pop(key, None)
            why_not = refusal(spent for spent in others.values() if _counts(spent.at, end.at))
            if why_not is None:
                self._claims[key] = end
            return why_not

    def release(self, key: Key) -> None:
        """It was not done after all, or its own record is about to come."""
        with self._lock:
            self._claims.pop(key, None)

    def tired(self, node: str, now: float) -> tuple[RecordedDecision, ...]:
        """The last end of each workload that was ended in place on this node again and again."""
        own = tuple(end for end in self.ends(now) if end.node == node)
        names = {end.workload for end in own if weary(own, end.workload, node, now)}
        if not names:
            return ()
        there = (one for one in self.all() if ended(one) and one.spec.action in IN_PLACE and one.spec.node == node)
        latest = {one.spec.victim.workload: one for one in sorted(there, key=lambda one: one.spec.taken_at)}
        return tuple(latest[name] for name in sorted(names) if name in latest)

    def evictions_under_way(self) -> Iterator[RecordedDecision]:
        """Those that we wrote, and of which it was not written what became of them."""
        return (
            one
            for one in self.all()
            if one.spec.trigger in (BY_REPORT, BY_STORM)
            and one.spec.action == "evict"
            and one.spec.mode == "Enforce"
            and one.status.phase in (None, "Acted")
        )

    def outdated(self, now: datetime, keep: Keep) -> tuple[Kept, ...]:
        """What has had its time; an end that budgets may still count goes only where there are too many records."""
        with self._lock:  # that they were is remembered longer
            self._ends = {key: end for key, end in self._ends.items() if _counts(end.at, now.timestamp())}
        everything = {_kept(one): ended(one) and _counts(one.at.timestamp(), now.timestamp()) for one in self.all()}
        old = outdated((one for one, counts in everything.items() if not counts), now, age=timedelta(days=keep.days))
        many = outdated(everything, now, count=keep.count)
        return tuple(dict.fromkeys((*old, *many)))

    def shares(self) -> Iterator[tuple[Share, ...]]:
        """Each decision that was carried out, as core/fairness looks at it."""
        return (shares(one) for one in self.all() if ended(one))


def _counts(at: float, now: float) -> bool:
    """May a budget still count what was ended then?"""
    return now - at < LONGEST_WINDOW_SECONDS


def _kept(one: RecordedDecision) -> Kept:
    return Kept(namespace=one.metadata.namespace, name=one.metadata.name, at=one.at, open=one.status.phase == "Acted")


def _key(one: RecordedDecision) -> Key:
    return one.metadata.namespace, one.metadata.name


def ended(one: RecordedDecision) -> bool:
    """Did it end something?"""
    return one.enforced and one.spec.action in ENDS


def _end(one: RecordedDecision) -> End:
    victim = one.spec.victim
    return End(
        at=one.at.timestamp(),
        workload=victim.workload,
        namespace=victim.namespace,
        node=one.spec.node,
        in_place=one.spec.action != "evict",
        ordered=one.spec.trigger in (BY_REPORT, BY_STORM, BY_ORDER),
    )


def shares(one: RecordedDecision) -> tuple[Share, ...]:
    """Who held what when it was decided, as core/fairness looks at it."""
    return tuple(
        share(beside.title, beside.qos, beside.owner_kind, beside.freed_bytes, ended=beside.id == one.spec.victim.id)
        for beside in one.spec.candidates
    )
