"""The cluster's policies as one plan for one node: precedence and guard-rails.

Of the cluster policies that select the node the one with the highest precedence counts whole; among equals the first of
the alphabet, and the one called `default` last: where there is none, the same defaults stand. An emergency stop changes
nothing of that order, and a policy that says nothing else never counts otherwise: nothing but the stop changes while it
is there. Of the tenants' policies of a pod's namespace the first that selects it counts, in the same order, clipped to
what the cluster's policy allows.
Pods that none selects are treated by the cluster's `defaults`.

What cannot be read is left out, and nothing is enforced where it might have counted: a tenant's policy may have
protected any pod of its namespace, a cluster's anything on any node. So is what a namespace has beyond its share of the
plan, and nothing is enforced on what its other policies leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.guardrails import grant
from memguard.core.model import Record
from memguard.core.notes import Cluster, Note, Tenant, broken, clipped, conflicts, idle, tied, title_of
from memguard.core.policies import ClusterMemoryGuardPolicySpec, ClusterSettings, MemoryGuardPolicySpec, Treatment
from memguard.core.policy import Budget, Disruptions, Match, Plan, Rule, RuleBudget, Settings
from memguard.core.taint import TaintBehaviour

#: Compiled in, because an object and the definition of its kind cannot come in one release of a chart.
DEFAULT = "default"
#: A thousand rules are half a megabyte that every guard locks: no namespace may fill the nodes' memory.
MOST_POLICIES = 128
#: Written out as JSON. The largest policy alone would be twice that; 128 ordinary ones are 60 KiB.
MOST_NAMESPACE_BYTES = 64 << 10
#: Of all tenants' rules: half of a message to the guard. Where that is not enough for all, all have less.
MOST_TENANTS_BYTES = 2 << 20
#: A namespace with one of these could mean others; no API server takes it.
_GLOB = frozenset("*?[")


class Compiled(Record, frozen=True, kw_only=True):
    """The plan, the name of the cluster's policy that it follows, and what the policies' authors should know.

    `halted`: who stops all here, by an emergency stop or since it cannot be read; empty: nobody. `per_cluster` and
    `taint` are the operator's: what it may do beyond the node.
    """

    plan: Plan
    cluster: str
    halted: str = ""
    notes: tuple[Note, ...] = ()
    per_cluster: int = 0
    taint: TaintBehaviour = "Never"


class _Ruling(msgspec.Struct, frozen=True):
    """The cluster's policy that counts on the node."""

    name: str
    spec: ClusterMemoryGuardPolicySpec

    @property
    def title(self) -> str:
        return title_of("", self.name)


