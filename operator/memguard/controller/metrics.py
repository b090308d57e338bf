"""What Prometheus reads of the operator: the figures of core/catalogue.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from memguard.core.decision import Decision, Outcome
from memguard.core.refusal import Refusal
from memguard.core.scorecard import Tally
from memguard.service.board import Board, family_of


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand when somebody asks."""

    leading: bool = False
    levels: Mapping[str, int] = {}
    attended: int = 0
    decisions: int = 0
    tainted: int = 0
    tally: Tally = Tally()
    fairness: Mapping[str, float] = {}
    points: Mapping[str, int] = {}
    watch_ages: Mapping[str, float] = {}
    watch_failures: Mapping[str, int] = {}
    events_dropped: int = 0


class Metrics:
    """The operator's. `registry` is what the exposition is made of; `view` tells how things stand."""

    def __init__(self, view: Callable[[], View]) -> None:
        board = Board()
        self.registry = board.registry
        self._bounded = board.bounded
        self._decisions = board.counter("memguard_operator_decisions_total")
        self._refusals = board.counter("memguard_operator_refusals_total")
        self._freed = board.counter("memguard_operator_freed_bytes_total")
        self._unfinished = board.counter("memguard_operator_unfinished_total")
        self._doubted = board.counter("memguard_operator_reports_refused_total")
        self._failures = board.counter("memguard_operator_failures_total")
        self._expired = board.counter("memguard_operator_expired_decisions_total")
        self._reaction = board.histogram("memguard_operator_reaction_seconds")
        self.registry.register(_Standing(view))

    def decided(self, decision: Decision) -> None:
        """Something was decided."""
        outcome = "acted" if decision.mode == "Enforce" else "observed"
        self._decisions.labels(action=decision.action, outcome=outcome).inc()

    def ended(self, outcome: Outcome) -> None:
        """A pod that was evicted is gone, or should be."""
        self._freed.inc(outcome.freed_bytes)
        if not outcome.complete:
            self._unfinished.inc()

    def refused(self, why_not: Refusal) -> None:
        """A victim could not be touched."""
        self._refusals.labels(cause=why_not.cause).inc()

    def doubted(self, why: str) -> None:
        """A report makes no sense."""
        self._doubted.labels(cause=why).inc()

    def failed(self, what: str) -> None:
        """A request failed."""
        self._failures.labels(what=self._bounded("what", what)).inc()

    def expired(self, count: int) -> None:
        """Records were deleted."""
        self._expired.inc(count)

    def reacted(self, seconds: float) -> None:
        """A report was answered."""
        self._reaction.observe(seconds)


class _Standing(Collector):
    """The metrics of the view, whenever they are asked for."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def describe(self) -> Iterable[Family]:
        """Nothing: what is known beforehand is what the catalogue says."""
        return ()

    def collect(self) -> Iterator[Family]:
        """All of them."""
        view = self._view()
        tally = view.tally
        verdicts = {"hit": tally.hits, "false_alarm": tally.false_alarms, "miss": tally.misses}
        yield _one("memguard_operator_leading", view.leading)
        yield _each("memguard_operator_nodes", view.levels)
        yield _one("memguard_operator_attended_nodes", view.attended)
        yield _one("memguard_operator_records", view.decisions)
        yield _one("memguard_tainted_nodes", view.tainted)
        yield _each("memguard_operator_scorecard", verdicts)
        yield _each("memguard_fairness_ratio", view.fairness)
        yield _each("memguard_learned_points", view.points)
        yield _each("memguard_watch_age_seconds", view.watch_ages)
        yield _each("memguard_watch_failures_total", view.watch_failures)
        yield _one("memguard_events_dropped_total", view.events_dropped)


def _one(name: str, value: float) -> Family:
    return family_of(name, [((), float(value))])


def _each(name: str, values: Mapping[str, float]) -> Family:
    """By its only label."""
    return family_of(name, (((label,), float(value)) for label, value in values.items()))
