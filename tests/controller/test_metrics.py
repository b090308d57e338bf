"""What Prometheus reads of the operator: all of the catalogue and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import get_args

import pytest
from prometheus_client import generate_latest
from tests.agent.guards import decision, observed, outcome
from tests.guard import exposition

from memguard.controller.metrics import Metrics, View
from memguard.core.catalogue import OPERATOR, metric
from memguard.core.refusal import Cause, Refusal
from memguard.core.scorecard import Tally
from memguard.service.board import MOST_VALUES, OTHERS

#: The operator has watches, and writes Events, as the agent does.
SHARED = {"memguard_watch_age_seconds", "memguard_watch_failures_total", "memguard_events_dropped_total"}
ALL = {one.name for one in OPERATOR} | SHARED
FULL = View(
    leading=True,
    levels={"Calm": 5, "Tight": 1},
    attended=1,
    decisions=7,
    tainted=1,
    tally=Tally(hits=1, false_alarms=2, misses=3),
    fairness={"namespace/shop": 1.25},
    points={"shop/Deployment/cart/app": -20},
    watch_ages={"nodes": 1.5},
    watch_failures={"nodes": 2},
    events_dropped=3,
)


class Board:
    """Metrics and the view that they show."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.metrics = Metrics(lambda: self.view)

    def text(self) -> str:
        """Without those that every Python process shows."""
        lines = generate_latest(self.metrics.registry).decode().splitlines(keepends=True)
        return "".join(line for line in lines if not re.match(r"(# (HELP|TYPE) )?process_", line))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def full() -> Board:
    board = Board(FULL)
    board.metrics.decided(decision())
    board.metrics.failed("unreachable")
    board.metrics.reacted(0.2)
    return board


@pytest.mark.row("K4")
def test_everything_of_the_catalogue_is_shown_and_nothing_else(full: Board) -> None:
    assert set(exposition.parse(full.text())) == ALL


@pytest.mark.row("K4")
def test_with_its_words_its_kind_and_its_labels(full: Board) -> None:
    for name, family in exposition.parse(full.text()).items():
        one = metric(name)
        labels = {key for _, pairs in family.samples for key, _ in pairs} - {"le"}
        assert (family.words, family.kind, labels) == (one.help, one.kind, set(one.labels)), name


def test_promtool_finds_nothing_to_say(full: Board) -> None:
    """Debian's prometheus brings promtool; without it the reader above, which is stricter, has the word."""
    text = full.text()
    assert exposition.parse(text)
    promtool = shutil.which("promtool")
    if promtool:
        ran = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_before_anything_happened_counters_stand_at_nothing() -> None:
    """A rise from nothing is none to Prometheus."""
    shown: dict[str, set[float]] = {}
    for family in Board(View()).metrics.registry.collect():
        for sample in family.samples:
            shown.setdefault(sample.name, set()).add(sample.value)
    counters = {name for name in ALL if metric(name).kind == "counter"}
    later = {"memguard_operator_decisions_total", "memguard_operator_failures_total", "memguard_watch_failures_total"}
    assert [name for name in counters - later if shown.get(name) != {0.0}] == []


def test_how_things_stand_is_the_views(full: Board) -> None:
    assert full.value("memguard_operator_leading") == 1
    assert full.value("memguard_operator_nodes", level="Tight") == 1
    assert full.value("memguard_operator_scorecard", verdict="false_alarm") == 2
    assert full.value("memguard_fairness_ratio", group="namespace/shop") == 1.25
    assert full.value("memguard_learned_points", workload="shop/Deployment/cart/app") == -20
    full.view = View()
    assert full.value("memguard_operator_leading") == 0
    assert full.value("memguard_fairness_ratio", group="namespace/shop") is None


def test_decisions_by_what_became_of_them(full: Board) -> None:
    full.metrics.decided(observed(action="evict"))
    assert full.value("memguard_operator_decisions_total", action="kill", outcome="acted") == 1
    assert full.value("memguard_operator_decisions_total", action="evict", outcome="observed") == 1


@pytest.mark.row("T3", "F1")
def test_what_evictions_gave_back(full: Board) -> None:
    full.metrics.ended(outcome(freed_bytes=100))
    full.metrics.ended(outcome(complete=False, freed_bytes=0))
    assert full.value("memguard_operator_freed_bytes_total") == 100
    assert full.value("memguard_operator_unfinished_total") == 1


@pytest.mark.row("K6")
@pytest.mark.parametrize("cause", get_args(Cause))
def test_a_refusal_is_counted_by_its_cause(full: Board, cause: Cause) -> None:
    full.metrics.refused(Refusal(cause=cause, words="in words"))
    assert full.value("memguard_operator_refusals_total", cause=cause) == 1


def test_every_cause_is_known_beforehand() -> None:
    assert set(get_args(Cause)) == set(metric("memguard_operator_refusals_total").values)


@pytest.mark.parametrize("why", metric("memguard_operator_reports_refused_total").values)
def test_reports_by_why_they_are_not_believed(full: Board, why: str) -> None:
    full.metrics.doubted(why)
    assert full.value("memguard_operator_reports_refused_total", cause=why) == 1


@pytest.mark.row("G4")
def test_the_time_from_a_report_to_the_deed(full: Board) -> None:
    assert full.value("memguard_operator_reaction_seconds_bucket", le="0.1") == 0
    assert full.value("memguard_operator_reaction_seconds_bucket", le="0.25") == 1


def test_failures_without_end_are_counted_together(full: Board) -> None:
    for number in range(MOST_VALUES + 5):
        full.metrics.failed(f"error {number}")
    assert full.value("memguard_operator_failures_total", what=OTHERS) == 6, "one is there already"


def test_records_that_were_deleted(full: Board) -> None:
    full.metrics.expired(3)
    assert full.value("memguard_operator_expired_decisions_total") == 3
