"""How old is what a node says of itself, and is it too old to be true."""

from __future__ import annotations

from datetime import datetime

from memguard.api.node_memory import SILENT_SECONDS, NodeMemory


def age_seconds(report: NodeMemory, now: datetime) -> float | None:
    """Since the guard said it; None where it never spoke."""
    at = report.status.observed_at
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)


def silent(report: NodeMemory, now: datetime) -> bool:
    """Is it too old to be true?"""
    age = age_seconds(report, now)
    return age is None or age > SILENT_SECONDS
