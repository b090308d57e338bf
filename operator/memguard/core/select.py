"""Who is chosen: exclusions with a reason, badness, and a deterministic order.

    badness = score/1000 + 0.1 min(freed, need)/need + 0.05 idle - 0.05 min(1, overshoot / (D/4))

Ties: freed (whole MiB) descending, the youngest, the id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf

import msgspec

from memguard.core.cases import Cases, local
from memguard.core.domain import Domain, domains
from memguard.core.exclusion import BELOW_THRESHOLD, exclusion, youth
from memguard.core.footprint import freed, lasting
from memguard.core.forecast import Sample
from memguard.core.history import Gauge, History, clear_at, observe, stall_ratio
from memguard.core.model import Container, Snapshot
from memguard.core.policy import Plan, Settings
from memguard.core.pressure import Pressure, assess
from memguard.core.score import Case, Score

MIB = 1 << 20
#: A victim that frees less than this share of the need would die for nothing.
SMALLEST_FREED = 0.005
#: Growth that the containers explain by less than this is somebody else's (the kernel, system.slice): alarm only...
EXPLAINED_SHARE = 0.5
#: ... unless this much of the reserve is gone: then a container dies rather than the node.
UNCONDITIONAL_LEVEL = 0.5
#: ... and not a second one within this time.
FOREIGN_SECONDS = 600.0
#: Who makes less than this share of the growth is a bystander: its end would buy memory and stop nothing. Culprits make
#: 0.4 to 1 (one of two hogs after two samples: 0.07).
BYSTANDER_GROWTH = 0.05
#: Right after one died for foreign growth, who makes less is no culprit: jitter of an innocent was up to 0.34.
CULPRIT_GROWTH = 0.4
#: Looks at a domain before its trend is evidence.
TRUSTED_SAMPLES = 4
#: What a domain must have lost in an episode, as a share of what is left, before growth is more than jitter: at looks
#: 5 ms apart one charge batch of 64 KiB is 13 MB/s.
NOTICED_LOSS = 0.125
#: With less time than this until a limit is reached, half of the margin is not waited for; where nobody looks all the
#: time, with less than this many looks, and on the node never (2 of 10 flat culprits of bench/victims came too late).
#: A stop signal needs the margin for its grace, so it is not waited for either where the policy wants one first. Who is
#: let off the brake of a probation makes up for it at full speed: with 40 ms 3 of 24 warm-ups that end 10 MiB below
#: their limit were killed, with 20 ms none of 40 (tests/kernel/test_false_alarms.py).
LATE_SECONDS, LATE_LOOKS = 0.02, 4
#: Whoever makes this share of the growth is not protected by its youth.
YOUTH_FORFEIT = 0.5


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One container of the domain with its score; `excluded` says why it may not be chosen, or is None."""

    container: Container
    scored: Score
    badness: float
    freed_bytes: int
    growth_ratio: float
    age_seconds: float | None
    excluded: str | None


class Ranking(msgspec.Struct, frozen=True, gc=False):
    """A domain at one moment: its pressure and its containers, those that may be chosen first, the worst first.

    `explained_ratio`: the share of the domain's growth that its containers make, 0..1. `sample_count`, `lost_bytes`:
    the looks of this episode, and what the domain lost over them. `graceful`: the first candidate's rule wants a stop
    signal. `late_seconds`: with less time than this nothing is waited for (inf: never wait). `foreign_spent`: a
    container died for foreign growth not long ago; `returning`: what it held is still coming back, and hides who grows.
    """

    taken_at: datetime
    domain: Domain
    pressure: Pressure
    candidates: tuple[Candidate, ...]

    explained_ratio: float
    sample_count: int
    lost_bytes: int
    graceful: bool
    late_seconds: float
    foreign_spent: bool
    returning: bool

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
        """Would ending a container not stop it? Once one dies all the same, rather than the node; then no more.

        Not until the next growth is measured, and is one container's: where nothing is left, nothing falls either, and
        while what the last one held comes back, any jitter is most of what falls. (In 2 of 30 runs on kernel 7.3 an
        innocent died so, as the second one for a hog in system.slice.)
        """
        if self.domain.is_own_limit:
            return False
        if self.foreign_growth:
            return self.foreign_spent or self.pressure.level < UNCONDITIONAL_LEVEL
        trusted = self.sample_count >= TRUSTED_SAMPLES and not self.returning
        measured = trusted and self.pressure.fall_bytes_per_second > 0
        guilty = self.best is not None and self.best.growth_ratio >= CULPRIT_GROWTH
        return self.foreign_spent and not (measured and guilty)

    @property
    def doubtful(self) -> bool:
        """Is there margin left to look again, and a reason to?

        At a container's own limit a few looks under the brake come first, and who does not grow there lives on. On the
        node a bystander does not die for what others do, as long as half of the reserve is there.
        """
        if self.domain.is_own_limit and self.pressure.fall_bytes_per_second <= 0:
            return True
        if self.pressure.level >= UNCONDITIONAL_LEVEL:
            return False
        trusted, left = self.sample_count >= TRUSTED_SAMPLES, self.pressure.exhaustion_seconds
        has_time = left is None or left > self.late_seconds
        if not self.domain.is_own_limit:
            return trusted and has_time and self.best is not None and self.best.growth_ratio < BYSTANDER_GROWTH
        if not trusted or self.lost_bytes < self.domain.available_bytes * NOTICED_LOSS:
            return True
        return not self.graceful and has_time

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


