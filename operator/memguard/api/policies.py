"""The two policy kinds. Their specs are core/policies.py; here is what the operator says about them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from memguard.api.meta import API_VERSION, Conditions, Count, Generation, Line, ObjectMeta, ObjectName, Text, Title
from memguard.core.model import Moment, Record
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.core.policy import Action, Mode


class ClippedField(Record, frozen=True, kw_only=True):
    """A field that is not granted as asked."""

    field: Annotated[Line, Meta(description="The field.")]
    asked: Annotated[Line, Meta(description="What the policy asks for.")]
    granted: Annotated[Line, Meta(description="What stands there instead.")]
    reason: Annotated[Text, Meta(description="Why, in a sentence.")]


class LastDecision(Record, frozen=True, kw_only=True):
    """The last decision that was made under a policy."""

    name: Annotated[ObjectName, Meta(description="The MemoryGuardDecision's name.")]
    namespace: Annotated[ObjectName, Meta(description="Its namespace.")]
    at: Annotated[Moment, Meta(description="When it was made.")]
    action: Annotated[Action, Meta(description="What was decided.")]
    mode: Annotated[Mode, Meta(description="Whether it was carried out.")]
    victim: Annotated[Title, Meta(description="The container: namespace/pod/name.")] = ""


class PolicyScorecard(Record, frozen=True, kw_only=True):
    """What was only observed under a policy, against what the kernel did, on all nodes."""

    hits: Annotated[
        Count, Meta(description="Foreseen, and the kernel's OOM killer came: enforcing would have come before it.")
    ] = 0
    false_alarms: Annotated[Count, Meta(description="Foreseen, and nothing came: it would have been needless.")] = 0
    misses: Annotated[Count, Meta(description="The kernel's OOM killer came, and nothing was foreseen.")] = 0


class PolicyStatus(Record, frozen=True, kw_only=True):
    """What the operator says about a policy of either kind."""

    conditions: Annotated[
        Conditions,
        Meta(
            description="Ready: it is understood and in force. Clipped: a field is beyond the guard-rails. Conflict: "
            "another policy that selects the same comes before it, always, by its precedence or by its name alone "
            "(ComesFirst: it comes before another)."
        ),
    ] = ()
    observed_generation: Annotated[
        Generation | None, Meta(description="The generation of the spec that this is about.")
    ] = None
    matched_containers: Annotated[Count | None, Meta(description="How many containers are treated by it now.")] = None
    last_decision: Annotated[LastDecision | None, Meta(description="The last decision that was made under it.")] = None
    scorecard: Annotated[
        PolicyScorecard | None, Meta(description="What was only observed under it, against what the kernel did.")
    ] = None


class MemoryGuardPolicyStatus(PolicyStatus, frozen=True, kw_only=True):
    """What the operator says about a tenant's policy."""

    clipped: Annotated[
        tuple[ClippedField, ...],
        Meta(max_length=16, description="Fields that the administrators' guard-rails do not grant as asked."),
    ] = ()


class ClusterMemoryGuardPolicyStatus(PolicyStatus, frozen=True, kw_only=True):
    """What the operator says about the administrators' policy."""

    matched_nodes: Annotated[Count | None, Meta(description="On how many nodes it counts, or stops all.")] = None


class MemoryGuardPolicy(Record, frozen=True, kw_only=True):
    """How pods of this namespace are treated when memory runs out, within the bounds of the cluster's policy.

    Without one nothing changes; with one that says no more nothing changes either: every default is harmless.
    """

    api_version: str = API_VERSION
    kind: str = "MemoryGuardPolicy"
    metadata: ObjectMeta
    spec: MemoryGuardPolicySpec
    status: MemoryGuardPolicyStatus = MemoryGuardPolicyStatus()


class ClusterMemoryGuardPolicy(Record, frozen=True, kw_only=True):
    """How nodes are guarded when memory runs out, and what the policies of tenants may ask for there."""

    api_version: str = API_VERSION
    kind: str = "ClusterMemoryGuardPolicy"
    metadata: ObjectMeta
    spec: ClusterMemoryGuardPolicySpec
    status: ClusterMemoryGuardPolicyStatus = ClusterMemoryGuardPolicyStatus()
