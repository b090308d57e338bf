"""The taint of each node, put on and taken off as core/taint says."""

from __future__ import annotations

from collections.abc import Callable

from memguard.controller.deeds import Deeds
from memguard.controller.resources import Report
from memguard.core.taint import KEY, Effect, TaintBehaviour, Trouble, effect
from memguard.kube.objects import Node

_EFFECTS: dict[str, Effect] = {"PreferNoSchedule": "PreferNoSchedule", "NoSchedule": "NoSchedule"}


class Taints:
    """Since when each node is calm; a node with our taint is looked at until it is off again."""

    def __init__(self, deeds: Deeds, clock: Callable[[], float]) -> None:
        self._deeds, self._clock = deeds, clock
        self._calm_since: dict[str, float] = {}

    def settle(self, node: Node, report: Report | None, allowed: TaintBehaviour, *, weary: bool) -> None:
        """Have the node's taint be what it is to be; `report` None: nobody says how it stands."""
        name, before = node.metadata.name, present(node)
        trouble = None if report is None else self._trouble(name, report, weary=weary)
        wanted = effect(before, trouble, allowed)
        if wanted != before:
            self._deeds.taint(node, wanted)
        if wanted is None and (report is None or report.level == "Calm"):
            self._calm_since.pop(name, None)

    def _trouble(self, name: str, report: Report, *, weary: bool) -> Trouble:
        if report.level != "Calm":
            self._calm_since.pop(name, None)
            return Trouble(level=report.level, exhaustion_seconds=report.exhaustion_seconds, weary=weary)
        since = self._calm_since.setdefault(name, self._clock())
        return Trouble(level="Calm", calm_seconds=self._clock() - since)


def present(node: Node) -> Effect | None:
    """Our taint on a node, if it is there."""
    return next((_EFFECTS.get(one.effect) for one in node.spec.taints or () if one.key == KEY), None)