def rank_node(history: History, snapshot: Snapshot, plan: Plan) -> Ranking:
    """Rank the whole node's containers as things stand, without taking the snapshot into the history."""
    node = next(iter(domains(snapshot, plan)))
    pressure = assess(node, history.gauges.get(node.key, Gauge()), stall_ratio(history), plan.settings)
    return rank(history, snapshot, plan, node, pressure)


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
    cases = Cases(history, snapshot, plan, domain)
    candidates = [_candidate(case, scored, plan, pressure, refusals) for case, scored in cases.scored()]
    candidates.sort(key=_order)
    seen = history.gauges.get(domain.key, Gauge()).available
    lost = seen[0][1] - seen[-1][1] if seen else 0
    graceful = bool(candidates) and plan.rule_for(candidates[0].container).grace_seconds > 0
    spent = history.foreign_at is not None and snapshot.seconds - history.foreign_at < FOREIGN_SECONDS
    return Ranking(
        snapshot.taken_at,
        domain,
        pressure,
        tuple(candidates),
        cases.explained_ratio,
        len(seen),
        lost,
        graceful,
        _late_seconds(domain, seen, plan.settings),
        spent,
        snapshot.seconds < clear_at(history),
    )


def _late_seconds(domain: Domain, seen: Sequence[Sample], settings: Settings) -> float:
    if settings.patience_seconds is not None:  # who looks all the time
        return LATE_SECONDS
    if not domain.is_own_limit:
        return inf
    return max(LATE_SECONDS, LATE_LOOKS * (seen[-1][0] - seen[-2][0])) if len(seen) > 1 else LATE_SECONDS


def _candidate(case: Case, scored: Score, plan: Plan, pressure: Pressure, refusals: Refusals) -> Candidate:
    container, rule, domain, wanted = case.container, case.rule, case.domain, pressure.need_bytes
    gain = _freed(case, with_pod=False)
    at_most = _freed(case, with_pod=True) if lasting(container) and rule.allows("evict") else gain
    overshoot = max(0, gain - wanted)
    badness = (
        scored.score / 1000
        + 0.1 * min(gain, wanted) / wanted
        + 0.05 * _idle(container)
        - 0.05 * min(1.0, overshoot / (domain.scale_bytes / 4))
    )
    excluded = (
        exclusion(container, rule, plan) or refusals.get(container.id) or _unfit_now(case, scored, at_most, pressure)
    )
    return Candidate(container, scored, badness, gain, case.growth_ratio, case.age_seconds, excluded)


def _unfit_now(case: Case, scored: Score, freed_bytes: int, pressure: Pressure) -> str | None:
    """Why it is not chosen at this moment; `freed_bytes` by the action that frees most."""
    age, rule = case.age_seconds, case.rule
    if age is not None and age < rule.minimum_age_seconds and case.growth_ratio < YOUTH_FORFEIT:
        return youth(age, rule.minimum_age_seconds)
    if freed_bytes < SMALLEST_FREED * pressure.need_bytes:
        return "ending it would free too little"
    if scored.score < pressure.threshold_score:
        return f"{BELOW_THRESHOLD} of {pressure.threshold_score:.0f}"
    return None


def _freed(case: Case, *, with_pod: bool) -> int:
    gain = freed(case.container, swap_counts=case.domain.kind == "node", with_pod=with_pod)
    return local(case.container, case.domain, gain)


def _order(candidate: Candidate) -> tuple[bool, float, int, float, str]:
    age = candidate.age_seconds
    return (
        candidate.excluded is not None,
        -candidate.badness,
        -(candidate.freed_bytes // MIB),
        age if age is not None else inf,
        candidate.container.id,
    )


def _idle(container: Container) -> float:
    """1 when every process sleeps: the sleeping are preferred to the running."""
    processes = container.processes
    if processes is None or processes.running is None:
        return 0.0
    seen = processes.running + (processes.sleeping or 0) + (processes.uninterruptible or 0)
    looked_at = seen if processes.sleeping is not None else max(seen, processes.count)
    return 1 - processes.running / looked_at if looked_at else 0.0
