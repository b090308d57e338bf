"""What Prometheus reads: all of the catalogue and no more, bounded, and never backwards."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from tests.agent.guards import decision, observed, outcome, standing, status, victim
from tests.guard import exposition

from memguard.agent.metrics import Metrics, View
from memguard.agent.oom import Death
from memguard.core.catalogue import CATALOGUE, SECTIONS, metric
from memguard.core.decision import AlarmKind, Step
from memguard.core.link import Capability
from memguard.core.model import Stall
from memguard.core.scorecard import Tally
from memguard.service.board import MOST_VALUES, OTHERS

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)

FULL = status(
    level="Tight",
    plan="v1",
    exhaustion_seconds=12.0,
    stall=Stall(some_total_seconds=3.0, full_total_seconds=1.0),
    lines={"armed": 2},
    top=(standing(1), standing(2, limit_seconds=None)),
    capabilities=(Capability(name="host-pid", ok=True), Capability(name="signals", ok=False)),
    budget_refusals=3,
    brake_seconds=1.5,
    turns=100,
    awake_seconds=0.5,
    cpu_seconds=0.25,
    resident_bytes=17 << 20,
    dropped_lines=1,
    dropped_news=2,
)


class Board:
    """Metrics and the view that they show."""

    def __init__(self) -> None:
        self.view = View()
        self.metrics = Metrics(lambda: self.view)

    def shows(self, **facts: Any) -> None:
        self.view = View(**facts)

    def read(self) -> dict[str, exposition.Family]:
        """Through a reader that is stricter than Prometheus; without those that every Python process shows."""
        text = generate_latest(self.metrics.registry).decode()
        lines = [line for line in text.splitlines(keepends=True) if not re.match(r"(# (HELP|TYPE) )?process_", line)]
        return exposition.parse("".join(lines))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def full(board: Board) -> Board:
    board.shows(
        status=FULL,
        connected=True,
        tally=Tally(hits=1, false_alarms=2, misses=3),
        plan_made_at=AT,
        plan_current=True,
        reported_at=AT,
        watch_ages={"pods": 1.0},
        watch_failures={"pods": 2},
    )
    board.metrics.decided(decision(), "shop/strict")
    board.metrics.finished(outcome())
    board.metrics.killed(Death(at=0, count=2, scope="process", victim=victim()))
    return board


def test_everything_of_the_catalogue_is_shown_and_nothing_else(full: Board) -> None:
    assert set(full.read()) == {one.name for one in CATALOGUE}


def test_with_its_words_its_kind_and_its_labels(full: Board) -> None:
    for name, family in full.read().items():
        one = metric(name)
        labels = {key for _, pairs in family.samples for key, _ in pairs} - {"le"}
        assert (family.words, family.kind, labels) == (one.help, one.kind, set(one.labels)), name


def test_before_anything_happened_counters_stand_at_nothing(board: Board) -> None:
    """A rise from nothing is none to Prometheus. A guard's stand at nothing when it has begun and says so."""
    board.shows(status=status())
    shown: dict[str, set[float]] = {}
    for family in board.metrics.registry.collect():
        for sample in family.samples:
            shown.setdefault(sample.name, set()).add(sample.value)
    counters = {one.name for one in CATALOGUE if one.kind == "counter"}
    later = {"memguard_decisions_total", "memguard_watch_failures_total"}
    psi = {"memguard_node_memory_waiting_seconds_total", "memguard_node_memory_stalled_seconds_total"}
    assert [name for name in counters - later - psi if shown.get(name) != {0.0}] == []


def test_a_decision_is_counted_with_its_policy(full: Board) -> None:
    full.metrics.decided(observed(), "cluster/default")
    labels = {"namespace": "shop", "trigger": "line", "action": "kill"}
    assert full.value("memguard_decisions_total", policy="shop/strict", outcome="acted", **labels) == 1
    assert full.value("memguard_decisions_total", policy="cluster/default", outcome="observed", **labels) == 1
    assert full.value("memguard_reaction_seconds_count") == 1, "what is only observed took no time"
    assert full.value("memguard_reaction_seconds_bucket", le="0.001") == 1
    assert full.value("memguard_reaction_seconds_bucket", le="0.0005") == 0


def test_the_decisions_name_is_the_exemplar(full: Board) -> None:
    text = openmetrics.generate_latest(full.metrics.registry, version="1.0.0").decode()
    assert f'le="0.001"}} 1.0 # {{decision="{decision().id}"}} 0.0007' in text
    assert text.endswith("# EOF\n")


