"""One plan of all policies: who counts, within which rails, and that nobody reaches beyond its own namespace."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.core import policies as any_
from tests.core.make import container
from tests.core.strategies import containers

from memguard.core.advice import Advice
from memguard.core.compile import MOST_NAMESPACE_BYTES, MOST_POLICIES, Compiled, compile_plan
from memguard.core.guardrails import DEADLY
from memguard.core.link import NewPlan, encode
from memguard.core.model import Container
from memguard.core.notes import MOST_COMPARED, Cluster, Named, Note, Tenant, conflicts
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec, Treatment
from memguard.core.policy import Plan, Rule

CART = container("a", namespace="shop", name="app", labels={"app": "cart", "tier": "web"})
NODE = {"pool": "batch", "zone": "a"}


def tenant(name: str, namespace: str = "shop", **spec: Any) -> Tenant:
    return Named(name=name, namespace=namespace, spec=msgspec.convert(spec, MemoryGuardPolicySpec))


def cluster(name: str, **spec: Any) -> Cluster:
    return Named(name=name, spec=msgspec.convert(spec, ClusterMemoryGuardPolicySpec))


def unreadable(name: str, namespace: str = "") -> Any:
    return Named(
        name=name, namespace=namespace, spec=None, problem="Expected `int`, got `str` - at `$.spec.adjustment`"
    )


def compiled(*policies: Any, advice: Advice | None = None) -> Compiled:
    ours = [policy for policy in policies if not policy.namespace]
    theirs = [policy for policy in policies if policy.namespace]
    return compile_plan(ours, theirs, NODE, advice or Advice())


def rule(found: Compiled, one: Container = CART) -> Rule:
    return found.plan.rule_for(one)


def notes(found: Compiled, kind: str) -> dict[str, str]:
    return {f"{note.policy} {note.field}".strip(): note.reason for note in found.notes if note.kind == kind}


# --- who counts


@pytest.mark.row("K2", "K5")
def test_without_any_policy_everything_is_observed_by_the_compiled_in_default() -> None:
    found = compiled()
    assert found.cluster == "default"
    assert rule(found).policy == "cluster/default"
    assert rule(found).mode == "Observe"
    assert found.notes == ()


BATCH = {"nodeSelector": {"matchLabels": {"pool": "batch"}}}
CHOICES = [
    ("an object called default overrides the compiled-in one", [cluster("default", precedence=9)], "default"),
    ("... where it selects the node", [cluster("default", nodeSelector={"matchLabels": {"pool": "web"}})], "default"),
    ("any other comes before it", [cluster("default", precedence=1000), cluster("z")], "z"),
    ("one for other nodes does not count", [cluster("a", nodeSelector={"matchLabels": {"pool": "web"}})], "default"),
    ("the highest precedence counts", [cluster("a", precedence=1), cluster("b", precedence=2, **BATCH)], "b"),
    ("among equals the alphabet", [cluster("b", **BATCH), cluster("a")], "a"),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("words", "policies", "expected"), CHOICES, ids=[row[0] for row in CHOICES])
def test_which_cluster_policy_counts(words: str, policies: list[Cluster], expected: str) -> None:
    assert compiled(*policies).cluster == expected


def test_a_default_for_other_nodes_leaves_the_compiled_in_one_here() -> None:
    found = compiled(cluster("default", nodeSelector={"matchLabels": {"pool": "web"}}, defaults={"mode": "Enforce"}))
    assert rule(found).mode == "Observe"


TENANTS = [
    ("the highest precedence", [tenant("a"), tenant("b", precedence=1)], "shop/b"),
    ("among equals the alphabet", [tenant("b"), tenant("a")], "shop/a"),
    ("only who selects", [tenant("a", selector={"matchLabels": {"app": "db"}}), tenant("b")], "shop/b"),
    ("only its containers", [tenant("a", containers=["sidecar"]), tenant("b", containers=["app"])], "shop/b"),
    ("only its namespace", [tenant("a", "ops"), tenant("b", "ops")], "cluster/default"),
    (
        "expressions count",
        [tenant("a", selector={"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), tenant("b")],
        "shop/b",
    ),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("words", "policies", "expected"), TENANTS, ids=[row[0] for row in TENANTS])
def test_which_tenants_policy_counts(words: str, policies: list[Tenant], expected: str) -> None:
    assert rule(compiled(*policies)).policy == expected


def test_labels_that_are_not_known_match_no_selector() -> None:
    unknown = container("a", namespace="shop", labels=None)
    missing = tenant("a", selector={"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]})
    assert rule(compiled(missing), unknown).policy == "cluster/default"
    assert rule(compiled(tenant("a")), unknown).policy == "shop/a"


@given(any_.clusters, any_.tenants, containers)
def test_the_first_policy_that_selects_a_container_is_its_rule(
    clusters: list[Cluster], tenants: list[Tenant], one: Container
) -> None:
    found = compile_plan(clusters, tenants, NODE)
    selecting = [
        policy
        for policy in tenants
        if policy.spec is not None
        and policy.namespace == one.namespace
        and policy.namespace not in found.plan.settings.protected_namespaces
        and (policy.spec.selector.selects_all or (one.labels is not None and policy.spec.selector.selects(one.labels)))
        and (not policy.spec.containers or one.name in policy.spec.containers)
    ]
    first = min(selecting, key=lambda policy: (-policy.spec.precedence, policy.name), default=None)
    expected = first.title if first else f"cluster/{found.cluster}"
    assert found.plan.rule_for(one).policy == expected


# --- everything arrives


def test_every_field_of_a_policy_arrives_in_its_rule() -> None:
    found = compiled(
        cluster("c", tenants={"protect": True}),
        tenant(
            "a",
            selector={
                "matchLabels": {"app": "cart"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}],
            },
            containers=["app"],
            mode="Enforce",
            adjustment=-100,
            protected=True,
            minimumAgeSeconds=30,
            limit={"guard": True, "maximum": "1Gi"},
            overrideDisruptionBudget=True,
            stop={"graceMilliseconds": 300, "signal": "SIGINT"},
            notify={"signal": "SIGUSR1", "directory": "/run/app"},
            actions=["terminate", "kill"],
            budget={"perContainer": 1, "perNamespace": 2},
        ),
    )
    plain = msgspec.to_builtins(rule(found))
    default = msgspec.to_builtins(Rule())
    assert {key for key in plain if plain[key] != default[key]} == set(default)
    assert (rule(found).grace_seconds, rule(found).stop_signal) == (0.3, "SIGINT")
    assert (rule(found).notify_signal, rule(found).notify_directory) == ("SIGUSR1", "/run/app")


def test_every_setting_arrives() -> None:
    found = compiled(
        cluster(
            "a",
            settings={
                "reserveRatio": 0.1, "reserveCap": "2Gi", "reliefRatio": 1.5, "horizonSeconds": 1, "patienceSeconds": 2,
                "marginRatio": 0.2, "margin": "32Mi", "weights": {"nice": 1}, "protectedNamespaces": ["ops"],
            },
            budget={"windowSeconds": 60, "perContainer": 1, "perNamespace": 2, "perNode": 4},
        ),
        advice=Advice(bias={"shop/x/app": 7}),
    ).plan  # fmt: skip
    assert msgspec.to_builtins(found.settings) == {
        "reserveRatio": 0.1, "reserveCapBytes": 2 << 30, "reliefRatio": 1.5, "horizonSeconds": 1.0,
        "patienceSeconds": 2.0, "patienceLooks": 6, "marginRatio": 0.2, "marginBytes": 32 << 20,
        "weights": {"nice": 1.0}, "protectedNamespaces": ("ops",),
    }  # fmt: skip
    assert msgspec.to_builtins(found.budget) == {
        "windowSeconds": 60.0, "perContainer": 1, "perNamespace": 2, "perNode": 4
    }  # fmt: skip
    assert found.bias == {"shop/x/app": 7}


@given(any_.clusters_or_broken, any_.tenants_or_broken, any_.advices)
def test_a_plan_survives_being_written_down(clusters: list[Cluster], tenants: list[Tenant], advice: Advice) -> None:
    plan = compile_plan(clusters, tenants, NODE, advice).plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


# --- guard-rails

CLIPPED = [
    ("mode", {"mode": "Enforce"}, {"enforce": False}, {"mode": "Observe"}),
    ("adjustment", {"adjustment": -500}, {}, {"adjustment": -300}),
    ("adjustment", {"adjustment": 500}, {"adjustment": {"max": 100}}, {"adjustment": 100}),
    ("protected", {"protected": True}, {}, {"protected": False}),
    ("minimumAgeSeconds", {"minimumAgeSeconds": 601}, {}, {"minimum_age_seconds": 600.0}),
    ("limit.guard", {"limit": {"guard": True}}, {"guardLimit": False}, {"guard_limit": False}),
    ("stop.graceMilliseconds", {"stop": {"graceMilliseconds": 30_001}}, {}, {"grace_seconds": 30.0}),
    ("actions", {"actions": ["reclaim", "kill"]}, {"actions": ["kill", "evict"]}, {"actions": ("kill",)}),
    ("actions", {"actions": ["notify"]}, {}, {"actions": ("notify", "kill", "evict")}),
    ("actions", {"actions": ["notify"]}, {"actions": ["notify"]}, {"actions": ("notify",)}),
    ("actions", {"actions": ["notify"]}, {"protect": True}, {"actions": ("notify",)}),
    ("budget.perContainer", {"budget": {"perContainer": 9}}, {}, {}),
    ("budget.perNamespace", {"budget": {"perNamespace": 99}}, {}, {}),
]


@pytest.mark.row("K2", "C2")
@pytest.mark.parametrize(("field", "asked", "rails", "granted"), CLIPPED)
def test_what_is_beyond_the_guard_rails_is_clipped_and_said(
    field: str, asked: dict[str, object], rails: dict[str, object], granted: dict[str, object]
) -> None:
    found = compiled(cluster("c", tenants=rails), tenant("a", **asked))
    assert {name: getattr(rule(found), name) for name in granted} == granted
    said = notes(found, "Clipped")
    kept = field == "actions" and granted["actions"] == ("notify",)
    assert set(said) == (set() if kept else {f"shop/a {field}"})
    assert all("cluster/c" in reason for reason in said.values())


def test_a_clip_tells_what_was_asked_what_is_granted_and_by_what() -> None:
    [note] = compiled(tenant("a", adjustment=-500)).notes
    assert note == Note(
        policy="shop/a",
        kind="Clipped",
        field="adjustment",
        asked="-500",
        granted="-300",
        reason="adjustment is -300 and not -500, by tenants.adjustment of cluster/default",
    )


def test_a_tenant_may_observe_unless_the_administrators_forbid_it() -> None:
    enforcing: dict[str, Any] = {"defaults": {"mode": "Enforce"}}
    assert rule(compiled(cluster("c", **enforcing), tenant("a"))).mode == "Observe"
    forbidden = compiled(cluster("c", **enforcing, tenants={"observe": False}), tenant("a"))
    assert rule(forbidden).mode == "Enforce"
    assert notes(forbidden, "Clipped").keys() == {"shop/a mode"}
    assert rule(compiled(cluster("c", tenants={"observe": False}), tenant("a"))).mode == "Observe"


def test_a_tenants_budget_is_within_the_nodes() -> None:
    found = compiled(
        cluster("c", budget={"perContainer": 2, "perNamespace": 5}), tenant("a", budget={"perContainer": 1})
    )
    budget = found.plan.budget.narrowed(rule(found).budget)
    assert (budget.per_container, budget.per_namespace, budget.per_node) == (1, 5, 20)


@pytest.mark.row("K2")
@given(any_.clusters, any_.tenants)
def test_no_rule_of_a_tenant_is_beyond_the_guard_rails(clusters: list[Cluster], tenants: list[Tenant]) -> None:
    found = compile_plan(clusters, tenants, NODE)
    fitting = [one.spec for one in clusters if one.name == found.cluster and one.spec.node_selector.selects(NODE)]
    whole = fitting[0] if fitting else ClusterMemoryGuardPolicySpec()
    rails, asked = whole.tenants, {policy.title: policy.spec for policy in tenants}
    for made in found.plan.rules[:-1]:
        assert rails.adjustment.min <= made.adjustment <= rails.adjustment.max
        assert made.minimum_age_seconds <= rails.max_minimum_age_seconds
        assert made.grace_seconds * 1000 <= rails.max_grace_milliseconds
        assert rails.protect or not made.protected
        assert rails.guard_limit or not made.guard_limit
        assert set(made.actions) <= set(rails.actions)
        assert rails.protect or set(made.actions) & set(DEADLY) or not set(rails.actions) & set(DEADLY)
        wanted = asked[made.policy].mode == "Enforce" and rails.enforce
        enforced = wanted or (asked[made.policy].mode, whole.defaults.mode, rails.observe) == (
            "Observe",
            "Enforce",
            False,
        )
        assert made.mode == ("Enforce" if enforced else "Observe")
        narrowed = found.plan.budget.narrowed(made.budget)
        assert narrowed.per_container <= whole.budget.per_container
        assert narrowed.per_namespace <= whole.budget.per_namespace


@given(any_.clusters, any_.tenants)
def test_what_is_not_said_to_be_clipped_was_granted(clusters: list[Cluster], tenants: list[Tenant]) -> None:
    found = compile_plan(clusters, tenants, NODE)
    untouched = {policy.title for policy in tenants} - {note.policy for note in found.notes if note.kind == "Clipped"}
    for policy in tenants:
        for made in found.plan.rules:
            if made.policy == policy.title and policy.title in untouched:
                assert (made.mode, made.adjustment, made.protected) == (
                    policy.spec.mode, policy.spec.adjustment, policy.spec.protected
                )  # fmt: skip
                assert (made.actions, made.guard_limit) == (policy.spec.actions, policy.spec.limit.guard)


# --- nobody reaches beyond its own namespace


@pytest.mark.row("K2")
@given(any_.clusters, any_.tenants_or_broken, containers, st.sampled_from(any_.NAMESPACES))
def test_a_tenant_never_affects_another_namespace(
    clusters: list[Cluster], tenants: list[Tenant], one: Container, namespace: str
) -> None:
    assume(one.namespace != namespace)
    without = [policy for policy in tenants if policy.namespace != namespace]
    full, less = compile_plan(clusters, tenants, NODE).plan, compile_plan(clusters, without, NODE).plan
    assert full.rule_for(one) == less.rule_for(one)
    assert (full.settings, full.budget, full.mode) == (less.settings, less.budget, less.mode)


@pytest.mark.parametrize("namespace", ["*", "s*", "[s]hop", "s?op"])
def test_a_namespace_that_could_mean_others_is_left_out(namespace: str) -> None:
    found = compiled(tenant("a", namespace, mode="Enforce", protected=True))
    assert [made.policy for made in found.plan.rules] == ["cluster/default"]
    assert notes(found, "Broken")


def test_one_namespace_cannot_fill_the_plan() -> None:
    found = compiled(*(tenant(f"p{index:03}", precedence=1) for index in range(MOST_POLICIES + 2)), tenant("z", "ops"))
    assert len(found.plan.rules) == MOST_POLICIES + 3
    assert f"{MOST_POLICIES} others" in notes(found, "Idle")[f"shop/p{MOST_POLICIES:03}"]


def listing(number: int, expressions: int = 32, values: int = 64, characters: int = 63) -> dict[str, Any]:
    """A selector that is as long as that."""
    listed = [f"{number}-{index}".ljust(characters, "x") for index in range(values)]
    wanted = [{"key": f"k{index}", "operator": "NotIn", "values": listed} for index in range(expressions)]
    return {"selector": {"matchExpressions": wanted}}


def test_nor_with_few_policies_that_are_large() -> None:
    found = compiled(
        cluster("c", defaults={"mode": "Enforce"}),
        tenant("first", mode="Enforce", containers=["app"], precedence=3),
        tenant("huge", protected=True, precedence=2, **listing(1)),
        tenant("last", mode="Enforce", precedence=1),
        tenant("z", "ops", mode="Enforce"),
    )
    assert [made.policy for made in found.plan.rules] == ["ops/z", "shop/first", "cluster/c", "cluster/c"]
    assert notes(found, "Idle").keys() == {"shop/huge", "shop/last"}
    assert found.plan.mode_for(CART) == "Enforce", "what comes before it counts"
    other = container("b", namespace="shop", name="sidecar", labels={})
    assert found.plan.mode_for(other) == "Observe", "it may have protected this one"
    assert found.plan.mode_for(container("c", namespace="mall")) == "Enforce"


@pytest.mark.parametrize("stop", [False, True])
def test_whatever_tenants_write_the_plan_fits_in_a_message(stop: bool) -> None:
    tenants = [tenant(f"p{n}", f"ns-{ns}", **listing(n, expressions=8)) for ns in range(250) for n in range(3)]
    found = compile_plan([], tenants, NODE, Advice(emergency_stop=stop))
    assert encode(NewPlan(plan=found.plan))
    few = compile_plan([], [one for one in tenants if one.namespace == "ns-0"], NODE)
    assert MOST_NAMESPACE_BYTES // 2 < len(msgspec.json.encode(few.plan)) < MOST_NAMESPACE_BYTES + 4096


def test_crafted_policies_are_compared_in_no_time() -> None:
    def spec(number: int) -> dict[str, Any]:
        values = [str(value) for value in range(64)]
        barred = [{"key": "a", "operator": "NotIn", "values": values}] * 30
        own = {"key": "z", "operator": "In", "values": [str(number)]}
        return {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}, *barred, own]}}

    tenants = [tenant(f"p{number:03}", **spec(number)) for number in range(MOST_POLICIES)]
    began = time.process_time()
    compile_plan([], tenants, NODE)
    assert list(conflicts([(one.title, one.spec) for one in tenants if one.spec])) == []
    assert time.process_time() - began < 2, "it was ten minutes"


def test_conflicts_are_told_of_the_first_policies_only() -> None:
    found = compiled(*(tenant(f"p{number:03}") for number in range(2 * MOST_COMPARED)))
    assert len(notes(found, "Idle")) == MOST_COMPARED - 1


# --- emergency stop, and what cannot be read


@pytest.mark.row("K8")
def test_a_policy_stops_the_nodes_that_it_selects_and_changes_nothing_else() -> None:
    ruling = cluster("pool", defaults={"mode": "Enforce"}, settings={"reserveRatio": 0.1}, taint="NoSchedule")
    theirs = tenant("cart", mode="Enforce", adjustment=7)
    before = compiled(ruling, theirs)
    assert (before.halted, before.plan.acts, before.taint) == ("", True, "NoSchedule")
    for stop in (cluster("a-stop", emergencyStop=True), cluster("z-stop", emergencyStop=True, precedence=1000)):
        after = compiled(ruling, theirs, stop)
        assert (after.halted, after.plan.acts, after.taint) == (stop.title, False, "Never")
        assert (after.cluster, after.plan.settings) == ("pool", before.plan.settings)
        assert rule(after).adjustment == 7
        assert not notes(after, "Tied")
    elsewhere = cluster("stop", emergencyStop=True, nodeSelector={"matchLabels": {"pool": "other"}})
    assert compiled(ruling, theirs, elsewhere) == before


def test_every_stop_is_named_and_one_that_stands_alone_leaves_the_defaults() -> None:
    stops = cluster("b", emergencyStop=True), cluster("a", emergencyStop=True)
    found = compiled(*stops, advice=Advice(emergency_stop=True))
    assert found.halted == "its NodeMemory, cluster/a, cluster/b"
    assert found == msgspec.structs.replace(compiled(), halted=found.halted)


@pytest.mark.row("K8")
def test_a_second_stop_changes_nothing_else_either() -> None:
    """Somebody stopped the policy that rules by hand, and `pause` makes another stop."""
    facts = {"settings": {"reserveRatio": 0.1, "protectedNamespaces": ["ops"]}, "budget": {"perNode": 3}}
    ruling = cluster("pool", emergencyStop=True, precedence=1, **facts)
    low = cluster("low", settings={"reserveRatio": 0.2})
    before = compiled(ruling, low)
    after = compiled(ruling, low, cluster("emergency-stop", emergencyStop=True, precedence=1000))
    assert after.halted == "cluster/emergency-stop, cluster/pool"
    assert (after.cluster, after.plan, after.notes) == ("pool", before.plan, before.notes)


@given(any_.clusters, any_.tenants, st.sets(st.sampled_from(["default", "a", "b"])))
def test_a_stop_changes_nothing_but_modes(clusters: list[Cluster], tenants: list[Tenant], whom: set[str]) -> None:
    """Whoever of them stops: who rules, its settings and its budgets stay."""
    clusters = [one for one in clusters if one.spec and one.spec.defaults != Treatment()]
    stopped = [
        Named(name=one.name, spec=msgspec.structs.replace(one.spec, emergency_stop=True))
        if one.name in whom and one.spec
        else one
        for one in clusters
    ]
    before, after = compile_plan(clusters, tenants, NODE), compile_plan(stopped, tenants, NODE)
    assert (after.cluster, after.plan.settings, after.plan.budget) == (
        before.cluster,
        before.plan.settings,
        before.plan.budget,
    )
    assert after.notes == before.notes
    assert [one.match for one in after.plan.rules] == [one.match for one in before.plan.rules]


@pytest.mark.row("K8")
def test_a_clusters_policy_that_cannot_be_read_is_a_stop() -> None:
    """It may have been one: nothing is enforced, nor tainted, and whose it is is told."""
    ruling = cluster("pool", defaults={"mode": "Enforce"}, taint="NoSchedule")
    found = compiled(ruling, unreadable("emergency-stop"))
    assert found.halted == "cluster/emergency-stop (it cannot be read)"
    assert (found.cluster, found.plan.acts, found.taint) == ("pool", False, "Never")


def test_a_policy_may_stop_itself() -> None:
    """Whoever sets it by hand on the policy that rules keeps all of its other fields."""
    found = compiled(cluster("default", emergencyStop=True, settings={"reserveRatio": 0.1}))
    assert (found.cluster, found.plan.settings.reserve_ratio, found.plan.acts) == ("default", 0.1, False)


def enforced(plan: Plan) -> list[Rule]:
    return [made for made in plan.rules if (made.mode or plan.mode) == "Enforce"]


@pytest.mark.row("K2")
@given(any_.clusters, any_.tenants)
def test_an_emergency_stop_enforces_nothing(clusters: list[Cluster], tenants: list[Tenant]) -> None:
    stopped = compile_plan(clusters, tenants, NODE, Advice(emergency_stop=True))
    assert not enforced(stopped.plan)
    running = compile_plan(clusters, tenants, NODE)
    assert len(stopped.plan.rules) == len(running.plan.rules)
    assert (stopped.plan.version == running.plan.version) == (not enforced(running.plan))


@pytest.mark.row("K2")
@given(any_.clusters_or_broken, any_.tenants_or_broken, containers)
def test_what_cannot_be_read_never_turns_enforce_on(
    clusters: list[Cluster], tenants: list[Tenant], one: Container
) -> None:
    found = compile_plan(clusters, tenants, NODE)
    if any(policy.spec is None for policy in clusters):
        assert not enforced(found.plan)
    if any(policy.spec is None and policy.namespace == one.namespace for policy in tenants):
        protected = one.namespace in found.plan.settings.protected_namespaces
        assert protected or found.plan.mode_for(one) == "Observe"
    broken = {policy.title for policy in (*clusters, *tenants) if policy.spec is None}
    assert {note.policy for note in found.notes if note.kind == "Broken"} == broken


def test_what_is_broken_is_told_with_its_problem() -> None:
    found = compiled(unreadable("c"), unreadable("a", "shop"), tenant("b", "shop", mode="Enforce"))
    said = notes(found, "Broken")
    assert said["shop/a"].startswith("it cannot be read, so nothing is enforced in namespace shop while it is there")
    assert "on any node" in said["cluster/c"]
    assert all("Expected `int`, got `str`" in reason for reason in said.values())


def test_a_broken_policy_stops_its_own_namespace_only() -> None:
    found = compiled(
        cluster("c", defaults={"mode": "Enforce"}),
        unreadable("a", "shop"),
        tenant("b", mode="Enforce", containers=["x"]),
    )
    assert rule(found).mode == "Observe"
    assert rule(found, container("b", namespace="shop", name="x")).mode == "Observe"
    assert rule(found, container("c", namespace="ops")).mode == "Enforce"


# --- ties, and policies that never count

TIES = [
    ("both select all", {}, {}, "Idle"),
    ("one selects less, but comes later", {}, {"selector": {"matchLabels": {"app": "x"}}}, "Idle"),
    (
        "they may meet",
        {"selector": {"matchLabels": {"app": "x"}}},
        {"selector": {"matchLabels": {"tier": "y"}}},
        "Tied",
    ),
    ("they never meet", {"selector": {"matchLabels": {"app": "x"}}}, {"selector": {"matchLabels": {"app": "y"}}}, None),
    ("other containers", {"containers": ["x"]}, {"containers": ["y"]}, None),
    ("some of the containers", {"containers": ["x", "y"]}, {"containers": ["y", "z"]}, "Tied"),
    (
        "the precedence decides",
        {"precedence": 1, "containers": ["x"]},
        {"selector": {"matchLabels": {"a": "b"}}},
        "Later",
    ),
    ("nothing is left for it", {"precedence": 1}, {"selector": {"matchLabels": {"a": "b"}}}, "Idle"),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("words", "first", "second", "kind"), TIES, ids=[row[0] for row in TIES])
def test_both_of_two_that_meet_are_told(
    words: str, first: dict[str, Any], second: dict[str, Any], kind: str | None
) -> None:
    found = compiled(tenant("a", **first), tenant("b", **second))
    told = [] if kind is None else [("shop/b", kind), ("shop/a", "First")]
    assert [(note.policy, note.kind) for note in found.notes] == told
    assert all(("shop/a" if note.policy == "shop/b" else "shop/b") in note.reason for note in found.notes)


def test_equal_cluster_policies_are_told() -> None:
    found = compiled(cluster("b", precedence=3), cluster("a", precedence=3), cluster("c", precedence=1))
    assert list(notes(found, "Tied")) == ["cluster/b"]
    assert "cluster/a" in notes(found, "Tied")["cluster/b"]


def test_a_policy_of_a_protected_namespace_is_told_that_it_never_counts() -> None:
    found = compiled(tenant("a", "kube-system", mode="Enforce"))
    assert list(notes(found, "Idle")) == ["kube-system/a"]
    assert not enforced(found.plan)


@given(any_.tenants, containers)
def test_an_idle_policy_is_nobodys_rule(tenants: list[Tenant], one: Container) -> None:
    found = compile_plan([], tenants, NODE)
    assert f"{found.plan.rule_for(one).policy}" not in notes(found, "Idle")


# --- the same for the same


@pytest.mark.row("G2")
@given(any_.clusters_or_broken, any_.tenants_or_broken, any_.advices, st.randoms(use_true_random=False))
def test_the_order_in_which_policies_come_does_not_matter(
    clusters: list[Cluster], tenants: list[Tenant], advice: Advice, random: Any
) -> None:
    first = compile_plan(clusters, tenants, NODE, advice)
    random.shuffle(clusters)
    random.shuffle(tenants)
    assert compile_plan(clusters, tenants, NODE, advice) == first


@pytest.mark.row("G2")
@given(any_.clusters, any_.tenants, any_.advices)
def test_the_version_is_that_of_the_content(clusters: list[Cluster], tenants: list[Tenant], advice: Advice) -> None:
    plan = compile_plan(clusters, tenants, NODE, advice).plan
    longer = compile_plan(clusters, [*tenants, tenant("zz", "other")], NODE, advice).plan
    louder = compile_plan(clusters, tenants, NODE, msgspec.structs.replace(advice, bias={"ops/x/app": 1})).plan
    assert len({plan.version, longer.version, louder.version}) == 3
    assert len(plan.version) == 12


def test_the_version_tells_nothing_but_the_content() -> None:
    """Two nodes under the same policies have the same plan, and an agent that starts anew need not send it again."""
    one, other = (compile_plan([], [tenant("a")], {"zone": zone}).plan for zone in "ab")
    assert one == other
