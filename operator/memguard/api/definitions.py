"""How each kind is called and shown, and what the API server checks in it beyond types: as the CRDs say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from memguard.api.decision import MemoryGuardDecision, MemoryGuardDecisionSpec
from memguard.api.node_memory import NodeMemory
from memguard.api.policies import ClusterMemoryGuardPolicy, MemoryGuardPolicy
from memguard.core.model import Record
from memguard.core.policies import AdjustmentRange, Notify, Treatment
from memguard.core.policy import RuleBudget
from memguard.core.selector import Requirement


class Check(Record, frozen=True, kw_only=True):
    """A CEL expression that must be true of `self`, and the sentence for who breaks it."""

    rule: str
    message: str
    field_path: str = ""


class Column(Record, frozen=True, kw_only=True):
    """A column of `kubectl get`; those of priority 1 are shown with `-o wide`."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    priority: int = 0


class Definition(Record, frozen=True, kw_only=True):
    """A kind. `selectable`: fields that a field selector may name."""

    kind: type[msgspec.Struct]
    plural: str
    short: str
    namespaced: bool
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()


#: What every object must fulfil in which a type stands; a type's checks are also those of the types made of it.
CHECKS: Mapping[type[msgspec.Struct], tuple[Check, ...]] = {
    Requirement: (
        Check(
            rule="self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : size(self.values) == 0",
            message="In and NotIn need values, Exists and DoesNotExist take none",
            field_path=".values",
        ),
    ),
    Notify: (
        Check(
            rule="!has(self.directory) || self.directory.startsWith('/')",
            message="must be an absolute path inside the container, like /run/app",
            field_path=".directory",
        ),
    ),
    Treatment: (
        Check(
            rule="self.stop.graceMilliseconds == 0 || 'terminate' in self.actions",
            message="stop.graceMilliseconds needs the action terminate: without it there is no stop signal",
            field_path=".actions",
        ),
        Check(
            rule="!('terminate' in self.actions) || 'kill' in self.actions",
            message="the action terminate needs kill as well: it is what follows when the container does not end",
            field_path=".actions",
        ),
        Check(
            rule="!self.limit.guard || 'brake' in self.actions",
            message="limit.guard needs the action brake: the line under the limit slows down who crosses it",
            field_path=".actions",
        ),
        Check(
            rule="!has(self.limit.maximum) || 'resize' in self.actions",
            message="limit.maximum needs the action resize",
            field_path=".actions",
        ),
        Check(
            rule="!(has(self.notify.signal) || has(self.notify.directory)) || 'notify' in self.actions",
            message="notify needs the action notify",
            field_path=".actions",
        ),
    ),
    RuleBudget: (
        Check(
            rule="!has(self.perContainer) || !has(self.perNamespace) || self.perContainer <= self.perNamespace",
            message="perContainer must not be above perNamespace, which holds it",
            field_path=".perContainer",
        ),
    ),
    AdjustmentRange: (Check(rule="self.min <= self.max", message="min must not be above max", field_path=".min"),),
    MemoryGuardDecision: (
        Check(rule="self.metadata.name == self.spec.id", message="a decision is named after its spec.id"),
    ),
    MemoryGuardDecisionSpec: (
        Check(rule="self == oldSelf", message="a decision is a record: it is written once and never changed"),
    ),
}

AGE = Column(name="Age", type="date", path=".metadata.creationTimestamp", description="Since when it is there.")


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


POLICY = Definition(
    kind=MemoryGuardPolicy,
    plural="memoryguardpolicies",
    short="mgp",
    namespaced=True,
    columns=(
        Column(name="Mode", path=".spec.mode", description="Observe or Enforce."),
        Column(name="Precedence", type="integer", path=".spec.precedence", description="The highest comes first."),
        Column(
            name="Matched",
            type="integer",
            path=".status.matchedContainers",
            description="How many containers are treated by it.",
        ),
        Column(name="Ready", path=_condition("Ready"), description="Is it understood and in force?"),
        Column(name="Clipped", path=_condition("Clipped"), description="Is a field beyond the guard-rails?"),
        Column(name="Last", type="date", path=".status.lastDecision.at", description="Since its last decision."),
        AGE,
        Column(
            name="Adjustment",
            type="integer",
            path=".spec.adjustment",
            description="Points added to scores.",
            priority=1,
        ),
        Column(name="Protected", type="boolean", path=".spec.protected", description="Never ended.", priority=1),
        Column(
            name="Victim", path=".status.lastDecision.victim", description="Whom its last decision met.", priority=1
        ),
    ),
)

