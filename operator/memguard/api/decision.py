"""MemoryGuardDecision: the cluster's record of one decision, written once. Its spec is core/decision.py's Decision with
bounds, so that what a node says can never be refused for its length, and with where and when.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memguard.api.meta import (
    API_VERSION,
    Bytes,
    Count,
    Line,
    ObjectMeta,
    ObjectName,
    Seconds,
    Text,
    Title,
)
from memguard.api.wire import fitted
from memguard.core.decision import Decision, Outcome
from memguard.core.explain import size
from memguard.core.model import Moment, Record
from memguard.core.policy import Action, Mode
from memguard.core.scorecard import Verdict
from memguard.core.timeline import MOST_POINTS

Phase = Literal["Observed", "Acted", "Done", "Incomplete"]
Score = Annotated[int, Meta(ge=0, le=1000)]


class DecidedVictim(Record, frozen=True, kw_only=True):
    """The container that was chosen."""

    id: Annotated[Line, Meta(description="The container's id, without the runtime's name before it.")]
    namespace: Annotated[ObjectName | None, Meta(description="Its pod's namespace.")] = None
    pod: Annotated[ObjectName | None, Meta(description="Its pod's name.")] = None
    pod_uid: Annotated[Line | None, Meta(description="Its pod's UID.")] = None
    name: Annotated[ObjectName | None, Meta(description="Its name in the pod.")] = None
    workload: Annotated[
        Title, Meta(description="What its history is kept under: namespace/kind/name/container of the owner.")
    ] = ""
    cgroup: Annotated[Text, Meta(description="Its cgroup on the node.")] = ""


class DecidedFactor(Record, frozen=True, kw_only=True):
    """One factor of the victim's score."""

    value: Annotated[float, Meta(description="What was measured, on the factor's own scale.")]
    weight: Annotated[float, Meta(description="The factor's weight.")]
    points: Annotated[int, Meta(description="The points that it makes; all of them add up to the score.")]


class DecidedCandidate(Record, frozen=True, kw_only=True):
    """One of those that were compared."""

    id: Annotated[Line, Meta(description="The container's id.")]
    title: Annotated[Title, Meta(description="namespace/pod/name.")]
    score: Annotated[Score, Meta(description="Its score.")]
    badness: Annotated[float, Meta(description="What candidates are ordered by: the score, what it frees, its state.")]
    freed_bytes: Annotated[Bytes, Meta(description="What its end would free.")] = 0
    growth_ratio: Annotated[float, Meta(description="Its share of the recent growth, 0 to 1.")] = 0.0
    qos: Annotated[Line | None, Meta(description="Its pod's quality of service.")] = None
    owner_kind: Annotated[Line | None, Meta(description="The kind of the workload that its pod belongs to.")] = None
    excluded: Annotated[Title | None, Meta(description="Why it may not be chosen.")] = None


class TimelinePoint(Record, frozen=True, kw_only=True):
    """How the memory stood at one moment."""

    seconds: Annotated[float, Meta(description="From the action on; negative before it.")]
    available_bytes: Annotated[int, Meta(description="What was left within the boundary.")]
    victim_bytes: Annotated[Bytes | None, Meta(description="What the victim held.")] = None


Timeline = Annotated[tuple[TimelinePoint, ...], Meta(max_length=MOST_POINTS)]


class MemoryGuardDecisionSpec(Record, frozen=True, kw_only=True):
    """What was decided, and why. It is written once and never changed."""

    id: Annotated[ObjectName, Meta(description="The object's own name; the log, Events and metrics carry it too.")]
    node: Annotated[ObjectName, Meta(description="The node that it was decided on.")]
    taken_at: Annotated[Moment, Meta(description="When, by the node's clock.")]
    mode: Annotated[Mode, Meta(description="Enforce: it was carried out. Observe: it was not.")]
    action: Annotated[Action, Meta(description="What was done, or would have been.")]
    domain: Annotated[
        Text,
        Meta(description="The boundary that was about to break: node, kubepods, numa:N, pod:CGROUP, container:ID."),
    ]
    trigger: Annotated[
        Line,
        Meta(
            description="What led to it: a line, the kernel's pressure, the tick, an order; reports, a storm of kills."
        ),
    ]
    victim: Annotated[DecidedVictim, Meta(description="The container that was chosen.")]
    reason: Annotated[
        Annotated[str, Meta(max_length=2048)], Meta(description="Why this one and no other, in a sentence.")
    ]
    pressure: Annotated[float, Meta(description="How close the boundary was to breaking, 0 to 1.")]
    threshold_score: Annotated[float, Meta(description="From which score on a container was a candidate.")]
    available_bytes: Annotated[int, Meta(description="What was left within the boundary.")]
    reserve_bytes: Annotated[Bytes, Meta(description="What must be left within it.")]
    fall_bytes_per_second: Annotated[int, Meta(description="How fast that shrank.")]
    need_bytes: Annotated[Bytes, Meta(description="What had to be freed.")]
    expected_bytes: Annotated[Bytes, Meta(description="What the victim's end was expected to free.")]
    score: Annotated[Score, Meta(description="The victim's score.")]
    badness: Annotated[float, Meta(description="The victim's badness, by which candidates are ordered.")]
    policy: Annotated[
        Title, Meta(description="The policy that treats the victim: namespace/name, or cluster/name.")
    ] = ""
    summary: Annotated[Line, Meta(description="The reason in a few words.")] = ""
    factors: Annotated[
        dict[str, DecidedFactor], Meta(max_length=32, description="The victim's score, factor by factor.")
    ] = {}
    candidates: Annotated[
        tuple[DecidedCandidate, ...], Meta(max_length=12, description="Those that were compared, the victim first.")
    ] = ()
    wanted: Annotated[Action | None, Meta(description="The action that was chosen, where another was done.")] = None
    timing: Annotated[
        dict[str, Seconds], Meta(max_length=16, description="Seconds from the wake-up to each step.")
    ] = {}
    not_done_because: Annotated[Text | None, Meta(description="Why it was not carried out.")] = None
    timeline: Annotated[Timeline, Meta(description="How the memory went until then.")] = ()


