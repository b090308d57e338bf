"""Who is chosen: exclusions with a reason, badness, and a deterministic order.

    badness = score/1000 + 0.1 min(freed, need)/need + 0.05 idle - 0.05 min(1, overshoot / (D/4))

Ties: freed (whole MiB) descending, the youngest, the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import fsum

import msgspec

from memguard.core.domain import Domain, domains
from memguard.core.footprint import footprint, freed, share_on
from memguard.core.forecast import rise
from memguard.core.history import Gauge, History, age_seconds, observe, recent, stall_ratio
from memguard.core.model import Container, Snapshot
from memguard.core.policy import Plan, Rule, workload
from memguard.core.pressure import Pressure, assess
from memguard.core.score import Case, Score, growth_ratio, request, scale_of, score

MIB = 1 << 20
#: Priorities from here on are the system's own (k8s.io/api/scheduling/v1 system-cluster-critical).
SYSTEM_PRIORITY = 2_000_000_000
UNKILLABLE_ADJ = -1000
#: A victim that frees less than this share of the need would die for nothing.
SMALLEST_FREED = 0.005
#: Growth that the containers explain by less than this is somebody else's (the kernel, system.slice): alarm only...
EXPLAINED_SHARE = 0.5
#: ... unless this much of the reserve is gone: then a container dies rather than the node.
UNCONDITIONAL_LEVEL = 0.5
#: ... and not a second one within this time.
FOREIGN_SECONDS = 600.0
#: Looks at a domain before its trend is evidence.
TRUSTED_SAMPLES = 4
#: What a domain must have lost in an episode, as a share of what is left, before growth is more than jitter: at looks
#: 5 ms apart one charge batch of 64 KiB is 13 MB/s.
NOTICED_LOSS = 0.125
#: Whoever makes this share of the growth is not protected by its youth.
YOUTH_FORFEIT = 0.5


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One container of the domain with its score; `excluded` says why it may not be chosen, or is None."""

    container: Container
    scored: Score
    badness: float
    freed_bytes: int
    growth_ratio: float
    excluded: str | None


class Ranking(msgspec.Struct, frozen=True, gc=False):
    """A domain at one moment: its pressure and its containers, those that may be chosen first, the worst first."""

    taken_at: datetime
    domain: Domain
    pressure: Pressure
    candidates: tuple[Candidate, ...]

    explained_ratio: float
    sample_count: int
    lost_bytes: int
    foreign_spent: bool

    @property
    def best(self) -> Candidate | None:
        """The first that may be chosen, whether or not anybody should be."""
        first = self.candidates[0] if self.candidates else None
        return first if first is not None and first.excluded is None else None

    @property
    def foreign_growth(self) -> bool:
        """Do others than the containers (the kernel, system.slice) make most of the growth?"""
        wide = self.domain.kind in ("node", "kubepods")
        return wide and self.sample_count >= TRUSTED_SAMPLES and self.explained_ratio < EXPLAINED_SHARE

    @property
    def foreign(self) -> bool:
        """Would ending a container not stop it? Once one dies all the same, rather than the node; then no more."""
        if self.foreign_growth:
            return self.foreign_spent or self.pressure.level < UNCONDITIONAL_LEVEL
        return self.foreign_spent and self.sample_count < TRUSTED_SAMPLES

    @property
    def doubtful(self) -> bool:
        """Is there margin left to look again? At a container's own limit a few looks under the brake come first."""
        if self.domain.kind not in ("pod", "container") or self.pressure.level >= UNCONDITIONAL_LEVEL:
            return False
        return self.sample_count < TRUSTED_SAMPLES or self.lost_bytes < self.domain.available_bytes * NOTICED_LOSS

    @property
    def victim(self) -> Candidate | None:
        """The one to act on, if anybody is to blame and nothing is left to wait for."""
        return None if self.foreign or self.doubtful else self.best


#: Container ids that may not be acted on now, with the reason: the budget is spent, it is already ending.
Refusals = Mapping[str, str]
NO_REFUSALS: Refusals = {}


