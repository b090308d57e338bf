"""All decisions of the cluster, as they are recorded: what was spent, what is under way, and what has had its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from memguard.controller.resources import DECISIONS, RecordedDecision
from memguard.core.cluster_budget import End
from memguard.core.fairness import Share
from memguard.core.model import Record
from memguard.core.retention import Kept, outdated
from memguard.kube.client import Client
from memguard.kube.resources import Selection
from memguard.kube.store import Change
from memguard.kube.watch import Watcher

ENDS = ("kill", "terminate", "evict")
#: What the operator itself decided, by the trigger: a report that looks bad, restarts in place that are of no use.
FORESIGHT, STORM = "report", "storm"
#: Nothing that is asked of the past reaches further back.
HOUR_SECONDS = 3600.0


class Keep(Record, frozen=True, kw_only=True):
    """How long records stay."""

    days: float = 7.0
    count: int = 5000


class Archive:
    """`told` hears of each record that is new or has changed."""

    def __init__(self, client: Client, told: Callable[[RecordedDecision], None]) -> None:
        self.watcher = Watcher(client, Selection(DECISIONS), self._changed)
        self._told = told
        self._ends: tuple[End, ...] = ()

    def _changed(self, change: Change[RecordedDecision]) -> None:
        self._ends = tuple(map(_end, filter(_ended, self.watcher.objects().values())))
        for one in change.upserted:
            self._told(one)

    def all(self) -> tuple[RecordedDecision, ...]:
        """Every record that can be read."""
        return tuple(self.watcher.objects().values())

    def ends(self, now: float) -> tuple[End, ...]:
        """What was ended lately, all over the cluster."""
        return tuple(end for end in self._ends if now - end.at < HOUR_SECONDS)

    def evictions_under_way(self) -> Iterator[RecordedDecision]:
        """Those that we wrote, and of which it was not written what became of them."""
        return (
            one
            for one in self.all()
            if one.spec.trigger in (FORESIGHT, STORM)
            and one.spec.action == "evict"
            and one.spec.mode == "Enforce"
            and one.status.phase in (None, "Acted")
        )

    def outdated(self, now: datetime, keep: Keep) -> tuple[Kept, ...]:
        """What has had its time."""
        kept = (
            Kept(
                namespace=one.metadata.namespace,
                name=one.metadata.name,
                at=one.spec.taken_at,
                open=one.status.phase == "Acted",
            )
            for one in self.all()
        )
        return outdated(kept, now, age=timedelta(days=keep.days), count=keep.count)

    def shares(self) -> Iterator[tuple[Share, ...]]:
        """Each decision that was carried out, as core/fairness looks at it."""
        return (_shares(one) for one in self.all() if _ended(one))


def _ended(one: RecordedDecision) -> bool:
    return one.spec.mode == "Enforce" and one.spec.action in ENDS


def _end(one: RecordedDecision) -> End:
    victim = one.spec.victim
    return End(
        at=one.spec.taken_at.timestamp(),
        workload=victim.workload,
        namespace=victim.namespace,
        node=one.spec.node,
        in_place=one.spec.action != "evict",
    )


def _shares(one: RecordedDecision) -> tuple[Share, ...]:
    return tuple(
        Share(
            groups=(
                f"namespace/{candidate.title.partition('/')[0]}",
                f"qos/{candidate.qos or 'unknown'}",
                f"owner/{candidate.owner_kind or 'none'}",
            ),
            held_bytes=candidate.freed_bytes,
            ended=candidate.id == one.spec.victim.id,
        )
        for candidate in one.spec.candidates
    )