CLUSTER_POLICY = Definition(
    kind=ClusterMemoryGuardPolicy,
    plural="clustermemoryguardpolicies",
    short="cmgp",
    namespaced=False,
    columns=(
        Column(name="Mode", path=".spec.defaults.mode", description="Where no tenant's policy speaks."),
        Column(name="Tenants", type="boolean", path=".spec.tenants.enforce", description="May tenants enforce?"),
        Column(name="Precedence", type="integer", path=".spec.precedence", description="The highest comes first."),
        Column(name="Nodes", type="integer", path=".status.matchedNodes", description="On how many nodes it counts."),
        Column(name="Ready", path=_condition("Ready"), description="Is it understood and in force?"),
        Column(name="Last", type="date", path=".status.lastDecision.at", description="Since its last decision."),
        AGE,
        Column(
            name="Matched",
            type="integer",
            path=".status.matchedContainers",
            description="How many containers are treated by its defaults.",
            priority=1,
        ),
    ),
)

NODE_MEMORY = Definition(
    kind=NodeMemory,
    plural="nodememories",
    short="nmem",
    namespaced=False,
    columns=(
        Column(name="Level", path=".status.level", description="Calm, Tight or Critical."),
        Column(name="Pressure", type="number", path=".status.pressure", description="0 to 1."),
        Column(name="Headroom", path=".status.headroom", description="What is left above the nearest reserve."),
        Column(name="Mode", path=".status.mode", description="May anything be ended here?"),
        Column(name="Ready", path=_condition("Ready"), description="Does the guard report, and has it a plan?"),
        Column(name="Fit", path=_condition("Fit"), description="Can the node be guarded?"),
        Column(name="Seen", type="date", path=".status.observedAt", description="Since the guard's last look."),
        Column(name="Worst", path=".status.top[0].pod", description="The pod that is nearest to being chosen."),
        Column(name="Score", type="integer", path=".status.top[0].score", description="Its score.", priority=1),
        Column(name="Policy", path=".status.plan.policy", description="The cluster's policy.", priority=1),
        Column(name="Plan", path=".status.plan.version", description="A hash of the plan.", priority=1),
        Column(name="Hits", type="integer", path=".status.scorecard.hits", description="Rightly foreseen.", priority=1),
        Column(
            name="False",
            type="integer",
            path=".status.scorecard.falseAlarms",
            description="Foreseen, and did not come.",
            priority=1,
        ),
        Column(name="Missed", type="integer", path=".status.scorecard.misses", description="Not foreseen.", priority=1),
    ),
)

DECISION = Definition(
    kind=MemoryGuardDecision,
    plural="memoryguarddecisions",
    short="mgd",
    namespaced=True,
    columns=(
        Column(name="Pod", path=".spec.victim.pod", description="The victim's pod."),
        Column(name="Container", path=".spec.victim.name", description="The victim's name in it."),
        Column(name="Action", path=".spec.action", description="What was done, or would have been."),
        Column(name="Mode", path=".spec.mode", description="Enforce: it was done."),
        Column(name="Phase", path=".status.phase", description="What became of it."),
        Column(name="Freed", path=".status.freed", description="What came back."),
        Column(name="Why", path=".spec.summary", description="The reason in a few words."),
        AGE,
        Column(name="Node", path=".spec.node", description="Where.", priority=1),
        Column(name="Score", type="integer", path=".spec.score", description="The victim's score.", priority=1),
        Column(name="Seconds", type="number", path=".status.seconds", description="Until it was gone.", priority=1),
        Column(name="Verdict", path=".status.verdict", description="What observing was worth.", priority=1),
        Column(name="Policy", path=".spec.policy", description="Under which policy.", priority=1),
        Column(name="Reason", path=".spec.reason", description="The reason in a sentence.", priority=1),
    ),
    selectable=(".spec.node", ".spec.mode", ".spec.victim.pod"),
)

DEFINITIONS = (POLICY, CLUSTER_POLICY, NODE_MEMORY, DECISION)
