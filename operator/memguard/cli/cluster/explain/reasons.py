"""Why a pod's containers would, or would not, be chosen now, by what their node last said of itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from memguard.api.node_memory import NodeMemoryStatus, TopContainer
from memguard.cli.cluster.stops import Stop
from memguard.cli.cluster.top.standing import state
from memguard.cli.counterfactual import fewest_to_win
from memguard.core.compile import Compiled
from memguard.core.explain import size
from memguard.core.model import Bytes, Container, Identity, Record, unread
from memguard.core.policy import Mode, Rule
from memguard.core.pressure import THRESHOLD_SCALE
from memguard.core.select import exclusion


class Treatment(Record, frozen=True, kw_only=True):
    """How a container is treated: the policy that counts for it, as far as it is granted."""

    policy: str
    mode: Mode
    adjustment: int
    protected: bool
    actions: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Reasons(Record, frozen=True, kw_only=True):
    """One container now. `rank`: its place among the ten of its node's report, None where it is none of them.

    `why`: whether it would be chosen, and why; `changes`: what would have to be different for it to be.
    """

    name: str
    rank: int | None
    score: int | None
    threshold_score: float | None
    footprint_bytes: Bytes | None
    limit_bytes: Bytes | None
    treatment: Treatment
    why: str
    changes: tuple[str, ...] = ()


def reasons(
    identity: Identity, status: NodeMemoryStatus, compiled: Compiled, stops: tuple[Stop, ...], *, heeded: bool
) -> Reasons:
    """All about one container, on a node that stands like this, and heeds what stops it, or does not."""
    place = next((place for place, one in enumerate(status.top, 1) if one.id == identity.id), None)
    entry = status.top[place - 1] if place else None
    container = unread(identity)
    rule = compiled.plan.rule_for(container)
    never = exclusion(container, rule, compiled.plan)
    return Reasons(
        name=identity.name or identity.id[:12],
        rank=place,
        score=entry.score if entry else None,
        threshold_score=status.threshold_score,
        footprint_bytes=entry.footprint_bytes if entry else None,
        limit_bytes=entry.limit_bytes if entry else None,
        treatment=_treatment(rule, container, compiled),
        why=_why(entry, status, never),
        changes=tuple(_changes(entry, status, never, compiled.plan.mode_for(container), rule, _stopped(stops, heeded))),
    )


def _treatment(rule: Rule, container: Container, compiled: Compiled) -> Treatment:
    return Treatment(
        policy=rule.policy,
        mode=compiled.plan.mode_for(container),
        adjustment=rule.adjustment,
        protected=rule.protected,
        actions=rule.actions,
        notes=tuple(note.reason for note in compiled.notes if note.policy == rule.policy),
    )


def _why(entry: TopContainer | None, status: NodeMemoryStatus, never: str | None) -> str:
    if never is not None:
        return f"it is never chosen: {never}"
    if entry is None:
        return _beyond(status)
    if entry.excluded is None:
        return f"it may be chosen: its score of {entry.score} reaches the threshold of {status.threshold_score:.0f}"
    if state(entry) != "below the threshold":
        return f"it is not chosen: {entry.excluded}"
    if status.threshold_score is not None and status.threshold_score <= 1000:
        return f"it is not chosen: its score of {entry.score} is below the threshold of {status.threshold_score:.0f}"
    return f"nobody is chosen: {_calm(status)}"


def _beyond(status: NodeMemoryStatus) -> str:
    """None of the ten; the guard looks at all containers, but reports no more."""
    if not status.top:
        return "its node's report names no container"
    return (
        f"it is none of the {len(status.top)} containers nearest to being chosen on its node; the last of them scores "
        f"{status.top[-1].score}"
    )


def _calm(status: NodeMemoryStatus) -> str:
    headroom = status.headroom_bytes
    left = "" if headroom is None else f", {size(abs(headroom))} {'above' if headroom >= 0 else 'below'} the reserve"
    return (
        f"its node is {status.level or 'silent'}{left}, and at pressure {status.pressure or 0.0:.2f} no score suffices"
    )


def _changes(
    entry: TopContainer | None,
    status: NodeMemoryStatus,
    never: str | None,
    mode: Mode,
    rule: Rule,
    stopped: tuple[str, ...],
) -> Iterator[str]:
    if never is not None:
        yield f"no score and no pressure does, as long as {never}"
        return
    if entry is not None and entry.excluded is not None:
        yield from _more(entry, status)
    if mode == "Observe":
        yield f"{rule.policy or 'no policy'} only observes: it would be recorded, and not ended, until it says Enforce"
    elif status.mode == "Observe" and not stopped:
        yield "its node only observes (kubectl memguard doctor --node says why): it would be recorded, and nothing done"
    yield from stopped


def _stopped(stops: tuple[Stop, ...], heeded: bool) -> tuple[str, ...]:
    words = "nothing is enforced there: paused by" if heeded else "its node's guard did not heed the stop, and may act:"
    return tuple(f"{words} {stop.words}" for stop in stops)


def _more(entry: TopContainer, status: NodeMemoryStatus) -> Iterator[str]:
    if state(entry) != "below the threshold":
        yield f"no score does, as long as {entry.excluded}"
        return
    if status.threshold_score is not None and status.threshold_score <= 1000:
        points = fewest_to_win(entry.score, status.threshold_score, None)
        if points is not None:
            yield f"with {points} points more it would reach the threshold"
    if entry.score:
        needed = 1 - sqrt(entry.score / THRESHOLD_SCALE)
        now = f"(now {status.pressure or 0.0:.2f})"
        yield f"at a pressure of {needed:.2f} {now} its score of {entry.score} would reach the threshold"
