"""How nodes, pods and containers stand by their nodes' last reports: what `kubectl memguard top` shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal

from memguard.api.node_memory import NodeMemory, NodeMemoryStatus, TopContainer
from memguard.cli.cluster.stops import Stop, Stops, paused
from memguard.cli.outlook import SOON_SECONDS, ContainerLevel
from memguard.core.exclusion import BELOW_THRESHOLD
from memguard.core.model import Bytes, Level, Moment, Record, container_title
from memguard.core.policy import Mode

Subject = Literal["nodes", "pods", "containers"]
#: Of a silent node nobody knows: it comes before those that are known to be calm.
_WORST_FIRST: dict[Level | None, int] = {"Critical": 0, "Tight": 1, None: 2, "Calm": 3}
_LEVELS: tuple[ContainerLevel, ...] = ("ok", "warning", "danger")


class NodeStanding(Record, frozen=True, kw_only=True):
    """One node. What is None the node did not say; `silent`: all of it is too old to be true.

    `paused`: its guard says that it heeds the `stops`; without that it may go on.
    """

    node: str
    level: Level | None
    mode: Mode | None
    total_bytes: Bytes | None
    available_bytes: Bytes | None
    reserve_bytes: Bytes | None
    headroom_bytes: int | None
    pressure: float | None
    threshold_score: float | None
    exhaustion_seconds: float | None
    worst: str | None
    worst_score: int | None
    containers: int | None
    kernel_oom_kills: int | None
    policy: str | None
    observed_at: Moment | None
    age_seconds: float | None
    silent: bool
    stops: tuple[Stop, ...] = ()
    paused: bool = False


class ContainerStanding(Record, frozen=True, kw_only=True):
    """One container, or one pod with `containers` of them: its highest score, all of its footprint.

    `level` danger: it may be chosen, and its node's reserve is touched. warning: it may be chosen, or reaches its own
    limit within a minute. `state` says it in words.
    """

    node: str
    namespace: str | None
    pod: str | None
    name: str | None
    containers: int
    score: int
    threshold_score: float | None
    footprint_bytes: Bytes
    limit_bytes: Bytes | None
    limit_seconds: float | None
    level: ContainerLevel
    state: str
    age_seconds: float | None
    silent: bool


class Standing(Record, frozen=True, kw_only=True):
    """`kubectl memguard top`. `unread`: reports that this version does not understand; `problem`: what is not known."""

    taken_at: Moment
    nodes: tuple[NodeStanding, ...] = ()
    containers: tuple[ContainerStanding, ...] = ()
    unread: int = 0
    problem: str | None = None


#: Is this pod (namespace, name) one of those that are asked for?
Wanted = Callable[[str | None, str | None], bool]


def node_standings(reports: Iterable[NodeMemory], stops: Stops, now: datetime) -> tuple[NodeStanding, ...]:
    """All nodes, those in trouble first."""
    found = [node_standing(report, stops(report), now) for report in reports]
    return tuple(sorted(found, key=_trouble))


def _trouble(one: NodeStanding) -> tuple[int, int, str]:
    return _WORST_FIRST[None if one.silent else one.level], one.headroom_bytes or 0, one.node


def container_standings(reports: Iterable[NodeMemory], wanted: Wanted, now: datetime) -> tuple[ContainerStanding, ...]:
    """The containers of all reports, the highest score first."""
    found = [
        _container(one, report, now)
        for report in reports
        for one in report.status.top
        if wanted(one.namespace, one.pod)
    ]
    return tuple(sorted(found, key=_order))


def pod_standings(containers: Iterable[ContainerStanding]) -> tuple[ContainerStanding, ...]:
    """The same by pod."""
    pods: dict[tuple[str | None, str | None, str], list[ContainerStanding]] = {}
    for one in containers:
        pods.setdefault((one.namespace, one.pod, one.node), []).append(one)
    return tuple(sorted(map(_pod, pods.values()), key=_order))


def node_standing(report: NodeMemory, stops: tuple[Stop, ...], now: datetime) -> NodeStanding:
    """One node."""
    status = report.status
    worst = status.top[0] if status.top else None
    return NodeStanding(
        node=report.metadata.name,
        level=status.level,
        mode=status.mode,
        total_bytes=status.total_bytes,
        available_bytes=status.available_bytes,
        reserve_bytes=status.reserve_bytes,
        headroom_bytes=status.headroom_bytes,
        pressure=status.pressure,
        threshold_score=status.threshold_score,
        exhaustion_seconds=status.exhaustion_seconds,
        worst=container_title(worst.namespace, worst.pod, worst.name, worst.id[:12]) if worst else None,
        worst_score=worst.score if worst else None,
        containers=status.containers,
        kernel_oom_kills=status.kernel_oom_kills,
        policy=status.plan.policy if status.plan else None,
        observed_at=status.observed_at,
        age_seconds=_age(status, now),
        silent=status.silent(now),
        stops=stops,
        paused=paused(report, stops, now),
    )


def _container(one: TopContainer, report: NodeMemory, now: datetime) -> ContainerStanding:
    return ContainerStanding(
        node=report.metadata.name,
        namespace=one.namespace,
        pod=one.pod,
        name=one.name or one.id[:12],
        containers=1,
        score=one.score,
        threshold_score=report.status.threshold_score,
        footprint_bytes=one.footprint_bytes,
        limit_bytes=one.limit_bytes,
        limit_seconds=one.limit_seconds,
        level=_level(one, report),
        state=state(one),
        age_seconds=_age(report.status, now),
        silent=report.status.silent(now),
    )


def _pod(members: list[ContainerStanding]) -> ContainerStanding:
    worst = members[0]
    limits = [one.limit_bytes for one in members]
    times = [one.limit_seconds for one in members if one.limit_seconds is not None]
    return ContainerStanding(
        node=worst.node,
        namespace=worst.namespace,
        pod=worst.pod,
        name=worst.name,
        containers=len(members),
        score=worst.score,
        threshold_score=worst.threshold_score,
        footprint_bytes=sum(one.footprint_bytes for one in members),
        limit_bytes=None if None in limits else sum(one or 0 for one in limits),
        limit_seconds=min(times, default=None),
        level=max((one.level for one in members), key=_LEVELS.index),
        state=worst.state,
        age_seconds=worst.age_seconds,
        silent=worst.silent,
    )


def state(one: TopContainer) -> str:
    """May it be chosen, by its node's last report?"""
    if one.excluded is None:
        return "may be chosen"
    return "below the threshold" if one.excluded.startswith(BELOW_THRESHOLD) else f"no: {one.excluded}"


def _level(one: TopContainer, report: NodeMemory) -> ContainerLevel:
    if one.excluded is None:
        return "danger" if report.status.level == "Critical" else "warning"
    soon = one.limit_seconds is not None and one.limit_seconds <= SOON_SECONDS
    return "warning" if soon else "ok"


def _age(status: NodeMemoryStatus, now: datetime) -> float | None:
    age = status.age_seconds(now)
    return None if age is None else round(age, 1)


def _order(one: ContainerStanding) -> tuple[int, int, str, str, str]:
    return -one.score, -one.footprint_bytes, one.namespace or "", one.pod or "", one.name or ""
