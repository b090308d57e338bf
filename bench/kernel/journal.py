"""memguard's journal as the guest brought it back: decisions, outcomes and alarms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True)
class Journal:
    """The lines of one run. What is no JSON object (a traceback, a warning) is in `noise`."""

    lines: tuple[Line, ...] = ()
    noise: tuple[str, ...] = field(default=())

    def of(self, kind: str) -> list[Line]:
        """All lines of a kind, in order."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def deeds(self) -> list[Line]:
        """Decisions that were carried out."""
        return [line for line in self.of("decision") if line["mode"] == "Enforce"]

    @property
    def victims(self) -> list[str]:
        """Names of those that were acted on, in order."""
        return [line["victim"]["name"] for line in self.deeds]

    @property
    def decision_ms(self) -> list[float]:
        """From the wake-up to the deed, for each decision."""
        return [max(line["timing"].values(), default=0.0) * 1000 for line in self.deeds]


def read_journal(log: Iterable[str]) -> Journal:
    """The journal out of a guard's output."""
    lines, noise = [], []
    for text in log:
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and "kind" in line:
            lines.append(line)
        else:
            noise.append(text)
    return Journal(tuple(lines), tuple(noise))
