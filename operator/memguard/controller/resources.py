"""What the operator reads: of each kind only what it needs, since there may be 5,000 of them."""

from __future__ import annotations

from datetime import datetime

from memguard.api.decision import Phase
from memguard.api.definitions import DECISION, NODE_MEMORY
from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeScorecard, OrderAnswer, TopContainer
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.decision import carried_out
from memguard.core.model import Level, Moment, Qos, Record
from memguard.core.policy import Action, Mode
from memguard.core.scorecard import Verdict
from memguard.service.resources import resource_of


class Report(Record, frozen=True, kw_only=True):
    """Of a NodeMemory's status."""

    observed_at: Moment | None = None
    level: Level = "Calm"
    mode: Mode = "Observe"
    total_bytes: int = 0
    available_bytes: int = 0
    reserve_bytes: int = 0
    exhaustion_seconds: float | None = None
    containers: int = 0
    kernel_oom_kills: int = 0
    top: tuple[TopContainer, ...] = ()
    orders: tuple[OrderAnswer, ...] = ()
    scorecard: NodeScorecard | None = None


class ReportedNode(Record, frozen=True, kw_only=True):
    """A NodeMemory: what we told the node, and what its agent says."""

    metadata: ObjectMeta
    spec: Advice = NO_ADVICE
    status: Report = Report()


class RecordedVictim(Record, frozen=True, kw_only=True):
    """Who was chosen."""

    id: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    name: str = ""
    workload: str = ""


class RecordedCandidate(Record, frozen=True, kw_only=True):
    """Who stood beside it."""

    id: str
    title: str = ""
    freed_bytes: int = 0
    growth_ratio: float = 0.0
    qos: Qos | None = None
    owner_kind: str | None = None


class RecordedSpec(Record, frozen=True, kw_only=True):
    """What was decided."""

    node: str
    taken_at: Moment
    mode: Mode
    action: Action
    trigger: str = ""
    domain: str = ""
    victim: RecordedVictim = RecordedVictim()
    policy: str = ""
    available_bytes: int = 0
    expected_bytes: int = 0
    candidates: tuple[RecordedCandidate, ...] = ()


class RecordedStatus(Record, frozen=True, kw_only=True):
    """What became of it."""

    phase: Phase | None = None
    freed_bytes: int | None = None
    verdict: Verdict | None = None


class RecordedDecision(Record, frozen=True, kw_only=True):
    """A MemoryGuardDecision."""

    metadata: ObjectMeta
    spec: RecordedSpec
    status: RecordedStatus = RecordedStatus()

    @property
    def at(self) -> datetime:
        """When: by the node's clock, if that is not ahead of the server's."""
        taken_at, created_at = self.spec.taken_at, self.metadata.creation_timestamp
        return taken_at if created_at is None else min(taken_at, created_at)

    @property
    def enforced(self) -> bool:
        """Was it done?"""
        return carried_out(self.spec.mode, self.status.phase, self.status.freed_bytes)


NODE_MEMORIES = resource_of(NODE_MEMORY, ReportedNode)
DECISIONS = resource_of(DECISION, RecordedDecision)
