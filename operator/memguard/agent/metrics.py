"""What Prometheus reads: the figures of core/catalogue.py, and no other.

What happened is counted here as it is told. How things stand is read from a view when somebody asks, so that nothing
has to be taken away again. The guard's own counters are its own: they begin anew with the guard and not with the agent,
and are not there before the guard has said how they stand.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import get_args

import msgspec
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from memguard import __version__
from memguard.agent.oom import Death
from memguard.core.catalogue import CATALOGUE, metric
from memguard.core.decision import AlarmKind, Decision, Outcome, Step
from memguard.core.link import Status, Top
from memguard.core.scorecard import Tally
from memguard.service.board import Board, family_of

#: The guard's own counters, by the field of its status.
_COUNTERS = {
    "memguard_budget_refusals_total": "budget_refusals",
    "memguard_disruption_budget_overrides_total": "budget_overrides",
    "memguard_brake_seconds_total": "brake_seconds",
    "memguard_guard_turns_total": "turns",
    "memguard_guard_awake_seconds_total": "awake_seconds",
    "memguard_guard_cpu_seconds_total": "cpu_seconds",
    "memguard_guard_dropped_news_total": "dropped_news",
    "memguard_journal_dropped_lines_total": "dropped_lines",
}

Labels = tuple[str, ...]
#: name, values of its labels, value
Sample = tuple[str, Labels, float]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand when somebody asks. Times are of the wall clock."""

    status: Status | None = None
    connected: bool = False
    tally: Tally = Tally()
    plan_made_at: datetime | None = None
    plan_current: bool = False
    broken_policies: int = 0
    reported_at: datetime | None = None
    spool_entries: int = 0
    spool_dropped: int = 0
    spool_refused: int = 0
    events_dropped: int = 0
    watch_ages: Mapping[str, float] = {}
    watch_failures: Mapping[str, int] = {}


class Metrics:
    """One agent's. `registry` is what the exposition is made of; `view` tells how things stand."""

    def __init__(self, view: Callable[[], View]) -> None:
        board = Board()
        self.registry, self._bounded = board.registry, board.bounded
        self._decisions = board.counter("memguard_decisions_total")
        self._freed_bytes = board.counter("memguard_freed_bytes_total")
        self._outcomes = board.counter("memguard_outcomes_total")
        self._incomplete = board.counter("memguard_incomplete_outcomes_total")
        self._release_seconds = board.counter("memguard_release_seconds_total")
        self._kernel_kills = board.counter("memguard_kernel_oom_kills_total")
        self._kernel_kills.labels(namespace="", scope="node")
        self._alarms = board.counter("memguard_alarms_total")
        self._orders = board.counter("memguard_orders_total")
        self._reaction = board.histogram("memguard_reaction_seconds")
        self.registry.register(_Standing(view))

    def decided(self, decision: Decision, policy: str) -> None:
        """A decision, carried out or not."""
        acted = decision.mode == "Enforce"
        self._decisions.labels(
            namespace=self._bounded("namespace", decision.victim.namespace or ""),
            policy=self._bounded("policy", policy),
            trigger=self._bounded("trigger", decision.trigger),
            action=decision.action,
            outcome="acted" if acted else "observed",
        ).inc()
        reaction = decision.timing.get("acted")
        if acted and reaction is not None:
            self._reaction.observe(reaction, {"decision": decision.id[:100]})

    def finished(self, outcome: Outcome) -> None:
        """What an action achieved."""
        self._outcomes.labels(action=outcome.action).inc()
        self._freed_bytes.labels(action=outcome.action).inc(outcome.freed_bytes)
        self._release_seconds.labels(action=outcome.action).inc(outcome.seconds)
        if not outcome.complete:
            self._incomplete.labels(action=outcome.action).inc()

    def killed(self, death: Death) -> None:
        """The kernel was faster."""
        namespace = (death.victim.namespace if death.victim else None) or ""
        self._kernel_kills.labels(namespace=self._bounded("namespace", namespace), scope=death.scope).inc(death.count)

    def alarmed(self, kind: AlarmKind) -> None:
        """Somebody must know."""
        self._alarms.labels(kind=kind).inc()

    def ordered(self, *, accepted: bool) -> None:
        """An order was answered."""
        self._orders.labels(result="accepted" if accepted else "refused").inc()


