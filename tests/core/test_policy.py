import msgspec
import pytest
from hypothesis import given
from tests.core.make import container
from tests.core.strategies import containers, plans

from memguard.core.model import Container, Owner
from memguard.core.policy import LEARNED_POINTS, Match, Plan, Rule, Settings, workload
from memguard.core.selector import Requirement

LABELLED = container("a", namespace="shop", pod="cart-7d9", name="app", labels={"app": "cart", "tier": "web"})

MATCHES = [
    ({}, True),
    ({"namespace": "shop"}, True),
    ({"namespace": "sh*"}, True),
    ({"namespace": "Shop"}, False),
    ({"namespace": "ops"}, False),
    ({"pod": "cart-*"}, True),
    ({"pod": "cart"}, False),
    ({"container": "app"}, True),
    ({"container": "sidecar"}, False),
    ({"cgroup": "kubepods.slice/*"}, True),
    ({"cgroup": "system.slice/*"}, False),
    ({"labels": {"app": "cart"}}, True),
    ({"labels": {"app": "cart", "tier": "web"}}, True),
    ({"labels": {"app": "cart", "tier": "db"}}, False),
    ({"labels": {"team": ""}}, False),
    ({"namespace": "shop", "container": "sidecar"}, False),
    ({"containers": ["sidecar", "app"]}, True),
    ({"containers": ["sidecar"]}, False),
    ({"expressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]}, True),
    ({"expressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ({"labels": {"app": "cart"}, "expressions": [{"key": "team", "operator": "Exists"}]}, False),
    ({"pod": "[cart"}, False),
]


@pytest.mark.row("S8", "C2")
@pytest.mark.parametrize(("match", "expected"), MATCHES)
def test_all_of_a_match_must_match(match: dict[str, object], expected: bool) -> None:
    assert msgspec.convert(match, Match).matches(LABELLED) == expected


UNKNOWN = [
    Match(namespace="shop"),
    Match(labels={"app": "cart"}),
    Match(pod="?*"),
    Match(containers=("app",)),
    Match(expressions=(Requirement(key="app", operator="DoesNotExist"),)),
]


@pytest.mark.parametrize("match", UNKNOWN)
def test_what_is_not_known_matches_no_condition(match: Match) -> None:
    assert not match.matches(container("a", namespace=None, pod=None, name=None, labels=None))


def test_the_first_rule_that_matches_is_the_rule() -> None:
    first, second = Rule(match=Match(pod="cart-*"), adjustment=1), Rule(adjustment=2)
    assert Plan(rules=(first, second)).rule_for(LABELLED) is first
    assert Plan(rules=(second, first)).rule_for(LABELLED) is second


@given(containers)
def test_every_default_is_harmless(one: Container) -> None:
    assert Plan().mode_for(one) == "Observe"
    assert Plan().rule_for(one) == Rule()
    assert not Plan().rule_for(one).guard_limit


@pytest.mark.parametrize(
    ("plan", "rule", "expected"),
    [("Observe", None, "Observe"), ("Enforce", None, "Enforce"), ("Enforce", "Observe", "Observe"),
     ("Observe", "Enforce", "Enforce")],
)  # fmt: skip
def test_a_rule_may_decide_the_mode(plan: str, rule: str | None, expected: str) -> None:
    made = msgspec.convert({"mode": plan, "rules": [{"mode": rule}]}, Plan)
    assert made.mode_for(LABELLED) == expected


REFUSED = [
    {"bias": {"shop/x/app": LEARNED_POINTS + 1}},
    {"bias": {"shop/x/app": -LEARNED_POINTS - 1}},
    {"rules": [{"adjustment": 1001}]},
    {"rules": [{"adjustment": -1001}]},
    {"rules": [{"minimumAgeSeconds": -1}]},
    {"rules": [{"protectd": True}]},
    {"rules": [{"actions": ["reboot"]}]},
    {"rules": [{"budget": {"perContainer": 0}}]},
    {"rules": [{"match": {"expressions": [{"key": "app", "operator": "In"}]}}]},
    {"settings": {"weights": {"memory": -1}}},
    {"settings": {"reserveRatio": 1.5}},
    {"settings": {"reliefRatio": 0.5}},
    {"mode": "enforce"},
]


@pytest.mark.row("S8", "F2")
@pytest.mark.parametrize("plan", REFUSED)
def test_a_plan_outside_its_bounds_is_refused(plan: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plan, Plan)


@pytest.mark.row("G2")
@given(plans)
def test_a_plan_survives_being_written_down(plan: Plan) -> None:
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


CART = Owner(kind="Deployment", name="cart")
NOBODY = {"namespace": None, "pod": None, "name": None}
WORKLOADS = [
    ("an owner's containers are one workload", {"owner": CART}, "shop/Deployment/cart/app"),
    ("a bare pod is its own", {}, "shop/cart-7d9/app"),
    ("no namespace", {"namespace": None}, "/cart-7d9/app"),
    ("only a cgroup", NOBODY | {"cgroup": "x.slice"}, "/x.slice/id"),
]


@pytest.mark.row("F3")
@pytest.mark.parametrize(("words", "facts", "key"), WORKLOADS, ids=[row[0] for row in WORKLOADS])
def test_the_key_of_a_workload(words: str, facts: dict[str, object], key: str) -> None:
    assert workload(container("id", **({"pod": "cart-7d9"} | facts))) == key


@pytest.mark.row("F3")
def test_the_key_survives_restarts_and_new_pods_of_an_owner() -> None:
    owner = Owner(kind="Deployment", name="cart")
    assert workload(container("id1", pod="cart-1", owner=owner)) == workload(
        container("id2", pod="cart-2", owner=owner)
    )


def test_the_documented_settings() -> None:
    settings = Settings()
    assert (settings.reserve_ratio, settings.relief_ratio, settings.horizon_seconds) == (0.06, 4 / 3, 8.0)
