"""A recorded trace under a plan that was not in force then: who would have been ended, who only recorded. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from memguard.core.model import Bytes, Moment, Record
from memguard.core.policy import Action, Mode, Plan
from memguard.core.replay import Decision, Replayer
from memguard.core.trace import Header, Line, PlanChange, Reading

#: A guard that only observes says the same of the same container once in a minute.
REPEAT_SECONDS = 60.0


class TraceDecision(Record, frozen=True, kw_only=True):
    """One choice. `mode` Observe: it would have been recorded, and nothing done; `times`: so often, a minute apart."""

    at: Moment
    container: str
    action: Action
    mode: Mode
    policy: str
    domain: str
    score: int
    freed_bytes: Bytes
    reason: str
    times: int = 1


class TraceOutcome(Record, frozen=True, kw_only=True):
    """A trace under the plan that was in force, and under the simulated one."""

    trace: str
    node: str
    snapshots: int
    before: tuple[TraceDecision, ...]
    after: tuple[TraceDecision, ...]


#: The plan for the node of this name.
PlanFor = Callable[[str], Plan]


def decided(lines: Iterable[Line], plan_for: PlanFor | None) -> tuple[str, int, tuple[TraceDecision, ...]]:
    """The node, the number of snapshots, and what would have been decided; without `plan_for` under the trace's plans.

    Only who would really have been ended is gone from the snapshots that follow.
    """
    replayer = Replayer(victims_go="enforced")
    node, found = "", list[TraceDecision]()
    for line in lines if plan_for is None else _under(lines, plan_for):
        decision = replayer.feed(line)
        if isinstance(line, Reading):
            node = node or line.snapshot.node.name
        if decision is not None and isinstance(line, Reading):
            _add(found, _told(decision, line, replayer.plan))
    return node, replayer.snapshots, tuple(found)


def _under(lines: Iterable[Line], plan_for: PlanFor) -> Iterator[Line]:
    """The trace with this plan in the place of all of its own: which one is known from the node's name on."""
    planned = False
    for line in lines:
        if isinstance(line, Reading) and not planned:
            yield PlanChange(plan=plan_for(line.snapshot.node.name))
            planned = True
        if not isinstance(line, Header | PlanChange):
            yield line


def _told(decision: Decision, line: Reading, plan: Plan) -> TraceDecision:
    victim = next(one for one in line.snapshot.containers if one.id == decision.victim)
    return TraceDecision(
        at=decision.taken_at,
        container=victim.title,
        action=decision.action,
        mode=plan.mode_for(victim),
        policy=plan.rule_for(victim).policy,
        domain=decision.domain,
        score=decision.score,
        freed_bytes=decision.freed_bytes,
        reason=decision.reason,
    )


def _add(found: list[TraceDecision], one: TraceDecision) -> None:
    """What was told a moment ago is not told again."""
    last = next((it for it in reversed(found) if (it.container, it.domain) == (one.container, one.domain)), None)
    if last is None or last.mode == "Enforce":
        found.append(one)
        return
    if (one.at - last.at).total_seconds() >= REPEAT_SECONDS * last.times:
        counted = TraceDecision(
            **{name: getattr(last, name) for name in last.__struct_fields__} | {"times": last.times + 1}
        )
        found[found.index(last)] = counted
