"""The containers of one domain as cases: all that their factors look at, their pods and growth, and their scores."""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum

from memguard.core.domain import Domain
from memguard.core.footprint import footprint, share_on
from memguard.core.forecast import rise
from memguard.core.history import Gauge, History, age_seconds, recent
from memguard.core.model import Container, Snapshot
from memguard.core.policy import Plan, workload
from memguard.core.score import Case, Score, growth_ratio, request, scale_of, score


class Cases:
    """What all cases of one domain share, computed once; rises are bytes per second within the domain's episode."""

    def __init__(self, history: History, snapshot: Snapshot, plan: Plan, domain: Domain) -> None:
        self._snapshot, self._plan, self._domain = snapshot, plan, domain
        self._tracks = history.tracks
        self._members = [container for container in snapshot.containers if domain.holds(container)]
        self._footprints = {c.id: local(c, domain, footprint(c.memory)) for c in self._members}
        own = history.gauges.get(domain.key, Gauge()).available
        self._now = snapshot.seconds
        self._since = own[0][0] if own else self._now
        series = {
            key: recent(track.samples, self._since, self._now)
            for key in self._footprints
            if (track := self._tracks.get(key)) is not None and track.moved_at >= self._since  # the others rise by 0
        }
        self._growth = {key: (len(samples), max(0.0, rise(samples))) for key, samples in series.items()}
        self._members_rise = fsum(up for _, up in self._growth.values())  # exact: the containers' order cannot matter
        self._own_rise = max(0.0, rise([(at, -available) for at, available in own])) if len(own) > 1 else 0.0
        self._pods: dict[str, int] = {}
        for container in self._members:
            key = _pod_key(container)
            self._pods[key] = self._pods.get(key, 0) + self._footprints[container.id]

    def scored(self) -> Iterator[tuple[Case, Score]]:
        """Every container with its score, in the snapshot's order."""
        scale = scale_of(self._plan.settings.weights)
        for container in self._members:
            case = self._case(container)
            yield case, score(case, scale)

    @property
    def explained_ratio(self) -> float:
        """The share of the domain's growth that its containers make, 0..1; 1 where it does not grow."""
        return min(1.0, self._everybodys_rise() / self._own_rise) if self._own_rise > 0 else 1.0

    def _everybodys_rise(self) -> float:
        """With those that the snapshot does not show: the guard reads a few, but has sampled all that moved."""
        if self._domain.kind not in ("node", "kubepods"):
            return self._members_rise
        moved = (
            track.samples
            for key, track in self._tracks.items()
            if track.moved_at >= self._since and key not in self._footprints
        )
        return self._members_rise + fsum(max(0.0, rise(recent(one, self._since, self._now))) for one in moved)

    def _case(self, container: Container) -> Case:
        plan, track, used = self._plan, self._tracks.get(container.id), self._footprints[container.id]
        rule = plan.rule_for(container)
        return Case(
            container=container,
            domain=self._domain,
            rule=rule,
            footprint_bytes=used,
            pod_footprint_bytes=self._pods[_pod_key(container)],
            growth_ratio=self._growth_ratio(container, used) if container.id in self._growth else 0.0,
            age_seconds=age_seconds(container, self._snapshot.taken_at),
            uptime_seconds=self._snapshot.node.uptime_seconds,
            cpus=self._snapshot.node.cpus or 1,
            previous_bytes=track.previous_bytes if track else 0,
            adjustment=rule.adjustment + (plan.bias.get(workload(container), 0) if plan.bias else 0),
        )

    def _growth_ratio(self, container: Container, used_bytes: int) -> float:
        count, up = self._growth[container.id]
        return growth_ratio(
            count,
            up,
            max(self._members_rise, self._own_rise),
            self._domain.scale_bytes,
            entitled=used_bytes < (request(container) or 0),
        )


def local(container: Container, domain: Domain, amount: int) -> int:
    """The part of an amount of bytes that lives inside the domain: on a NUMA node only its share."""
    if domain.kind == "numa":
        return int(amount * share_on(container, int(domain.name)))
    return amount


def _pod_key(container: Container) -> str:
    return container.pod_uid or f"{container.namespace}/{container.pod or container.id}"
