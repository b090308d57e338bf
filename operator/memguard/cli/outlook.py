"""How near each container is to its own limit and to being chosen: what `memguard top` shows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from memguard.core.domain import margin
from memguard.core.footprint import footprint, unreclaimable
from memguard.core.forecast import rise, seconds_until
from memguard.core.history import History
from memguard.core.model import Bytes, Record, Snapshot
from memguard.core.policy import SMALLEST_GUARDED_LIMIT, Plan, Settings
from memguard.core.select import Candidate, Ranking, judge, rank_node

#: A limit that is reached within this time is worth a look: a person's time, the guard needs far less.
SOON_SECONDS = 60.0

#: Of a container; a node has others (core/model).
ContainerLevel = Literal["ok", "warning", "danger"]


class NodeOutlook(Record, frozen=True, kw_only=True):
    """The machine; `domain` is the boundary that is worst off, `exhaustion_seconds` the node's own."""

    name: str
    total_bytes: Bytes
    available_bytes: Bytes
    pressure: float
    threshold_score: float
    exhaustion_seconds: float | None
    domain: str


class ContainerOutlook(Record, frozen=True, kw_only=True):
    """One container. Headroom and time are those to its own limit (None without one, or without growth).

    danger: it would be chosen now, or its headroom is within the margin of its limit. warning: its score reaches the
    threshold, or it reaches its limit within a minute.
    """

    id: str
    title: str
    usage_bytes: Bytes
    footprint_bytes: Bytes
    limit_bytes: Bytes | None
    headroom_bytes: int | None
    limit_seconds: float | None
    score: int
    level: ContainerLevel


class Outlook(Record, frozen=True, kw_only=True):
    """`memguard top`: the highest score first."""

    taken_at: datetime
    node: NodeOutlook
    containers: tuple[ContainerOutlook, ...]


def look(history: History, snapshot: Snapshot, plan: Plan) -> tuple[History, Outlook]:
    """Take a snapshot into the history and say how things stand. Scores are those of the whole node."""
    history, worst = judge(history, snapshot, plan)
    ranking = rank_node(history, snapshot, plan)
    containers = [_container(candidate, ranking, history, plan.settings) for candidate in ranking.candidates]
    return history, Outlook(
        taken_at=snapshot.taken_at,
        node=_node(snapshot, ranking, worst),
        containers=tuple(sorted(containers, key=lambda container: (-container.score, container.id))),
    )


def _node(snapshot: Snapshot, ranking: Ranking, worst: Ranking) -> NodeOutlook:
    return NodeOutlook(
        name=snapshot.node.name,
        total_bytes=snapshot.node.memory.total_bytes,
        available_bytes=snapshot.node.memory.available_bytes,
        pressure=round(ranking.pressure.pressure, 4),
        threshold_score=round(ranking.pressure.threshold_score, 1),
        exhaustion_seconds=_rounded(ranking.pressure.exhaustion_seconds),
        domain=worst.domain.key,
    )


def _container(candidate: Candidate, ranking: Ranking, history: History, settings: Settings) -> ContainerOutlook:
    container = candidate.container
    limit = container.limit_bytes
    headroom = None if limit is None else limit - unreclaimable(container.memory)
    growth = rise(history.tracks[container.id].samples)
    seconds = None if headroom is None else seconds_until(headroom, growth)
    return ContainerOutlook(
        id=container.id,
        title=container.title,
        usage_bytes=container.memory.current_bytes,
        footprint_bytes=footprint(container.memory),
        limit_bytes=limit,
        headroom_bytes=headroom,
        limit_seconds=_rounded(seconds),
        score=candidate.scored.score,
        level=_level(candidate, ranking, headroom, seconds, settings),
    )


def _level(
    candidate: Candidate, ranking: Ranking, headroom: int | None, seconds: float | None, settings: Settings
) -> ContainerLevel:
    near = _near_bytes(candidate.container.limit_bytes or 0, settings)
    if candidate is ranking.victim or (headroom is not None and headroom <= near):
        return "danger"
    soon = seconds is not None and seconds <= SOON_SECONDS
    return "warning" if soon or candidate.excluded is None else "ok"


def _near_bytes(limit: int, settings: Settings) -> int:
    """The margin of its line; a container too small for one would be near its limit all its life with 16 MiB."""
    return margin(limit, settings) if limit >= SMALLEST_GUARDED_LIMIT else int(limit * settings.margin_ratio)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
