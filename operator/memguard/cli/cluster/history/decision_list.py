"""The decisions that were asked for, as kubectl lists objects."""

from __future__ import annotations

from memguard.api.decision import MemoryGuardDecision
from memguard.core.model import Record


class DecisionList(Record, frozen=True, kw_only=True):
    """The records themselves, the oldest first."""

    api_version: str = "v1"
    kind: str = "List"
    items: tuple[MemoryGuardDecision, ...]
