"""What guard and agent have to say to each other, and when: plan, names and orders in, status and news out."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from memguard.core.link import Mapping, NewPlan, Order, Status, ToGuard, Top
from memguard.core.model import Level
from memguard.core.policy import DEFAULT_RULE
from memguard.core.select import Candidate, Ranking
from memguard.errors import LinkError
from memguard.guard.config import wrong_signals
from memguard.guard.liaison import Liaison
from memguard.guard.outbox import Outbox
from memguard.guard.roster import Roster
from memguard.guard.standing import LISTED, Paces, level, top

if TYPE_CHECKING:
    from memguard.guard.loop import Guard

#: Of the list, kept for those whose limit may be raised.
RAISABLE = 3
#: Between two words on how things stand, by level; a change of the level is said at once.
_PAUSES: Final[dict[Level, float]] = {"Calm": 30.0, "Tight": 5.0, "Critical": 1.0}


class Address(NamedTuple):
    """Where the agent comes to: the socket, and the user that it must be."""

    socket_path: str
    peer_uid: int


class Dialogue:
    """The guard's side of it."""

    def __init__(self, guard: Guard, address: Address, roster: Roster, outbox: Outbox) -> None:
        self._guard, self._roster, self._outbox = guard, roster, outbox
        self._liaison = Liaison(
            address.socket_path,
            address.peer_uid,
            outbox,
            version=guard.report.version,
            ears=guard.ears,
            heard=self._heard,
            trouble=guard.report.trouble,
        )
        self._started_at = guard.clock.today()
        self._plan: str | None = None
        self._level: Level | None = None
        self._paces = Paces()
        self._told_at: float | None = None

    def speak(self, now: float) -> None:
        """In quiet times: what waits, and how things stand when that is due."""
        self._liaison.flush()
        if not self._liaison.clear:
            self._told_at = None  # whoever comes is told at once
            return
        current = level(self._guard.lookout.headroom, self._guard.scene.reserve_bytes, self._level)
        if current != self._level or self._told_at is None or now - self._told_at >= _PAUSES[current]:
            self._level, self._told_at = current, now
            self._liaison.tell(self._status(current))

    def close(self) -> None:
        """The last words, as far as the agent takes them."""
        self._liaison.flush()
        self._liaison.close()
        self._outbox.close()

    def _heard(self, message: ToGuard) -> None:
        match message:
            case NewPlan(plan=plan):
                for field, name in wrong_signals(plan):
                    raise LinkError(f"the plan's {field} is {name!r}, which no process hears")
                self._plan = plan.version
                self._guard.adopt(plan)
                self._guard.report.say("plan", version=plan.version, acts=plan.acts)
                self._told_at = None  # the answer: the plan that is in force
            case Mapping():
                self._guard.discovery.acquaint(self._roster.follow(message))
            case Order():
                self._guard.report.answered(self._guard.court.obey(message, self._guard.ward_of(message.container_id)))

    def _status(self, current: Level) -> Status:
        guard = self._guard
        ranking = guard.court.outlook()
        node = guard.scene.memory()
        wards = guard.watch.wards.values()
        return Status(
            at=guard.clock.today(),
            started_at=self._started_at,
            version=guard.report.version,
            level=current,
            total_bytes=node.total_bytes,
            available_bytes=node.available_bytes,
            reserve_bytes=guard.scene.node_reserve_bytes,
            headroom_bytes=guard.lookout.headroom,
            containers=len(wards),
            unmapped=sum(map(guard.fitness.is_unmapped, wards)),
            plan=self._plan,
            unfit=guard.watch.terms.unfit,
            mode="Enforce" if guard.plan.acts and guard.watch.terms.unfit is None else "Observe",
            pressure=round(ranking.pressure.pressure, 4),
            threshold_score=round(ranking.pressure.threshold_score, 1),
            exhaustion_seconds=ranking.pressure.exhaustion_seconds,
            domain=guard.scene.nearest,
            stall=guard.scene.stall(),
            lines=guard.limits.states,
            top=self._listed(ranking),
            capabilities=guard.capabilities(),
            kernel_oom_kills=guard.kills.total,
            budget_refusals=guard.court.budget_refusals,
            budget_overrides=guard.court.budget_overrides,
            brake_seconds=guard.limits.brake_seconds,
            steps=dict(guard.report.steps),
            turns=guard.turns,
            awake_seconds=round(guard.awake_seconds, 6),
            cpu_seconds=time.process_time(),
            resident_bytes=_resident_bytes(),
            dropped_lines=guard.report.dropped_lines,
            dropped_news=self._outbox.dropped_news,
        )

    def _listed(self, ranking: Ranking) -> tuple[Top, ...]:
        """The nearest to being chosen; those whose limit may be raised have a place, the nearest to it first."""
        tops = [self._top(candidate) for candidate in self._nearest(ranking)]
        self._paces.forget_others({one.id for one in tops})
        raisable = sorted((one for one in tops[LISTED:] if one.largest_limit_bytes), key=_limit_seconds)[:RAISABLE]
        return (*tops[: LISTED - len(raisable)], *raisable)

    def _top(self, candidate: Candidate) -> Top:
        ward = self._guard.watch.wards.get(candidate.container.cgroup)
        rule, spared = (ward.rule, ward.forbidden is not None) if ward else (DEFAULT_RULE, True)
        found = top(candidate, self._guard.court.history, rule, spared=spared)
        if found.largest_limit_bytes is None:
            return found
        seconds = self._paces.limit_seconds(found, self._guard.clock.monotonic())
        return found if seconds is None else msgspec.structs.replace(found, limit_seconds=seconds)

    def _nearest(self, ranking: Ranking) -> list[Candidate]:
        """Those that people know of, the nearest to being chosen first; who may never be chosen comes last."""
        wards = self._guard.watch.wards
        forbidden = {path for path, ward in wards.items() if ward.forbidden is not None}
        known = [candidate for candidate in ranking.candidates if candidate.container.mapped]
        return sorted(known, key=lambda candidate: candidate.container.cgroup in forbidden)


def _limit_seconds(one: Top) -> float:
    return math.inf if one.limit_seconds is None else one.limit_seconds


def _resident_bytes() -> int:
    """The second number of /proc/self/statm, in pages."""
    fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 128).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        os.close(fd)