def test_outcomes_and_what_they_gave_back(full: Board) -> None:
    full.metrics.finished(outcome(complete=False, freed_bytes=0, seconds=2.0))
    assert full.value("memguard_outcomes_total", action="kill") == 2
    assert full.value("memguard_incomplete_outcomes_total", action="kill") == 1
    assert full.value("memguard_freed_bytes_total", action="kill") == 1 << 30
    assert full.value("memguard_release_seconds_total", action="kill") == 2.05


def test_the_guards_counters_are_those_of_its_status(full: Board) -> None:
    counted = (("budget_refusals", 3), ("brake_seconds", 1.5), ("guard_turns", 100), ("guard_awake_seconds", 0.5))
    more = (("guard_cpu_seconds", 0.25), ("journal_dropped_lines", 1), ("guard_dropped_news", 2))
    for name, value in (*counted, *more):
        assert full.value(f"memguard_{name}_total") == value


@pytest.mark.row("K9")
def test_what_the_kernel_did_is_counted_by_namespace(full: Board) -> None:
    full.metrics.killed(Death(at=0, count=3, scope="node"))
    assert full.value("memguard_kernel_oom_kills_total", namespace="shop", scope="process") == 2
    assert full.value("memguard_kernel_oom_kills_total", namespace="", scope="node") == 3


@pytest.mark.parametrize("kind", get_args(AlarmKind))
def test_alarms_by_kind(board: Board, kind: AlarmKind) -> None:
    board.metrics.alarmed(kind)
    assert board.value("memguard_alarms_total", kind=kind) == 1


def test_orders_by_what_became_of_them(board: Board) -> None:
    for accepted in (True, False, False):
        board.metrics.ordered(accepted=accepted)
    assert board.value("memguard_orders_total", result="accepted") == 1
    assert board.value("memguard_orders_total", result="refused") == 2


def test_a_container_is_shown_only_while_it_is_among_the_first(full: Board) -> None:
    labels = {"namespace": "shop", "pod": "pod-1", "container": "app"}
    assert full.value("memguard_container_score", **labels) == 499
    full.shows(status=status(top=(standing(3), standing(4, pod=None))))
    assert full.value("memguard_container_score", **labels) is None
    assert len(full.read()["memguard_container_score"].samples) == 1, "and one that nobody can name is not"


def test_namespaces_without_end_are_counted_together(board: Board) -> None:
    for number in range(MOST_VALUES + 5):
        board.metrics.decided(decision(victim=victim(namespace=f"n{number}")), f"n{number}/strict")
    samples = board.read()["memguard_decisions_total"].samples
    assert len(samples) == MOST_VALUES + 1
    assert (
        board.value(
            "memguard_decisions_total", namespace=OTHERS, policy=OTHERS, trigger="line", action="kill", outcome="acted"
        )
        == 5
    )


COUNTED = "memguard_guard_turns_total"


def test_the_guards_counters_are_its_own(board: Board) -> None:
    """An agent that begins anew beside a guard that does not shows no rise, and no fall."""
    assert board.value(COUNTED) is None, "before it has said how it stands"
    for turns in (5, 9, 2):
        board.shows(status=status(turns=turns))
        assert board.value(COUNTED) == turns


def test_every_step_of_the_ladder_is_shown_from_the_start(board: Board) -> None:
    board.shows(status=status(steps={"hold": 3, "kill": 1}))
    counted = {step: board.value("memguard_ladder_steps_total", step=step) for step in get_args(Step)}
    assert counted == {"notify": 0, "reclaim": 0, "hold": 3, "brake": 0, "terminate": 0, "kill": 1}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_can_be_shown(name: str) -> None:
    board = Board()
    board.shows(status=status(top=(standing(1, pod=name or "x", name=name),)))
    board.metrics.decided(decision(trigger=name, victim=victim(namespace=name)), name)
    families = text_string_to_metric_families(generate_latest(board.metrics.registry).decode())
    shown = {family.name: family.samples for family in families}
    assert [one.labels["container"] for one in shown["memguard_container_score"]] == [name]
    assert [one.labels["policy"] for one in shown["memguard_decisions"]] == [name]


# --- the catalogue


@pytest.mark.parametrize("one", CATALOGUE, ids=[one.name for one in CATALOGUE])
def test_names_follow_the_conventions(one: Any) -> None:
    assert re.fullmatch(r"memguard_[a-z_]+", one.name)
    assert one.name.endswith("_total") == (one.kind == "counter")
    assert not re.search(r"_(milliseconds|ms|percent|mib|kib|minutes)(_|$)", one.name)
    assert one.help
    assert not one.help.endswith(".")
    assert {"pid", "uid", "id", "container_id", "pod_name"}.isdisjoint(one.labels)
    assert not one.values or len(one.labels) == 1


def test_each_stands_there_once() -> None:
    every = [one.name for section in SECTIONS.values() for one in section]
    assert len(set(every)) == len(every)
