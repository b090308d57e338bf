"""The figures of an incident: the few that tell it (tiles), and all that were recorded, each with what it means.

The meanings are those of the kind's own fields: what `kubectl explain` says, too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec

from memguard.api.crd import kind_schema
from memguard.api.decision import MemoryGuardDecision
from memguard.cli.incident.incident import Incident
from memguard.cli.incident.moments import reaction
from memguard.cli.incident.words import deed, place, trigger_words
from memguard.cli.words import duration, near, times
from memguard.core.explain import size


class Tile(msgspec.Struct, frozen=True):
    """One of the few figures that tell the story: what it is, the figure, and what to compare it with."""

    label: str
    figure: str
    words: str


class Fact(msgspec.Struct, frozen=True):
    """One recorded figure and what it means; `code`: it is a name, shown as it is."""

    label: str
    value: str
    meaning: str
    code: bool = False


class Facts(msgspec.Struct, frozen=True):
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


def tiles(incident: Incident) -> tuple[Tile, ...]:
    """The story in figures; what is not known is left out."""
    return tuple(_tiles(incident))


def _tiles(incident: Incident) -> Iterator[Tile]:
    spec, status = incident.decision.spec, incident.decision.status
    line = "the line stood {} below the limit" if incident.own_limit else "of a reserve of {}"
    yield Tile(f"Left within {place(spec.domain)}", size(spec.available_bytes), line.format(size(spec.reserve_bytes)))
    left = incident.exhaustion_seconds
    if near(left):
        pace = f"at the pace of that moment, {size(spec.fall_bytes_per_second)} a second"
        yield Tile("Until nothing was left", duration(left), pace)
    took = reaction(incident)
    if took is not None:
        yield Tile("Reaction", took, "from the wake-up to the action")
    if status.freed_bytes is not None:
        after = f"in {duration(status.seconds)}; " if status.seconds is not None else ""
        yield Tile("Came back", size(status.freed_bytes), f"{after}{_wanted(incident)}")
    elif spec.expected_bytes:
        observed = spec.mode == "Observe"
        yield Tile(
            "Would have come back" if observed else "Expected back", size(spec.expected_bytes), _needed(incident)
        )


def _wanted(incident: Incident) -> str:
    return f"{size(incident.decision.spec.expected_bytes)} expected, {_needed(incident)}"


def _needed(incident: Incident) -> str:
    return f"{size(incident.decision.spec.need_bytes)} needed"


def facts(incident: Incident) -> tuple[Facts, ...]:
    """All that was recorded but for the candidates and the factors, which have tables of their own."""
    return (
        Facts("Where and when", tuple(_where(incident))),
        Facts("How short memory was", tuple(_shortage(incident))),
        Facts("What was done, and what it brought", tuple(_course(incident))),
    )


def _where(incident: Incident) -> Iterator[Fact]:
    spec = incident.decision.spec
    yield _fact("When", spec.taken_at.isoformat(" ", "milliseconds"), "taken_at")
    yield _fact("Node", spec.node, "node", code=True)
    yield _fact("Boundary", spec.domain, "domain", code=True)
    yield _fact("Led to by", trigger_words(spec.trigger), "trigger")
    yield _fact("Policy", spec.policy or "the built-in defaults", "policy", code=bool(spec.policy))
    yield Fact("Victim", incident.title, "The container that was chosen.", code=True)
    if spec.victim.workload:
        meaning = "What its history is kept under: the same after a restart."
        yield Fact("Workload", spec.victim.workload, meaning, code=True)
    yield Fact("Container's id", spec.victim.id, "As the runtime and the node's log call it.", code=True)
    if spec.victim.cgroup:
        yield Fact("Cgroup", spec.victim.cgroup, "Where the kernel keeps its account on the node.", code=True)
    yield _fact("Decision", spec.id, "id", code=True)


def _shortage(incident: Incident) -> Iterator[Fact]:
    spec = incident.decision.spec
    yield _fact("Left", size(spec.available_bytes), "available_bytes")
    yield _fact("Reserve", size(spec.reserve_bytes), "reserve_bytes")
    yield _fact("Falling by", f"{size(spec.fall_bytes_per_second)} a second", "fall_bytes_per_second")
    yield _fact("Need", size(spec.need_bytes), "need_bytes")
    if incident.ranked:
        yield _fact("Pressure", f"{spec.pressure:.2f}", "pressure")
        yield _fact("Threshold", f"{spec.threshold_score:.0f}", "threshold_score")
        yield _fact("Score", f"{spec.score} of 1000", "score")
        yield _fact("Badness", f"{spec.badness:.2f}", "badness")


def _course(incident: Incident) -> Iterator[Fact]:
    spec, status = incident.decision.spec, incident.decision.status
    yield _fact("Mode", spec.mode, "mode")
    yield _fact("Action", f"{spec.action}: it {deed(incident)}", "action")
    if spec.wanted is not None:
        yield _fact("Chosen", spec.wanted, "wanted")
    if spec.not_done_because:
        yield _fact("Not done because", spec.not_done_because, "not_done_because")
    yield _fact("Expected back", size(spec.expected_bytes), "expected_bytes")
    yield _outcome("Phase", status.phase, "phase")
    yield _outcome("Came back", None if status.freed_bytes is None else size(status.freed_bytes), "freed_bytes")
    yield _outcome("Took", None if status.seconds is None else duration(status.seconds), "seconds")
    if status.kill_seconds is not None:
        yield _outcome("Until the kill", duration(status.kill_seconds), "kill_seconds")
    if spec.mode == "Observe":
        yield _outcome("Verdict", status.verdict, "verdict")
    else:
        kills = status.kernel_oom_kills
        came = None if kills is None else times(kills) if kills else "it did not come"
        yield _outcome("Kernel's OOM killer", came, "kernel_oom_kills")


def _fact(label: str, value: str, field: str, *, code: bool = False) -> Fact:
    return Fact(label, value, _meanings("spec")[field], code)


def _outcome(label: str, value: str | None, field: str) -> Fact:
    return Fact(label, value or "not known", _meanings("status")[field])


@functools.cache
def _meanings(part: str) -> dict[str, str]:
    """The descriptions of the fields of spec or status, by our names for them."""
    described: dict[str, Any] = kind_schema(MemoryGuardDecision)["properties"][part]["properties"]
    kind = next(field.type for field in msgspec.structs.fields(MemoryGuardDecision) if field.name == part)
    return {field.name: described[field.encode_name]["description"] for field in msgspec.structs.fields(kind)}