def judge(
    history: History,
    snapshot: Snapshot,
    plan: Plan,
    refusals: Refusals = NO_REFUSALS,
    within: str | None = None,
) -> tuple[History, Ranking]:
    """Take a snapshot into the history and rank the domain that is worst off. The whole decision in one call.

    Of several that are equally badly off it is the widest: what is freed there may relieve the others too. A domain in
    which somebody is to be chosen comes before a worse one in which nobody can be. `within` names the only domain that
    the snapshot has all containers of (a line was crossed there).
    """
    everywhere = tuple(domains(snapshot, plan))
    found = tuple(domain for domain in everywhere if within in (None, domain.key))
    if not found:  # the limit is gone meanwhile: nothing breaks there, and nobody is asked for another domain
        node = everywhere[0]
        nobody = msgspec.structs.replace(snapshot, containers=())
        return history, rank(history, nobody, plan, node, assess(node, Gauge(), 0.0, plan.settings))
    history = observe(history, snapshot, found)
    stall = stall_ratio(history)
    assessed = [
        (domain, assess(domain, history.gauges[domain.key], stall if domain.kind == "node" else 0.0, plan.settings))
        for domain in found
    ]
    assessed.sort(key=lambda pair: (-pair[1].pressure, pair[0].width, pair[0].key))
    rankings = [
        rank(history, snapshot, plan, domain, pressure, refusals=refusals)
        for domain, pressure in assessed
        if pressure is assessed[0][1] or pressure.calls_for_action
    ]
    return history, next((ranking for ranking in rankings if ranking.victim), rankings[0])


def rank(
    history: History,
    snapshot: Snapshot,
    plan: Plan,
    domain: Domain,
    pressure: Pressure,
    *,
    refusals: Refusals = NO_REFUSALS,
) -> Ranking:
    """Score and order the containers of one domain."""
    members = [container for container in snapshot.containers if domain.holds(container)]
    court = _Court(history, snapshot, plan, domain, members)
    candidates = [_candidate(court.case(c), court, pressure, refusals.get(c.id)) for c in members]
    candidates.sort(key=lambda candidate: _order(candidate, snapshot.taken_at))
    explained = court.everybodys_rise() / court.own_rise if court.own_rise > 0 else 1.0
    seen = history.gauges.get(domain.key, Gauge()).available
    lost = seen[0][1] - seen[-1][1] if seen else 0
    spent = history.foreign_at is not None and snapshot.seconds - history.foreign_at < FOREIGN_SECONDS
    return Ranking(snapshot.taken_at, domain, pressure, tuple(candidates), min(1.0, explained), len(seen), lost, spent)


class _Court:
    """What all cases of one ranking share, computed once."""

    def __init__(
        self, history: History, snapshot: Snapshot, plan: Plan, domain: Domain, members: list[Container]
    ) -> None:
        self.snapshot, self.plan, self.domain = snapshot, plan, domain
        self.tracks = history.tracks
        self.scale = scale_of(plan.settings.weights)
        self.footprints = {c.id: _local(c, domain, footprint(c.memory)) for c in members}
        own = history.gauges.get(domain.key, Gauge()).available
        self.now = snapshot.seconds
        self.since = own[0][0] if own else self.now
        known = [c.id for c in members if c.id in self.tracks]
        series = {key: recent(self.tracks[key].samples, self.since, self.now) for key in known}
        self.sample_counts = {key: len(samples) for key, samples in series.items()}
        self.rises = {key: max(0.0, rise(samples)) for key, samples in series.items()}
        self.members_rise = fsum(self.rises.values())  # exact, so that the order of the containers cannot matter
        self.own_rise = max(0.0, rise([(at, -available) for at, available in own])) if len(own) > 1 else 0.0
        self.pods: dict[str, int] = {}
        for container in members:
            key = _pod_key(container)
            self.pods[key] = self.pods.get(key, 0) + self.footprints[container.id]

    def everybodys_rise(self) -> float:
        """With those that the snapshot does not show: the guard reads a few, but has sampled all that moved."""
        if self.domain.kind not in ("node", "kubepods"):
            return self.members_rise
        moved = (
            track.samples
            for key, track in self.tracks.items()
            if key not in self.footprints and track.samples[-1][0] >= self.since
        )
        return self.members_rise + fsum(max(0.0, rise(recent(one, self.since, self.now))) for one in moved)

    def case(self, container: Container) -> Case:
        """One container's case."""
        track, used = self.tracks.get(container.id), self.footprints[container.id]
        growth = growth_ratio(
            self.sample_counts.get(container.id, 0),
            self.rises.get(container.id, 0.0),
            max(self.members_rise, self.own_rise),
            self.domain.scale_bytes,
            entitled=used < (request(container) or 0),
        )
        return Case(
            container=container,
            domain=self.domain,
            footprint_bytes=used,
            pod_footprint_bytes=self.pods[_pod_key(container)],
            growth_ratio=growth,
            age_seconds=age_seconds(container, self.snapshot.taken_at),
            uptime_seconds=self.snapshot.node.uptime_seconds,
            cpus=self.snapshot.node.cpus or 1,
            previous_bytes=track.previous_bytes if track else 0,
            bias_points=self.plan.bias.get(workload(container), 0) if self.plan.bias else 0,
        )


