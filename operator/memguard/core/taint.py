"""Keeping new pods away from a node that is short of memory: a taint, put on soon and taken off late. Pure.

PreferNoSchedule when the node is to run out of memory within minutes or restarts in place do not help there, NoSchedule
when it has touched its reserve; neither sooner than the policy allows (never, by default), and off after five calm
minutes, or when nobody reports.
"""

from __future__ import annotations

from typing import Literal

from memguard.core.model import Level, Record

KEY = "memguard.io/memory-pressure"
#: So long a node must have been calm.
CALM_SECONDS = 300.0
#: A node that will have nothing left within this time takes no more pods if there is another.
SOON_SECONDS = 300.0

Effect = Literal["PreferNoSchedule", "NoSchedule"]
#: What a policy allows: nothing, the first, or both.
TaintBehaviour = Literal["Never", "PreferNoSchedule", "NoSchedule"]


class Trouble(Record, frozen=True, kw_only=True):
    """What the taint looks at. `calm_seconds`: since when the node is calm; None while it is not."""

    level: Level
    exhaustion_seconds: float | None = None
    calm_seconds: float | None = None
    weary: bool = False


def effect(before: Effect | None, trouble: Trouble | None, allowed: TaintBehaviour) -> Effect | None:
    """The taint from now on; `trouble` None: nobody reports, so nothing is known."""
    if allowed == "Never" or trouble is None:
        return None
    if trouble.level == "Critical":
        return allowed
    if before is not None and allowed == "PreferNoSchedule":  # a policy may allow less than it did
        before = "PreferNoSchedule"
    if trouble.level == "Tight" and (_soon(trouble) or trouble.weary):
        return before or "PreferNoSchedule"
    calm = trouble.calm_seconds is not None and trouble.calm_seconds >= CALM_SECONDS
    return None if calm else before


def _soon(trouble: Trouble) -> bool:
    left = trouble.exhaustion_seconds
    return left is not None and left <= SOON_SECONDS
