"""The operator's own decisions, as core knows them: by a ranking of what a node reports, or without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memguard.controller.archive import BY_REPORT
from memguard.controller.resources import Report
from memguard.core.decision import Decision, decision_of, victim_of
from memguard.core.explain import sentence
from memguard.core.history import History
from memguard.core.model import Container
from memguard.core.select import Ranking
from memguard.core.timeline import before

#: Hears of each decision, with the title of the policy that treats the victim.
Decided = Callable[[Decision, str], None]


def foreseen(history: History, ranking: Ranking, **facts: Any) -> Decision:
    """To have the first of the ranking go, with what the reports before showed."""
    victim, at = ranking.candidates[0].container, ranking.taken_at.timestamp()
    led_to_it = before(history, ranking.domain.key, victim.id, at)
    return decision_of(ranking, trigger=BY_REPORT, reason=sentence(ranking), timeline=led_to_it, **facts)


def unranked(container: Container, report: Report, trigger: str, **facts: Any) -> Decision:
    """About this one, whoever stands beside it."""
    return Decision(
        mode="Enforce",
        domain="node",
        trigger=trigger,
        victim=victim_of(container),
        pressure=0.0,
        threshold_score=0.0,
        available_bytes=report.available_bytes,
        reserve_bytes=report.reserve_bytes,
        fall_bytes_per_second=0,
        need_bytes=0,
        expected_bytes=0,
        score=0,
        badness=0.0,
        **facts,
    )
