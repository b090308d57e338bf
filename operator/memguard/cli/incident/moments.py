"""The moments of an incident, in the order of time: pictures mark them by their numbers, a list tells them in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from memguard.cli.incident.curves import available, crossing
from memguard.cli.incident.incident import Incident
from memguard.cli.incident.words import deed, trigger_words
from memguard.cli.words import duration
from memguard.core.explain import size

MomentKind = Literal["before", "step", "deed", "end"]
#: The guard's steps by the names that it gives them, and what the time until each is called.
STEPS = {
    "held": ("hold", "the fastest growers were held still"),
    "read": ("read", "their memory was read"),
    "ranked": ("rank", "they were ranked"),
    "acted": ("act", ""),
}


class Moment(msgspec.Struct, frozen=True):
    """Something that happened; `seconds` from the action, before it negative."""

    seconds: float
    kind: MomentKind
    words: str


class Span(msgspec.Struct, frozen=True):
    """What the guard did between two of its steps, in seconds from the action."""

    name: str
    begin: float
    end: float


def moments(incident: Incident) -> tuple[Moment, ...]:
    """All that is known of the course of it."""
    return tuple(sorted(_moments(incident), key=lambda moment: moment.seconds))


def spans(incident: Incident) -> tuple[Span, ...]:
    """The guard's steps, from the wake-up to the action; none for what the operator did."""
    steps = _steps(incident)
    return tuple(Span(STEPS.get(name, (name, ""))[0], begin, end) for (_, begin), (name, end) in pairwise(steps))


def _moments(incident: Incident) -> Iterator[Moment]:
    spec = incident.decision.spec
    reached = crossing(available(incident), spec.reserve_bytes)
    if reached is not None:
        yield Moment(reached, "before", _reached(incident))
    for name, at in _steps(incident):
        if name != "acted":
            yield Moment(at, "step", trigger_words(spec.trigger) if name == "woken" else STEPS.get(name, ("", name))[1])
    yield Moment(0.0, "deed", _deed(incident))
    yield from _end(incident)


def _reached(incident: Incident) -> str:
    left = size(incident.decision.spec.reserve_bytes)
    return (
        f"the line was crossed, {left} below the limit" if incident.own_limit else f"the reserve of {left} was reached"
    )


def _deed(incident: Incident) -> str:
    spec = incident.decision.spec
    why_not = f"; it was not, because {spec.not_done_because}" if spec.not_done_because else ""
    return f"it {deed(incident).partition(',')[0]}{why_not}"


def _end(incident: Incident) -> Iterator[Moment]:
    status = incident.decision.status
    if status.kill_seconds is not None:
        yield Moment(status.kill_seconds, "deed", "its time was over: it was killed")
    if status.seconds is None:
        return
    if status.phase == "Incomplete":
        yield Moment(status.seconds, "end", "it was still there, and nothing more was expected")
        return
    back = f", and {size(status.freed_bytes)} had come back" if status.freed_bytes is not None else ""
    yield Moment(status.seconds, "end", f"it was gone{back}")


def _steps(incident: Incident) -> list[tuple[str, float]]:
    """The wake-up and each step, by name, in seconds from the action; empty where none was timed."""
    timing = incident.decision.spec.timing
    if not timing:
        return []
    acted = timing.get("acted", max(timing.values()))
    return [("woken", -acted), *sorted(((name, at - acted) for name, at in timing.items()), key=lambda step: step[1])]


def reaction(incident: Incident) -> str | None:
    """From the wake-up to the action; None where it was not timed."""
    steps = _steps(incident)
    return duration(-steps[0][1]) if steps else None