class MemoryGuardDecisionStatus(Record, frozen=True, kw_only=True):
    """What became of it."""

    phase: Annotated[
        Phase | None,
        Meta(
            description="Observed: nothing was done. Acted: the victim is on its way out. Done: it is gone. "
            "Incomplete: it did not go."
        ),
    ] = None
    freed_bytes: Annotated[Bytes | None, Meta(description="What came back.")] = None
    freed: Annotated[Line | None, Meta(description="The same for people.")] = None
    seconds: Annotated[Seconds | None, Meta(description="From the action until the victim was gone.")] = None
    kill_seconds: Annotated[
        Seconds | None,
        Meta(description="From the stop signal to the kill that had to follow; absent where none had to."),
    ] = None
    finished_at: Annotated[Moment | None, Meta(description="When the outcome was known.")] = None
    kernel_oom_kills: Annotated[
        Count | None, Meta(description="How often the kernel's OOM killer came all the same within ten minutes.")
    ] = None
    verdict: Annotated[
        Verdict | None,
        Meta(
            description="Of what was only observed. Hit: the kernel's OOM killer came within ten minutes. "
            "FalseAlarm: it did not."
        ),
    ] = None
    timeline: Annotated[Timeline | None, Meta(description="How the memory came back after the action.")] = None


class MemoryGuardDecision(Record, frozen=True, kw_only=True):
    """One decision of memguard in the namespace of its victim: who was chosen, why, and what became of it.

    Only memguard writes it. It goes away by itself after a while.
    """

    api_version: str = API_VERSION
    kind: str = "MemoryGuardDecision"
    metadata: ObjectMeta
    spec: MemoryGuardDecisionSpec
    status: MemoryGuardDecisionStatus = MemoryGuardDecisionStatus()


def record(decision: Decision, *, namespace: str, node: str, taken_at: datetime, policy: str = "") -> dict[str, Any]:
    """The MemoryGuardDecision as it is written, without its status; what is too long for it is cut."""
    spec = msgspec.to_builtins(decision) | {
        "node": node,
        "takenAt": msgspec.to_builtins(taken_at),
        "policy": policy,
        "summary": f"{_boundary(decision.domain)} has {size(decision.available_bytes)} left, score {decision.score}",
    }
    whole = {
        "apiVersion": API_VERSION,
        "kind": MemoryGuardDecision.__name__,
        "metadata": {"name": decision.id, "namespace": namespace},
        "spec": spec,
    }
    return fitted(whole, MemoryGuardDecision)


def first_status(decision: Decision) -> MemoryGuardDecisionStatus:
    """Before anything is known of what became of it."""
    return MemoryGuardDecisionStatus(phase="Acted" if decision.mode == "Enforce" else "Observed")


def outcome_status(outcome: Outcome, finished_at: datetime) -> MemoryGuardDecisionStatus:
    """What became of it."""
    return MemoryGuardDecisionStatus(
        phase="Done" if outcome.complete else "Incomplete",
        freed_bytes=outcome.freed_bytes,
        freed=size(outcome.freed_bytes),
        seconds=outcome.seconds,
        kill_seconds=outcome.kill_seconds,
        finished_at=finished_at,
        timeline=tuple(msgspec.convert(msgspec.to_builtins(point), TimelinePoint) for point in outcome.timeline),
    )


def _boundary(domain: str) -> str:
    """Without the id of a container and the path of a pod: the victim stands beside it."""
    kind, _, name = domain.partition(":")
    return f"NUMA node {name}" if kind == "numa" else kind
