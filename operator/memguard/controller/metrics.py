"""What Prometheus reads of the operator: the figures of core/catalogue.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from memguard.core.catalogue import metric
from memguard.core.decision import Decision, Outcome
from memguard.core.scorecard import Tally
from memguard.service.board import Board


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
        reaction = metric("memguard_operator_reaction_seconds")
        self._reaction = Histogram(reaction.name, reaction.help, buckets=reaction.buckets, registry=self.registry)
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

    def refused(self, reason: str) -> None:
        """A victim could not be touched."""
        self._refusals.labels(cause=cause(reason)).inc()

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


def cause(reason: str) -> str:
    """The kind of a refusal, by its words."""
    for words, kind in _CAUSES.items():
        if words in reason:
            return kind
    return "kind"


_CAUSES = {
    "PodDisruptionBudget": "disruption_budget",
    "is refused": "refused",  # in the server's words, which may be anything
    "budget of": "budget",
    "policy": "policy",
    "ending already": "gone",
    "no longer there": "gone",
}


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
        yield _gauge("memguard_operator_leading", {(): float(view.leading)})
        yield _gauge("memguard_operator_nodes", {(level,): float(count) for level, count in view.levels.items()})
        yield _gauge("memguard_operator_attended_nodes", {(): float(view.attended)})
        yield _gauge("memguard_operator_decisions", {(): float(view.decisions)})
        yield _gauge("memguard_tainted_nodes", {(): float(view.tainted)})
        tally = view.tally
        verdicts = {"hit": tally.hits, "false_alarm": tally.false_alarms, "miss": tally.misses}
        yield _gauge("memguard_scorecard", {(verdict,): float(count) for verdict, count in verdicts.items()})
        yield _gauge("memguard_fairness_ratio", {(group,): ratio for group, ratio in view.fairness.items()})
        yield _gauge("memguard_learned_points", {(name,): float(points) for name, points in view.points.items()})
        yield _gauge("memguard_watch_age_seconds", {(name,): age for name, age in view.watch_ages.items()})
        yield _counter("memguard_watch_failures_total", {(name,): n for name, n in view.watch_failures.items()})
        yield _counter("memguard_events_dropped_total", {(): view.events_dropped})


def _gauge(name: str, values: Mapping[tuple[str, ...], float]) -> Family:
    one = metric(name)
    family = GaugeMetricFamily(one.name, one.help, labels=one.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(name: str, values: Mapping[tuple[str, ...], int]) -> Family:
    one = metric(name)
    family = CounterMetricFamily(one.name, one.help, labels=one.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def busiest(points: Mapping[str, int], count: int = 10) -> dict[str, int]:
    """Those with most points, either way."""
    return dict(sorted(points.items(), key=lambda pair: -abs(pair[1]))[:count])
