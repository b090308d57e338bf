"""NodeMemory: how one node stands. Its spec is the operator's advice, its status the agent's report, both bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from memguard.api.meta import (
    API_VERSION,
    Bytes,
    Conditions,
    Count,
    Generation,
    Line,
    ObjectMeta,
    ObjectName,
    Seconds,
    Text,
    Title,
)
from memguard.core.advice import MOST_ORDERS, Advice
from memguard.core.model import Level, Moment, Record
from memguard.core.policy import Mode

#: More than ten would be no summary.
MOST_TOP = 10
#: A limit that may be raised is, when this much of it is used, or when it will be reached within so long: a report, the
#: API server and kubelet together take some seconds, more on a busy node.
RESIZE_RATIO, RESIZE_SECONDS = 0.85, 60.0
#: In quiet times a report comes every five minutes, a fifth more or less, and says what was seen half a minute before.
SILENT_SECONDS = 600


class TopContainer(Record, frozen=True, kw_only=True):
    """One of the containers nearest to being chosen."""

    id: Annotated[Line, Meta(description="The container's id, without the runtime's name before it.")] = ""
    namespace: Annotated[ObjectName | None, Meta(description="Its pod's namespace.")] = None
    pod: Annotated[ObjectName | None, Meta(description="Its pod's name.")] = None
    name: Annotated[ObjectName | None, Meta(description="Its name in the pod.")] = None
    score: Annotated[Annotated[int, Meta(ge=0, le=1000)], Meta(description="Its score, 0 to 1000.")]
    footprint_bytes: Annotated[Bytes, Meta(description="What its end would free of the node's memory and swap.")]
    shmem_bytes: Annotated[Bytes, Meta(description="The shared memory in it, which may outlive the container.")] = 0
    limit_bytes: Annotated[Bytes | None, Meta(description="Its own limit.")] = None
    limit_seconds: Annotated[Seconds | None, Meta(description="Until it reaches that, at this pace.")] = None
    largest_limit_bytes: Annotated[
        Bytes | None, Meta(description="How far its policy lets the limit be raised in place; absent where it may not.")
    ] = None
    excluded: Annotated[Title | None, Meta(description="Why it may not be chosen.")] = None


def near_limit(one: TopContainer) -> bool:
    """Is it about to reach a limit that may be raised?"""
    if one.largest_limit_bytes is None or not one.limit_bytes:
        return False
    soon = one.limit_seconds is not None and one.limit_seconds <= RESIZE_SECONDS
    return soon or one.footprint_bytes >= RESIZE_RATIO * one.limit_bytes


class NodeCapability(Record, frozen=True, kw_only=True):
    """One thing that the guard can do on this node, or cannot."""

    name: Annotated[Line, Meta(description="What it is about.")]
    ok: Annotated[bool, Meta(description="Can it?")]
    detail: Annotated[Title, Meta(description="Why not, or how.")] = ""


class OrderAnswer(Record, frozen=True, kw_only=True):
    """What became of an order."""

    id: Annotated[Line, Meta(description="The order's id.")]
    accepted: Annotated[bool, Meta(description="Did the guard take it?")]
    at: Annotated[Moment, Meta(description="When it was answered.")]
    reason: Annotated[Title, Meta(description="Why not.")] = ""
    decision: Annotated[ObjectName | None, Meta(description="The decision that carries it out.")] = None


class PlanInForce(Record, frozen=True, kw_only=True):
    """What the guard decides by."""

    version: Annotated[Line, Meta(description="A hash of the plan that was made of all policies.")]
    policy: Annotated[ObjectName, Meta(description="The cluster's policy that counts on this node.")]


class PolicyTally(Record, frozen=True, kw_only=True):
    """The scorecard of one policy on this node."""

    policy: Annotated[Title, Meta(description="The policy: namespace/name, or cluster/name.")]
    hits: Annotated[Count, Meta(description="The kernel's OOM killer came within ten minutes of a decision.")] = 0
    false_alarms: Annotated[Count, Meta(description="It did not come within ten minutes of a decision.")] = 0
    misses: Annotated[Count, Meta(description="It came without a decision in the ten minutes before.")] = 0


class NodeScorecard(Record, frozen=True, kw_only=True):
    """What was only observed, against what the kernel did: the evidence for or against enforcing."""

    hits: Annotated[Count, Meta(description="The kernel's OOM killer came within ten minutes of a decision.")] = 0
    false_alarms: Annotated[Count, Meta(description="It did not come within ten minutes of a decision.")] = 0
    misses: Annotated[Count, Meta(description="It came without a decision in the ten minutes before.")] = 0
    since: Annotated[Moment | None, Meta(description="Since when is counted.")] = None
    policies: Annotated[
        tuple[PolicyTally, ...], Meta(max_length=16, description="The same by policy, those with the most first.")
    ] = ()


class NodeMemoryStatus(Record, frozen=True, kw_only=True):
    """How the node stands, as its agent tells it."""

    observed_at: Annotated[
        Moment | None,
        Meta(
            description="When the guard last looked. "
            f"Older than {SILENT_SECONDS // 60} minutes: nobody reports any more."
        ),
    ] = None
    observed_generation: Annotated[
        Generation | None, Meta(description="The generation of the spec that is heeded.")
    ] = None
    conditions: Annotated[
        Conditions,
        Meta(
            description="Ready: the guard reports, and has a plan. Fit: the node is one that can be guarded. Acting: "
            "something is enforced here, and can be. PlanCurrent: the plan is what the policies say now, all of them. "
            "Where one does not hold, its message says why."
        ),
    ] = ()
    level: Annotated[
        Level | None,
        Meta(description="Calm. Tight: less than four reserves are left. Critical: the reserve is touched."),
    ] = None
    mode: Annotated[Mode | None, Meta(description="Enforce: something may be ended here. Observe: nothing may.")] = None
    domain: Annotated[Text | None, Meta(description="The boundary whose reserve is nearest to being touched.")] = None
    pressure: Annotated[float | None, Meta(description="How close the node is to breaking, 0 to 1.")] = None
    threshold_score: Annotated[
        float | None, Meta(description="From which score on a container is a candidate on the node.")
    ] = None
    total_bytes: Annotated[Bytes | None, Meta(description="The node's memory.")] = None
    available_bytes: Annotated[Bytes | None, Meta(description="What is left of it.")] = None
    reserve_bytes: Annotated[Bytes | None, Meta(description="What must be left of it: the node's reserve.")] = None
    headroom_bytes: Annotated[
        int | None,
        Meta(description="What is left above the nearest reserve, which is that of `domain`; negative when touched."),
    ] = None
    headroom: Annotated[Line | None, Meta(description="The same for people.")] = None
    exhaustion_seconds: Annotated[
        Seconds | None,
        Meta(description="Until nothing is left of the node's memory, at this pace; absent when nothing shrinks."),
    ] = None
    containers: Annotated[Count | None, Meta(description="How many containers the guard sees.")] = None
    unmapped_containers: Annotated[
        Count | None, Meta(description="How many of them are not mapped to a pod: observed, never touched.")
    ] = None
    kernel_oom_kills: Annotated[
        Count | None, Meta(description="How often the kernel's OOM killer came since the guard's start.")
    ] = None
    top: Annotated[
        tuple[TopContainer, ...],
        Meta(max_length=MOST_TOP, description="The containers nearest to being chosen, the nearest first."),
    ] = ()
    capabilities: Annotated[
        tuple[NodeCapability, ...], Meta(max_length=32, description="What the guard can do on this node.")
    ] = ()
    orders: Annotated[
        tuple[OrderAnswer, ...], Meta(max_length=2 * MOST_ORDERS, description="What became of the last orders.")
    ] = ()
    plan: Annotated[PlanInForce | None, Meta(description="What the guard decides by.")] = None
    scorecard: Annotated[
        NodeScorecard | None, Meta(description="What was only observed, against what the kernel did.")
    ] = None
    guard_version: Annotated[Line | None, Meta(description="The guard's version.")] = None
    agent_version: Annotated[Line | None, Meta(description="The agent's version.")] = None

    def age_seconds(self, now: datetime) -> float | None:
        """How old it is; None where the node never said anything."""
        return None if self.observed_at is None else max(0.0, (now - self.observed_at).total_seconds())

    def silent(self, now: datetime) -> bool:
        """Is what the node said too old to be true?"""
        age = self.age_seconds(now)
        return age is None or age > SILENT_SECONDS


class NodeMemory(Record, frozen=True, kw_only=True):
    """How one node stands: the node's agent writes the status, the operator the spec. It has the node's name."""

    api_version: str = API_VERSION
    kind: str = "NodeMemory"
    metadata: ObjectMeta
    spec: Advice = Advice()
    status: NodeMemoryStatus = NodeMemoryStatus()
