"""What is known of an incident: the decision as it was recorded, and what the cluster says of the pod since."""

from __future__ import annotations

from typing import Literal

import msgspec

from memguard.api.decision import MemoryGuardDecision, TimelinePoint
from memguard.cli.explanation import Explanation
from memguard.cli.journal import LoggedDecision, explanation_of, explanation_of_other
from memguard.cli.output import plain
from memguard.cli.view.table import SHORT_ID, label
from memguard.core.model import Moment, Record, container_title

#: Of a name in a heading; the whole name stands in the facts.
LONGEST_NAME = 96


class PodNow(Record, frozen=True, kw_only=True):
    """The victim's pod when the report is made; restarts, state and readiness are those of the victim's container.

    `deleted`: it is gone, or on its way out.
    """

    name: str
    namespace: str
    phase: str = ""
    restarts: int | None = None
    container_state: str = ""
    ready: bool | None = None
    node: str = ""
    deleted: bool = False


class Happening(Record, frozen=True, kw_only=True):
    """An Event about the pod. `source`: the component that told it."""

    at: Moment
    reason: str
    message: str = ""
    kind: Literal["Normal", "Warning"] = "Normal"
    source: str = ""


class Incident(Record, frozen=True, kw_only=True):
    """One decision and what came after. `pod` None: nobody was asked about it."""

    decision: MemoryGuardDecision
    pod: PodNow | None = None
    events: tuple[Happening, ...] = ()
    made_at: Moment

    @property
    def title(self) -> str:
        """The victim as a person calls it: namespace/pod/name, else what its cgroup is called."""
        victim = self.decision.spec.victim
        if victim.pod:
            return container_title(victim.namespace, victim.pod, victim.name)
        listed = next((one.title for one in self.decision.spec.candidates if one.id == victim.id), "")
        return label(listed or victim.cgroup or victim.id[:SHORT_ID]) or "an unnamed container"

    @property
    def subject(self) -> str:
        """Who it was done to: an eviction takes the whole pod."""
        spec = self.decision.spec
        if spec.action == "evict" and spec.victim.namespace and spec.victim.pod:
            return f"{spec.victim.namespace}/{spec.victim.pod}"
        return self.title

    @property
    def ranked(self) -> bool:
        """Was the victim chosen by its score? Not where a limit was raised, or a pod moved that kept being ended."""
        return bool(self.decision.spec.factors)

    @property
    def timeline(self) -> tuple[TimelinePoint, ...]:
        """Memory before and after the action, in the order of time."""
        decision = self.decision
        points = (*decision.spec.timeline, *(decision.status.timeline or ()))
        return tuple(sorted(points, key=lambda point: point.seconds))

    @property
    def own_limit(self) -> bool:
        """Was it about the limit of the victim or its pod? Then the reserve is what lies beyond the line."""
        return self.decision.spec.domain.startswith(("container:", "pod:"))

    @property
    def exhaustion_seconds(self) -> float | None:
        """When nothing would have been left at the pace of that moment; None where nothing shrank."""
        spec = self.decision.spec
        if spec.fall_bytes_per_second <= 0 or spec.available_bytes <= 0:
            return None
        return spec.available_bytes / spec.fall_bytes_per_second


def explained(incident: Incident) -> Explanation:
    """Why this one, why not the others, and what would have changed it. Raises msgspec.ValidationError."""
    return explanation_of(_logged(incident))


def others_explained(incident: Incident) -> tuple[Explanation, ...]:
    """The same of each that was compared with it, in the recorded order. Raises msgspec.ValidationError."""
    logged = _logged(incident)
    others = (one for one in logged.candidates if one.id != logged.victim.id)
    return tuple(explanation_of_other(one, logged) for one in others)


def _logged(incident: Incident) -> LoggedDecision:
    """As the guard's log has it, which is explained already."""
    return msgspec.convert(incident.decision.spec, LoggedDecision, from_attributes=True)


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name that fits a heading: harmless, and cut in the middle, where names differ least."""
    name = plain(name)
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[-half:]}"