def compile_plan(
    cluster: Sequence[Cluster],
    tenants: Sequence[Tenant],
    node_labels: Mapping[str, str],
    advice: Advice = NO_ADVICE,
) -> Compiled:
    """The plan of the node with these labels; the order in which policies are given does not matter."""
    ruling, notes = _ruling(sorted(cluster, key=_name), node_labels)
    rules: list[Rule] = []
    namespaces = _by_namespace(tenants)
    share_bytes = min(MOST_NAMESPACE_BYTES, MOST_TENANTS_BYTES // max(1, len(namespaces)))
    for namespace, policies in namespaces:
        found, said = _namespace(namespace, policies, ruling, share_bytes)
        rules += found
        notes += said
    rules.append(_rule(Match(), ruling.spec.defaults, ruling.title))
    halted = _halted(cluster, node_labels, advice)
    if halted:
        rules = [_observed(rule) for rule in rules]
    return Compiled(
        plan=_plan(ruling.spec, rules, advice),
        cluster=ruling.name,
        halted=halted,
        notes=tuple(notes),
        per_cluster=ruling.spec.budget.per_cluster,
        taint="Never" if halted else ruling.spec.taint,
    )


def _name(policy: Cluster) -> str:
    return policy.name


def _halted(cluster: Iterable[Cluster], node_labels: Mapping[str, str], advice: Advice) -> str:
    """Who stops everything here: the node's own NodeMemory, the policies that say so, or that may: unreadable ones."""
    policies = sorted(filter(None, (_stopper(policy, node_labels) for policy in cluster)))
    return ", ".join(["its NodeMemory", *policies] if advice.emergency_stop else policies)


def _stopper(policy: Cluster, node_labels: Mapping[str, str]) -> str:
    if policy.spec is None:
        return f"{policy.title} (it cannot be read)"
    return policy.title if policy.spec.stops(node_labels) else ""


def _ruling(cluster: Sequence[Cluster], node_labels: Mapping[str, str]) -> tuple[_Ruling, list[Note]]:
    """Which policy counts here; those that are broken, and those that another of the same precedence precedes."""
    notes = [broken(policy, policy.problem) for policy in cluster if policy.spec is None]
    fitting = [
        _Ruling(policy.name, policy.spec)
        for policy in cluster
        if policy.spec is not None and not policy.spec.only_stops and policy.spec.node_selector.selects(node_labels)
    ]
    fitting.sort(key=lambda one: (one.name == DEFAULT, -one.spec.precedence))
    first, *rest = fitting or [_Ruling(DEFAULT, ClusterMemoryGuardPolicySpec())]
    precedence = first.spec.precedence
    equal = (one for one in rest if one.name != DEFAULT and one.spec.precedence == precedence)
    return first, [*notes, *(tied(one.title, first.title, precedence) for one in equal)]


def _by_namespace(tenants: Iterable[Tenant]) -> list[tuple[str, list[Tenant]]]:
    """Each namespace's policies, those that come first first."""
    found: dict[str, list[Tenant]] = {}
    for policy in sorted(tenants, key=lambda one: (one.namespace, -one.spec.precedence if one.spec else 0, one.name)):
        found.setdefault(policy.namespace, []).append(policy)
    return list(found.items())


def _namespace(
    namespace: str, policies: Sequence[Tenant], ruling: _Ruling, share_bytes: int
) -> tuple[list[Rule], list[Note]]:
    """The rules for one namespace's pods, and what the policies' authors should know."""
    if not namespace or not _GLOB.isdisjoint(namespace):
        return [], [broken(policy, f"{namespace!r} is no namespace") for policy in policies]
    readable = [(policy.title, policy.spec) for policy in policies if policy.spec is not None]
    notes = [broken(policy, policy.problem) for policy in policies if policy.spec is None]
    if namespace in ruling.spec.settings.protected_namespaces:
        reason = f"{ruling.title} protects the namespace: nothing in it is ever touched"
        return [], [*notes, *(idle(title, reason) for title, _ in readable)]
    rules: list[Rule] = []
    for title, spec in readable[:MOST_POLICIES]:
        granted = grant(spec, ruling.spec)
        rule = _rule(_match(namespace, spec), granted, title)
        share_bytes -= len(msgspec.json.encode(rule))
        if share_bytes < 0:
            break
        rules.append(rule)
        notes += clipped(title, spec, granted, ruling.title)
    heeded, beyond = readable[: len(rules)], readable[len(rules) :]
    notes += conflicts(heeded)
    notes += (idle(title, _beyond(len(rules))) for title, _ in beyond)
    others = _observed(_rule(Match(namespace=namespace), ruling.spec.defaults, ruling.title))
    if len(readable) < len(policies):
        rules = [*map(_observed, rules), others]
    elif beyond:
        rules.append(others)
    return rules, notes


def _beyond(count: int) -> str:
    return (
        f"{count} others of its namespace come first, and there is no room for more ({MOST_POLICIES} policies, "
        f"{MOST_NAMESPACE_BYTES >> 10} KiB, less where many namespaces have policies): nothing is enforced on pods "
        "that those do not select"
    )


def _match(namespace: str, spec: MemoryGuardPolicySpec) -> Match:
    return Match(
        namespace=namespace,
        containers=spec.containers,
        labels=spec.selector.match_labels,
        expressions=spec.selector.match_expressions,
    )


def _rule(match: Match, treatment: Treatment, policy: str) -> Rule:
    own = treatment.budget
    return Rule(
        match=match,
        mode=treatment.mode,
        adjustment=treatment.adjustment,
        protected=treatment.protected,
        minimum_age_seconds=float(treatment.minimum_age_seconds),
        guard_limit=treatment.limit.guard,
        grace_seconds=treatment.stop.grace_milliseconds / 1000,
        stop_signal=treatment.stop.signal,
        notify_signal=treatment.notify.signal,
        notify_directory=treatment.notify.directory,
        actions=treatment.actions,
        budget=None if own == RuleBudget() else own,
        override_disruption_budget=treatment.override_disruption_budget,
        largest_limit_bytes=treatment.limit.maximum_bytes,
        policy=policy,
    )


def _observed(rule: Rule) -> Rule:
    return msgspec.structs.replace(rule, mode="Observe")


def _plan(spec: ClusterMemoryGuardPolicySpec, rules: Sequence[Rule], advice: Advice) -> Plan:
    budget = msgspec.convert(spec.budget, Budget, from_attributes=True)
    lent = {
        key: Disruptions(count=one.count, since=one.since, until=one.until) for key, one in advice.disruptions.items()
    }
    plan = Plan(
        settings=_settings(spec.settings), rules=tuple(rules), budget=budget, bias=dict(advice.bias), disruptions=lent
    )
    return msgspec.structs.replace(plan, version=_fingerprint(plan))


def _settings(settings: ClusterSettings) -> Settings:
    return Settings(
        reserve_ratio=settings.reserve_ratio,
        reserve_cap_bytes=settings.reserve_cap_bytes,
        relief_ratio=settings.relief_ratio,
        horizon_seconds=settings.horizon_seconds,
        patience_seconds=settings.patience_seconds,
        margin_ratio=settings.margin_ratio,
        margin_bytes=settings.margin_bytes,
        weights=dict(settings.weights.items()),  # to mypy a dict by known names is none by names
        protected_namespaces=settings.protected_namespaces,
    )


def _fingerprint(plan: Plan) -> str:
    """The same for the same content, whoever compiles it."""
    return sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()[:12]
