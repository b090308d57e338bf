"""Any policies that the API server would take: what the properties of the compiled plan are tested on."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.core.strategies import structs

from memguard.core.advice import Advice
from memguard.core.notes import Named
from memguard.core.policies import (
    ACTIONS,
    AdjustmentRange,
    ClusterMemoryGuardPolicySpec,
    ClusterSettings,
    Guardrails,
    Limit,
    MemoryGuardPolicySpec,
    NodeBudget,
    Notify,
    Stop,
    Treatment,
)
from memguard.core.policy import RuleBudget
from memguard.core.selector import LabelSelector, Requirement

NAMESPACES = ("shop", "ops", "kube-system", "web")
keys, values = st.sampled_from(["app", "tier"]), st.sampled_from(["a", "b", "db"])
labels = st.dictionaries(keys, values, max_size=2)

requirements = st.builds(
    lambda key, operator, values: Requirement(
        key=key, operator=operator, values=tuple(values) if operator in ("In", "NotIn") else ()
    ),
    keys,
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(values, min_size=1, max_size=2),
)
selectors = structs(LabelSelector, match_labels=labels, match_expressions=st.lists(requirements, max_size=2).map(tuple))
actions = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=7, unique=True).map(tuple)
rule_budgets = structs(
    RuleBudget, per_container=st.none() | st.integers(1, 30), per_namespace=st.none() | st.integers(1, 30)
)

TREATMENT = {
    "mode": st.sampled_from(["Observe", "Enforce"]),
    "adjustment": st.integers(-1000, 1000),
    "protected": st.booleans(),
    "minimum_age_seconds": st.integers(0, 86_400),
    "limit": structs(Limit, guard=st.booleans()),
    "stop": structs(Stop, grace_milliseconds=st.integers(0, 600_000), signal=st.sampled_from(["SIGTERM", "SIGINT"])),
    "notify": structs(Notify, signal=st.sampled_from([None, "SIGUSR1"]), directory=st.sampled_from([None, "/run"])),
    "actions": actions,
    "budget": rule_budgets,
}
tenant_specs = structs(
    MemoryGuardPolicySpec,
    selector=selectors,
    containers=st.sampled_from([(), ("app",), ("app", "sidecar")]),
    precedence=st.integers(0, 3),
    **TREATMENT,
)
guardrails = structs(
    Guardrails,
    enforce=st.booleans(),
    observe=st.booleans(),
    protect=st.booleans(),
    adjustment=st.tuples(st.integers(-1000, 0), st.integers(0, 1000)).map(
        lambda pair: AdjustmentRange(min=pair[0], max=pair[1])
    ),
    max_minimum_age_seconds=st.integers(0, 86_400),
    max_grace_milliseconds=st.integers(0, 600_000),
    actions=st.just(()) | actions,
    guard_limit=st.booleans(),
)
counts = st.integers(0, 20)
cluster_specs = structs(
    ClusterMemoryGuardPolicySpec,
    node_selector=selectors,
    precedence=st.integers(0, 3),
    settings=structs(
        ClusterSettings,
        reserve_cap=st.sampled_from(["1Gi", 1 << 30, "0.5Gi"]),
        weights=st.sampled_from([{}, {"nice": 0.5}]),
        protected_namespaces=st.sampled_from([("kube-system",), (), ("kube-system", "ops")]),
    ),
    defaults=structs(Treatment, **TREATMENT),
    tenants=guardrails,
    budget=structs(NodeBudget, per_container=counts, per_namespace=counts, per_node=counts),
)


def named(specs: st.SearchStrategy, names: str, namespaces: tuple[str, ...] = ("",), *, broken: bool = False):
    """Policies with unique names; with `broken` some of them cannot be read."""
    made = st.builds(
        lambda name, namespace, spec: Named(
            name=name, namespace=namespace, spec=spec, problem="" if spec else "Expected `int`, got `str`"
        ),
        st.sampled_from(names),
        st.sampled_from(namespaces),
        (st.none() | specs) if broken else specs,
    )
    return st.lists(made, max_size=5, unique_by=lambda policy: (policy.namespace, policy.name))


tenants = named(tenant_specs, "abcd", NAMESPACES)
tenants_or_broken = named(tenant_specs, "abcd", NAMESPACES, broken=True)
clusters = named(cluster_specs, ("default", "a", "b"))
clusters_or_broken = named(cluster_specs, ("default", "a", "b"), broken=True)
advices = structs(
    Advice,
    bias=st.dictionaries(st.sampled_from(["shop/x/app", "ops/Job/y/app"]), st.integers(-50, 50)),
    emergency_stop=st.booleans(),
)

#: Specs that are none: out of bounds, misspelt, or without sense.
TENANT: list[dict[str, object]] = [
    {"adjustment": 1001},
    {"adjustment": 0.5},
    {"mode": "enforce"},
    {"minimumAgeSeconds": -1},
    {"stop": {"graceMilliseconds": 600_001}},
    {"stop": {"signal": "SIGKILL"}},
    {"stop": {"signal": "SIGSTOP"}},
    {"actions": []},
    {"actions": ["reboot"]},
    {"budget": {"perContainer": 0}},
    {"containers": ["No/Name"]},
    {"precedence": -1},
    {"selector": {"matchLabels": {"app": "not a label"}}},
    {"selector": {"matchLabels": {"": "web"}}},
    {"selector": {"matchLabels": {"k" * 318: "web"}}},
    {"selector": {"matchExpressions": [{"key": "app", "operator": "Is", "values": ["web"]}]}},
    {"selector": None},
]
CLUSTER: list[dict[str, object]] = [
    {"settings": {"reserveRatio": 1.5}},
    {"settings": {"reserveCap": "1Zi"}},
    {"settings": {"reserveCap": "-1Gi"}},
    {"settings": {"margin": "1e99"}},
    {"settings": {"margin": -1}},
    {"settings": {"reliefRatio": 0.5}},
    {"settings": {"horizonSeconds": -1}},
    {"settings": {"weights": {"size": 1}}},
    {"settings": {"weights": {"memory": -1}}},
    {"tenants": {"adjustment": {"min": 1, "max": 0}}},
    {"budget": {"windowSeconds": 0}},
    {"budget": {"perNode": -1}},
]
