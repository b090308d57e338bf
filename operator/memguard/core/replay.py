"""The same decisions again, from a trace: what happened, or what would have.

A victim chosen here is gone from the snapshots that follow: they are read with it removed and its bytes given back,
and it is never chosen twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import datetime
from typing import Literal

import msgspec

from memguard.core.domain import domains
from memguard.core.explain import sentence
from memguard.core.footprint import freed, share_on, swapped, unreclaimable
from memguard.core.history import History, after_victim, forget_gauge, observe
from memguard.core.ladder import choose_action
from memguard.core.model import Cgroup, Container, Record, Snapshot
from memguard.core.policy import Action, Plan
from memguard.core.select import Ranking, judge
from memguard.core.trace import LEARNING, Event, Header, Line, PlanChange, Reading

#: Whose victims are gone from the snapshots that follow.
Going = Literal["all", "enforced", "none"]
#: How many candidates a decision lists.
LISTED = 12


class Ranked(Record, frozen=True, kw_only=True):
    """A candidate in a decision's list."""

    id: str
    score: int


class Decision(Record, frozen=True, kw_only=True):
    """One choice, as `memguard replay` prints it."""

    taken_at: datetime
    domain: str
    action: Action
    victim: str
    need_bytes: int
    freed_bytes: int
    score: int
    badness: float
    reason: str
    candidates: tuple[Ranked, ...]


class Summary(Record, frozen=True, kw_only=True):
    """How much was replayed."""

    snapshots: int
    decisions: int


class Report(Record, frozen=True, kw_only=True):
    """Everything that a replay decided."""

    decisions: tuple[Decision, ...]
    summary: Summary


class Replayer:
    """Feeds lines through the chain, one by one; `history` and `plan` are what the next line is judged with.

    Which victims go: all of them; those that the plan would really end; or none, where what was recorded is looked at
    and not what would have come of it.
    """

    def __init__(self, plan: Plan | None = None, *, victims_go: Going = "all") -> None:
        self.plan = plan or Plan()
        self._victims_go = victims_go
        self.history = History()
        self.gone: set[str] = set()
        self.evicted: set[str] = set()
        self.snapshots = 0
        self.ranking: Ranking | None = None

    def feed(self, line: Line) -> Decision | None:
        """The decision that this line leads to, if any."""
        if isinstance(line, Header | PlanChange):
            self.plan = line.plan
        if isinstance(line, Event) and line.kind == "line":
            self.history = forget_gauge(self.history, line.subject)
        if not isinstance(line, Reading):
            return None
        self.snapshots += 1
        snapshot = without(line.snapshot, self.gone, self.evicted)
        if line.domain == LEARNING:
            self.history = observe(self.history, snapshot, tuple(domains(snapshot, self.plan)))
            return None
        self.history, self.ranking = judge(self.history, snapshot, self.plan, within=line.domain)
        decision = decide(self.ranking, self.plan)
        if decision is not None and self._goes(self.ranking):
            self.gone.add(decision.victim)
            if decision.action == "evict":
                self.evicted |= _pod_of(decision.victim, snapshot)
                self.gone |= self.evicted
            self.history = after_victim(self.history, snapshot.seconds, foreign=self.ranking.foreign_growth)
        return decision

    def _goes(self, ranking: Ranking) -> bool:
        if self._victims_go != "enforced" or ranking.victim is None:
            return self._victims_go == "all"
        return self.plan.mode_for(ranking.victim.container) == "Enforce"


def replay(lines: Iterable[Line], plan: Plan | None = None) -> Report:
    """All decisions of a trace."""
    replayer = Replayer(plan)
    decisions = tuple(decision for line in lines if (decision := replayer.feed(line)) is not None)
    return Report(decisions=decisions, summary=Summary(snapshots=replayer.snapshots, decisions=len(decisions)))


def decide(ranking: Ranking, plan: Plan) -> Decision | None:
    """The ranking's victim and what is to be done to it."""
    victim = ranking.victim
    if victim is None:
        return None
    return Decision(
        taken_at=ranking.taken_at,
        domain=ranking.domain.key,
        action=choose_action(ranking, victim, plan.rule_for(victim.container)),
        victim=victim.container.id,
        need_bytes=ranking.pressure.need_bytes,
        freed_bytes=victim.freed_bytes,
        score=victim.scored.score,
        badness=round(victim.badness, 4),
        reason=sentence(ranking),
        candidates=tuple(Ranked(id=c.container.id, score=c.scored.score) for c in ranking.candidates[:LISTED]),
    )


def without(snapshot: Snapshot, gone: Set[str], evicted: Set[str] = frozenset()) -> Snapshot:
    """The snapshot as it would be had these containers ended: removed, and what they hold now given back.

    Those `evicted` among them ended with their pods, so that memory-backed volumes are given back too.
    """
    ended = [container for container in snapshot.containers if container.id in gone]
    if not ended:
        return snapshot
    memory = snapshot.node.memory
    returned = {c.id: freed(c, swap_counts=False, with_pod=c.id in evicted) for c in ended}
    back = sum(returned.values())
    slots = sum(swapped(container.memory) for container in ended)
    node = msgspec.structs.replace(
        snapshot.node,
        memory=msgspec.structs.replace(
            memory,
            available_bytes=min(memory.total_bytes, memory.available_bytes + back),
            free_bytes=_at_most(memory.total_bytes, memory.free_bytes, back),
            swap_free_bytes=_at_most(memory.swap_total_bytes, memory.swap_free_bytes, slots),
        ),
        numa=tuple(
            msgspec.structs.replace(
                numa,
                free_bytes=min(
                    numa.total_bytes,
                    numa.free_bytes + sum(int(returned[c.id] * share_on(c, numa.node)) for c in ended),
                ),
            )
            for numa in snapshot.node.numa
        ),
    )
    return msgspec.structs.replace(
        snapshot,
        node=node,
        containers=tuple(c for c in snapshot.containers if c.id not in gone),
        cgroups=tuple(_shrunk(cgroup, ended) for cgroup in snapshot.cgroups),
    )


def _at_most(total: int | None, free: int | None, returned: int) -> int | None:
    """What is free after some came back; None where it is not known."""
    if free is None:
        return None
    return free + returned if total is None else min(total, free + returned)


def _pod_of(container_id: str, snapshot: Snapshot) -> set[str]:
    """The ids of all containers of its pod, its own among them."""
    victim = next(c for c in snapshot.containers if c.id == container_id)
    pod = (victim.namespace, victim.pod, victim.pod_uid)
    return {c.id for c in snapshot.containers if (c.namespace, c.pod, c.pod_uid) == pod}


def _shrunk(cgroup: Cgroup, ended: list[Container]) -> Cgroup:
    inside = [container for container in ended if container.cgroup.startswith(cgroup.path + "/")]
    held = sum(unreclaimable(container.memory) for container in inside)
    used = cgroup.unreclaimable_bytes
    return msgspec.structs.replace(
        cgroup,
        current_bytes=max(0, cgroup.current_bytes - sum(c.memory.current_bytes for c in inside)),
        unreclaimable_bytes=None if used is None else max(0, used - held),
    )