def _candidate(case: Case, court: _Court, pressure: Pressure, refusal: str | None) -> Candidate:
    rule = court.plan.rule_for(case.container)
    scored = score(case, court.scale, rule.adjustment + case.bias_points)
    container, domain, wanted = case.container, case.domain, pressure.need_bytes
    gain = _freed(case, with_pod=False)
    overshoot = max(0, gain - wanted)
    badness = (
        scored.score / 1000
        + 0.1 * min(gain, wanted) / wanted
        + 0.05 * _idle(container)
        - 0.05 * min(1.0, overshoot / (domain.scale_bytes / 4))
    )
    excluded = exclusion(container, rule, court.plan) or refusal or _unfit_now(case, scored, rule, pressure)
    return Candidate(container, scored, badness, gain, case.growth_ratio, excluded)


def exclusion(container: Container, rule: Rule, plan: Plan) -> str | None:
    """Why this container is never touched, whatever the pressure; None if it may be."""
    adj = container.oom_score_adj
    reasons = (
        (container.type == "sandbox", "it is a pod's sandbox, and ending it would restart the whole pod"),
        (not container.mapped, "it could not be mapped to a container of a pod"),
        (container.static, "its pod is static, which kubelet treats as critical"),
        ((container.priority or 0) >= SYSTEM_PRIORITY, "its priority is the system's own"),
        (adj is not None and adj <= UNKILLABLE_ADJ, "it is marked unkillable (oom_score_adj -1000)"),
        (container.namespace in plan.settings.protected_namespaces, f"namespace {container.namespace} is protected"),
        (rule.protected, "a policy protects it"),
        (not (rule.allows("kill") or rule.allows("evict")), "its policy allows neither to kill nor to evict it"),
    )
    return next((words for applies, words in reasons if applies), None)


def _unfit_now(case: Case, scored: Score, rule: Rule, pressure: Pressure) -> str | None:
    """Why it is not chosen at this moment."""
    age = case.age_seconds
    if age is not None and age < rule.minimum_age_seconds and case.growth_ratio < YOUTH_FORFEIT:
        return f"it is {age:.0f} s old, younger than the policy's {rule.minimum_age_seconds:.0f} s"
    if _freed(case, with_pod=rule.allows("evict")) < SMALLEST_FREED * pressure.need_bytes:
        return "ending it would free too little"
    if scored.score < pressure.threshold_score:
        return f"its score is below the threshold of {pressure.threshold_score:.0f}"
    return None


def _freed(case: Case, *, with_pod: bool) -> int:
    gain = freed(case.container, swap_counts=case.domain.kind == "node", with_pod=with_pod)
    return _local(case.container, case.domain, gain)


def _order(candidate: Candidate, now: datetime) -> tuple[bool, float, int, float, str]:
    age = age_seconds(candidate.container, now)
    return (
        candidate.excluded is not None,
        -candidate.badness,
        -(candidate.freed_bytes // MIB),
        age if age is not None else float("inf"),
        candidate.container.id,
    )


def _pod_key(container: Container) -> str:
    return container.pod_uid or f"{container.namespace}/{container.pod or container.id}"


def _local(container: Container, domain: Domain, amount: int) -> int:
    """The part of an amount that lives inside the domain: on a NUMA node only its share."""
    if domain.kind == "numa":
        return int(amount * share_on(container, int(domain.name)))
    return amount


def _idle(container: Container) -> float:
    """1 when every process sleeps: the sleeping are preferred to the running."""
    processes = container.processes
    if processes is None or processes.running is None:
        return 0.0
    seen = processes.running + (processes.sleeping or 0) + (processes.uninterruptible or 0)
    looked_at = seen if processes.sleeping is not None else max(seen, processes.count)
    return 1 - processes.running / looked_at if looked_at else 0.0
