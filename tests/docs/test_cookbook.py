"""The recipes of docs/cookbook.md do what the words above them say."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
from tests.core.make import container
from tools.generate.cookbook import COOKBOOK, compiled, recipes

from memguard.core.compile import Compiled
from memguard.core.policy import Rule

TITLES = re.findall(r"^## \d+\. (.*)$", COOKBOOK.read_text(), re.MULTILINE)
RECIPES = dict(zip(TITLES, recipes(COOKBOOK.read_text()), strict=True))
#: What a recipe compiles to, on a node that it selects, or on one with other labels.
Plan = Callable[..., Compiled]


def rule(found: Compiled, name: str = "app", namespace: str = "shop", **labels: str) -> Rule:
    return found.plan.rule_for(container("a", namespace=namespace, name=name, labels=labels))


def clipped(found: Compiled) -> set[str]:
    return {note.field for note in found.notes if note.kind == "Clipped"}


def watching_changes_nothing_but_whose_score_it_is(plan: Plan) -> None:
    found = rule(plan())
    assert (found.mode, found.policy) == ("Observe", "shop/watch")


def enforcing_is_for_one_namespace(plan: Plan) -> None:
    found = plan()
    assert rule(found).mode == "Enforce"
    assert rule(found, namespace="web").mode == "Observe"
    assert (rule(found).grace_seconds, rule(found).guard_limit, rule(found).adjustment) == (0, False, 0)


def workers_go_before_the_checkout(plan: Plan) -> None:
    found = plan()
    assert rule(found, tier="worker").adjustment - rule(found, app="checkout", tier="worker").adjustment == 400
    assert rule(found, app="web").mode == "Observe"
    assert clipped(found) == set()


def a_report_is_asked_under_its_line(plan: Plan) -> None:
    found = rule(plan(), app="report")
    assert (found.mode, found.guard_limit, found.grace_seconds) == ("Enforce", True, 0.3)
    assert (found.allows("brake"), found.allows("terminate"), found.allows("kill")) == (True, True, True)


def only_the_sidecar_is_ended(plan: Plan) -> None:
    found = plan()
    assert (rule(found, "log-shipper").mode, rule(found, "log-shipper").guard_limit) == ("Enforce", True)
    assert rule(found, "app").mode == "Observe"


def the_cache_is_given_more_first(plan: Plan) -> None:
    found = rule(plan(), app="cache")
    assert (found.largest_limit_bytes, found.allows("resize"), found.guard_limit) == (2 << 30, True, True)


def who_listens_is_told(plan: Plan) -> None:
    found = rule(plan(), listens="true")
    assert (found.notify_signal, found.grace_seconds, found.allows("notify")) == ("SIGUSR1", 2, True)


def the_database_is_protected_where_the_administrators_allow_it(plan: Plan) -> None:
    assert rule(plan(), app="postgres").protected
    elsewhere = plan({"pool": "web"})
    assert not rule(elsewhere, app="postgres").protected
    assert clipped(elsewhere) == {"protected"}


def batch_nodes_enforce_and_turn_pods_away(plan: Plan) -> None:
    found = plan()
    assert (found.cluster, found.taint, rule(found).mode) == ("batch", "NoSchedule", "Enforce")
    assert found.plan.settings.reserve_cap_bytes == 2 << 30
    assert found.plan.budget.per_namespace == 50
    assert rule(plan({"pool": "web"})).mode == "Observe"


def nobody_opts_out(plan: Plan) -> None:
    found = plan()
    greedy = rule(found)
    assert (greedy.mode, greedy.adjustment, greedy.protected, greedy.grace_seconds) == ("Enforce", -100, False, 10)
    assert clipped(found) == {"mode", "adjustment", "protected", "stop.graceMilliseconds"}
    assert rule(found, namespace="web").mode == "Enforce"


def the_young_are_spared_and_ends_are_few(plan: Plan) -> None:
    found = plan()
    search = rule(found, app="search")
    assert search.minimum_age_seconds == 120
    assert (found.plan.budget.narrowed(search.budget).per_container, clipped(found)) == (1, set())


def a_quorum_is_overridden_only_where_it_says_so(plan: Plan) -> None:
    found = plan()
    assert rule(found, app="ledger").override_disruption_budget
    assert not rule(found, app="web").override_disruption_budget


CHECKS: dict[str, Callable[[Plan], None]] = {
    "Watch one team before anything is done": watching_changes_nothing_but_whose_score_it_is,
    "Enforce in one namespace": enforcing_is_for_one_namespace,
    "Workers first, checkout last": workers_go_before_the_checkout,
    "A clean end at the container's own limit": a_report_is_asked_under_its_line,
    "The sidecar may go, the main container not": only_the_sidecar_is_ended,
    "More memory instead of an end": the_cache_is_given_more_first,
    "Told before anything else happens": who_listens_is_told,
    "A database that is never ended": the_database_is_protected_where_the_administrators_allow_it,
    "A pool for batch work": batch_nodes_enforce_and_turn_pods_away,
    "Rules for everybody": nobody_opts_out,
    "Slow starters": the_young_are_spared_and_ends_are_few,
    "A quorum that must not lose two": a_quorum_is_overridden_only_where_it_says_so,
}


def test_each_recipe_has_its_check() -> None:
    assert list(CHECKS) == TITLES


@pytest.mark.row("K2")
@pytest.mark.parametrize("title", CHECKS)
def test_a_recipe_does_what_its_words_say(title: str) -> None:
    plan = partial(compiled, RECIPES[title])
    assert [note for note in plan().notes if note.kind not in ("Clipped", "First", "Later")] == []
    CHECKS[title](plan)