class _Standing(Collector):
    """The metrics of the view, whenever they are asked for."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def describe(self) -> Iterable[Family]:
        """Nothing: what is known beforehand is what the catalogue says."""
        return ()

    def collect(self) -> Iterable[Family]:
        """All of them, in the catalogue's order."""
        view = self._view()
        samples: dict[str, list[tuple[Labels, float]]] = {}
        for name, labels, value in standing(view):
            samples.setdefault(name, []).append((labels, value))
        return (family_of(one.name, samples[one.name]) for one in CATALOGUE if one.name in samples)


def _counters(status: Status) -> Iterator[Sample]:
    """The guard's own: they begin anew with it, which Prometheus understands."""
    for name, field in _COUNTERS.items():
        yield name, (), float(getattr(status, field))
    for step in get_args(Step):
        yield "memguard_ladder_steps_total", (step,), float(status.steps.get(step, 0))


def standing(view: View) -> Iterator[Sample]:
    """Every metric that tells how things stand."""
    status = view.status
    yield "memguard_guard_connected", (), float(view.connected)
    yield "memguard_build_info", (__version__, status.version if status else "", platform.python_version()), 1.0
    for verdict, count in (
        ("hit", view.tally.hits),
        ("false_alarm", view.tally.false_alarms),
        ("miss", view.tally.misses),
    ):
        yield "memguard_scorecard_total", (verdict,), count
    yield from _agent(view)
    if status is not None:
        yield from _counters(status)
        yield from _node(status)
        yield from _guard(status)
        for one in status.top:
            yield from _top(one)


def _agent(view: View) -> Iterator[Sample]:
    yield "memguard_plan_current", (), float(view.plan_current)
    yield "memguard_broken_policies", (), view.broken_policies
    yield "memguard_spool_entries", (), view.spool_entries
    yield "memguard_spool_dropped_total", (), view.spool_dropped
    yield "memguard_spool_refused_total", (), view.spool_refused
    yield "memguard_events_dropped_total", (), view.events_dropped
    if view.plan_made_at is not None:
        yield "memguard_plan_timestamp_seconds", (), view.plan_made_at.timestamp()
    if view.reported_at is not None:
        yield "memguard_last_report_timestamp_seconds", (), view.reported_at.timestamp()
    for resource, seconds in view.watch_ages.items():
        yield "memguard_watch_age_seconds", (resource,), seconds
    for resource, failures in view.watch_failures.items():
        yield "memguard_watch_failures_total", (resource,), failures


def _node(status: Status) -> Iterator[Sample]:
    for level in metric("memguard_node_level").values:
        yield "memguard_node_level", (level,), float(level == status.level)
    yield "memguard_node_memory_bytes", (), status.total_bytes
    yield "memguard_node_available_bytes", (), status.available_bytes
    yield "memguard_node_reserve_bytes", (), status.reserve_bytes
    yield "memguard_node_headroom_bytes", (), status.headroom_bytes
    yield "memguard_node_pressure_ratio", (), status.pressure
    yield "memguard_node_threshold_score", (), status.threshold_score
    if status.exhaustion_seconds is not None:
        yield "memguard_node_exhaustion_seconds", (), status.exhaustion_seconds
    if status.stall is not None:
        yield "memguard_node_memory_waiting_seconds_total", (), status.stall.some_total_seconds
        yield "memguard_node_memory_stalled_seconds_total", (), status.stall.full_total_seconds
    yield "memguard_containers", (), status.containers
    yield "memguard_unmapped_containers", (), status.unmapped


def _guard(status: Status) -> Iterator[Sample]:
    yield "memguard_guard_fit", (), float(status.unfit is None)
    yield "memguard_guard_enforcing", (), float(status.mode == "Enforce")
    yield "memguard_last_look_timestamp_seconds", (), status.at.timestamp()
    for state, count in status.lines.items():
        yield "memguard_lines", (state,), count
    for name, ok in {one.name: one.ok for one in status.capabilities}.items():
        yield "memguard_capability", (name,), float(ok)
    if status.resident_bytes is not None:
        yield "memguard_guard_resident_bytes", (), status.resident_bytes


def _top(one: Top) -> Iterator[Sample]:
    labels = (one.namespace or "", one.pod or "", one.name or "")
    if one.pod:  # unmapped ones would all be called the same
        yield "memguard_container_score", labels, one.score
        yield "memguard_container_footprint_bytes", labels, one.footprint_bytes
        if one.limit_seconds is not None:
            yield "memguard_container_time_to_limit_seconds", labels, one.limit_seconds
