"""What was decided and what became of it, as it is told: log, agent and the cluster's record say the same.

One decision has one `id`, a valid Kubernetes object name: its record, its Events, its log line and its metric's
exemplar all carry it, so a record that is sent twice is written once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from memguard.core.model import Bytes, Container, Count, Number, Qos, Record, Seconds
from memguard.core.policy import Action, Mode, workload
from memguard.core.replay import LISTED
from memguard.core.score import Points, factor_points
from memguard.core.select import Candidate, Ranking
from memguard.core.timeline import TimelinePoint

#: What ends a container.
ENDS: tuple[Action, ...] = ("kill", "terminate", "evict")


def carried_out(mode: Mode, phase: str | None, freed_bytes: int | None) -> bool:
    """Was it done? What was written down, and then refused, has no outcome: nobody knows what came back."""
    return mode == "Enforce" and not (phase == "Incomplete" and freed_bytes is None)


class Victim(Record, frozen=True, kw_only=True):
    """Who was chosen; without a pod it could not be mapped."""

    id: str
    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    name: str | None = None
    workload: str = ""
    cgroup: str = ""


def victim_of(container: Container) -> Victim:
    """How a container is named in what is told of it."""
    return Victim(
        id=container.id,
        namespace=container.namespace,
        pod=container.pod,
        pod_uid=container.pod_uid,
        name=container.name,
        workload=workload(container),
        cgroup=container.cgroup,
    )


class Ranked(Record, frozen=True, kw_only=True):
    """One of the candidates of a decision."""

    id: str
    title: str
    score: int
    badness: float
    freed_bytes: Bytes = 0
    growth_ratio: float = 0.0
    qos: Qos | None = None
    owner_kind: str | None = None
    excluded: str | None = None


class Decision(Record, frozen=True, kw_only=True):
    """One decision. `mode` Observe: it was not carried out, and `not_done_because` says why.

    `candidates`: the few that it was made between, the victim first; then others of the node, for the record.
    `timing`: seconds from the wake-up to each step. `wanted`: the action that was chosen, where another was done.
    `timeline`: what led to it.
    """

    id: str
    mode: Mode
    action: Action
    domain: str
    trigger: str
    victim: Victim
    reason: str
    pressure: float
    threshold_score: float
    available_bytes: Number
    reserve_bytes: Bytes
    fall_bytes_per_second: Number
    need_bytes: Bytes
    expected_bytes: Bytes
    score: int
    badness: float
    factors: dict[str, Points] = {}
    candidates: tuple[Ranked, ...] = ()
    wanted: Action | None = None
    timing: dict[str, Seconds] = {}
    not_done_because: str | None = None
    timeline: tuple[TimelinePoint, ...] = ()

    @property
    def shared(self) -> bool:
        """Was it about a boundary that others stand in as well, and not about the victim's own limit or its pod's?"""
        return not self.domain.startswith(("container:", "pod:"))


def decision_of(
    ranking: Ranking,
    *,
    id: str,  # noqa: A002 - as the field is called
    mode: Mode,
    action: Action,
    trigger: str,
    told: Iterable[Candidate] | None = None,
    **facts: Any,
) -> Decision:
    """The decision that the first of a ranking goes; `told`: of the candidates those that say something to people."""
    victim, pressure = ranking.candidates[0], ranking.pressure
    return Decision(
        id=id,
        mode=mode,
        action=action,
        domain=ranking.domain.key,
        trigger=trigger,
        victim=victim_of(victim.container),
        pressure=round(pressure.pressure, 4),
        threshold_score=round(pressure.threshold_score, 1),
        available_bytes=ranking.domain.available_bytes,
        reserve_bytes=ranking.domain.reserve_bytes,
        fall_bytes_per_second=round(pressure.fall_bytes_per_second),
        need_bytes=pressure.need_bytes,
        expected_bytes=victim.freed_bytes,
        score=victim.scored.score,
        badness=round(victim.badness, 4),
        factors=factor_points(victim.scored),
        candidates=tuple(map(_ranked, tuple(ranking.candidates if told is None else told)[:LISTED])),
        **facts,
    )


def _ranked(candidate: Candidate) -> Ranked:
    container = candidate.container
    return Ranked(
        id=container.id,
        title=container.title,
        score=candidate.scored.score,
        badness=round(candidate.badness, 4),
        freed_bytes=candidate.freed_bytes,
        growth_ratio=round(candidate.growth_ratio, 3),
        qos=container.qos,
        owner_kind=container.owner.kind if container.owner else None,
        excluded=candidate.excluded,
    )


class Outcome(Record, frozen=True, kw_only=True):
    """What an action achieved. `complete`: the victim is gone; `seconds` from the action to that.

    `kill_seconds`: from a stop signal to the kill that had to follow; None where none had to. `timeline`: how the
    memory came back.
    """

    id: str
    victim: Victim
    action: Action
    complete: bool
    seconds: Seconds
    expected_bytes: Bytes
    freed_bytes: Bytes
    headroom_bytes: Number
    kill_seconds: Seconds | None = None
    timeline: tuple[TimelinePoint, ...] = ()


class KernelKill(Record, frozen=True, kw_only=True):
    """The kernel's OOM killer was faster, or was left to it: what a container's own counter (memory.events) tells.

    `count` processes since the last look; `group`: the whole container went. Without a victim only the machine's
    counter rose: it was no container, or one whose cgroup is gone.
    """

    count: Count
    victim: Victim | None = None
    group: bool = False


AlarmKind = Literal["foreign", "critical", "supervisor"]
#: What a guard does by itself, from the gentlest to the hardest (core/ladder.py chooses between the last two).
Step = Literal["notify", "reclaim", "hold", "brake", "terminate", "kill"]


class Alarm(Record, frozen=True, kw_only=True):
    """Something a person must know: growth that is nobody's, a critical process gone, no supervisor."""

    reason: str
    kind: AlarmKind
    decision: str | None = None


class Answer(Record, frozen=True, kw_only=True):
    """What became of an order. `decision`: the id of the decision that carries it out."""

    order: str
    accepted: bool
    reason: str = ""
    decision: str | None = None
