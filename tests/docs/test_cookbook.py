"""The recipes of docs/cookbook.md do what the words above them say."""

from __future__ import annotations

import re

import pytest
from tests.core.make import container
from tools.generate_cookbook import COOKBOOK, compiled, recipes

from memguard.core.compile import Compiled
from memguard.core.policy import Rule

TITLES = re.findall(r"^## \d+\. (.*)$", COOKBOOK.read_text(), re.MULTILINE)
RECIPES = dict(zip(TITLES, recipes(COOKBOOK.read_text()), strict=True))


def plan(title: str, node_labels: dict[str, str] | None = None) -> Compiled:
    return compiled(RECIPES[title], node_labels)


def rule(found: Compiled, name: str = "app", namespace: str = "shop", **labels: str) -> Rule:
    return found.plan.rule_for(container("a", namespace=namespace, name=name, labels=labels))


def clipped(found: Compiled) -> set[str]:
    return {note.field for note in found.notes if note.kind == "Clipped"}


def test_there_are_twelve_and_each_has_a_check() -> None:
    assert len(RECIPES) == 12
    with open(__file__) as source:
        text = source.read()
    assert [title for title in TITLES if f'"{title}"' not in text] == []


@pytest.mark.row("K2")
@pytest.mark.parametrize("title", TITLES)
def test_every_recipe_compiles_without_a_conflict(title: str) -> None:
    notes = [note for note in plan(title).notes if note.kind not in ("Clipped", "First", "Later")]
    assert notes == []


def test_watching_changes_nothing_but_whose_score_it_is() -> None:
    found = rule(plan("Watch one team before anything is done"))
    assert (found.mode, found.policy) == ("Observe", "shop/watch")


def test_enforcing_is_for_one_namespace() -> None:
    found = plan("Enforce in one namespace")
    assert rule(found).mode == "Enforce"
    assert rule(found, namespace="web").mode == "Observe"
    assert (rule(found).grace_seconds, rule(found).guard_limit, rule(found).adjustment) == (0, False, 0)


def test_workers_go_before_the_checkout() -> None:
    found = plan("Workers first, checkout last")
    assert rule(found, tier="worker").adjustment - rule(found, app="checkout", tier="worker").adjustment == 400
    assert rule(found, app="web").mode == "Observe"
    assert clipped(found) == set()


def test_a_report_is_asked_under_its_line() -> None:
    found = rule(plan("A clean end at the container's own limit"), app="report")
    assert (found.mode, found.guard_limit, found.grace_seconds) == ("Enforce", True, 0.3)
    assert (found.allows("brake"), found.allows("terminate"), found.allows("kill")) == (True, True, True)


def test_only_the_sidecar_is_ended() -> None:
    found = plan("The sidecar may go, the main container not")
    assert (rule(found, "log-shipper").mode, rule(found, "log-shipper").guard_limit) == ("Enforce", True)
    assert rule(found, "app").mode == "Observe"


def test_the_cache_is_given_more_first() -> None:
    found = rule(plan("More memory instead of an end"), app="cache")
    assert (found.largest_limit_bytes, found.allows("resize"), found.guard_limit) == (2 << 30, True, True)


def test_who_listens_is_told() -> None:
    found = rule(plan("Told before anything else happens"), listens="true")
    assert (found.notify_signal, found.grace_seconds, found.allows("notify")) == ("SIGUSR1", 2, True)


def test_the_database_is_protected_where_the_administrators_allow_it() -> None:
    title = "A database that is never ended"
    assert rule(plan(title), app="postgres").protected
    elsewhere = plan(title, {"pool": "web"})
    assert not rule(elsewhere, app="postgres").protected
    assert clipped(elsewhere) == {"protected"}


def test_batch_nodes_enforce_and_turn_pods_away() -> None:
    title = "A pool for batch work"
    found = plan(title)
    assert (found.cluster, found.taint, rule(found).mode) == ("batch", "NoSchedule", "Enforce")
    assert found.plan.settings.reserve_cap_bytes == 2 << 30
    assert found.plan.budget.per_namespace == 50
    assert rule(plan(title, {"pool": "web"})).mode == "Observe"


def test_nobody_opts_out() -> None:
    found = plan("Rules for everybody")
    greedy = rule(found)
    assert (greedy.mode, greedy.adjustment, greedy.protected, greedy.grace_seconds) == ("Enforce", -100, False, 10)
    assert clipped(found) == {"mode", "adjustment", "protected", "stop.graceMilliseconds"}
    assert rule(found, namespace="web").mode == "Enforce"


def test_the_young_are_spared_and_ends_are_few() -> None:
    found = plan("Slow starters")
    search = rule(found, app="search")
    assert search.minimum_age_seconds == 120
    assert (found.plan.budget.narrowed(search.budget).per_container, clipped(found)) == (1, set())


def test_a_quorum_is_overridden_only_where_it_says_so() -> None:
    found = plan("A quorum that must not lose two")
    assert rule(found, app="ledger").override_disruption_budget
    assert not rule(found, app="web").override_disruption_budget
