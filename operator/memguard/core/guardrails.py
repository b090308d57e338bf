"""What a tenant asked for, brought within what the administrators allow: field by field, and told."""

from __future__ import annotations

import msgspec

from memguard.core.policies import ClusterMemoryGuardPolicySpec, Guardrails, MemoryGuardPolicySpec, NodeBudget
from memguard.core.policy import Action, Mode, RuleBudget

#: Where none of these is allowed nothing can end a container: that is protection by another name.
DEADLY: tuple[Action, ...] = ("kill", "evict")


def grant(spec: MemoryGuardPolicySpec, cluster: ClusterMemoryGuardPolicySpec) -> MemoryGuardPolicySpec:
    """The policy as far as the cluster's allows it."""
    rails = cluster.tenants
    grace = min(spec.stop.grace_milliseconds, rails.max_grace_milliseconds)
    return msgspec.structs.replace(
        spec,
        mode=_mode(spec.mode, rails, cluster.defaults.mode),
        adjustment=max(rails.adjustment.min, min(rails.adjustment.max, spec.adjustment)),
        protected=spec.protected and rails.protect,
        minimum_age_seconds=min(spec.minimum_age_seconds, rails.max_minimum_age_seconds),
        limit=msgspec.structs.replace(spec.limit, guard=spec.limit.guard and rails.guard_limit),
        stop=msgspec.structs.replace(spec.stop, grace_milliseconds=grace),
        actions=_actions(spec.actions, rails),
        budget=_budget(spec.budget, cluster.budget),
    )


#: Of a tenant's policy: the field, its path inside, and what of the cluster's policy stands before it.
RAILS = (
    ("mode", "mode", "tenants.enforce and tenants.observe"),
    ("adjustment", "adjustment", "tenants.adjustment"),
    ("protected", "protected", "tenants.protect"),
    ("minimumAgeSeconds", "minimum_age_seconds", "tenants.maxMinimumAgeSeconds"),
    ("limit.guard", "limit.guard", "tenants.guardLimit"),
    ("stop.graceMilliseconds", "stop.grace_milliseconds", "tenants.maxGraceMilliseconds"),
    ("actions", "actions", "tenants.actions and tenants.protect"),
    ("budget.perContainer", "budget.per_container", "budget.perContainer"),
    ("budget.perNamespace", "budget.per_namespace", "budget.perNamespace"),
)


def _mode(asked: Mode, rails: Guardrails, default: Mode) -> Mode:
    if asked == "Enforce":
        return "Enforce" if rails.enforce else "Observe"
    return "Observe" if rails.observe else default


def _actions(asked: tuple[Action, ...], rails: Guardrails) -> tuple[Action, ...]:
    granted = tuple(action for action in asked if action in rails.actions)
    if rails.protect or any(action in DEADLY for action in granted):
        return granted
    return (*granted, *(action for action in DEADLY if action in rails.actions))


def _budget(asked: RuleBudget, cluster: NodeBudget) -> RuleBudget:
    return RuleBudget(
        per_container=_at_most(asked.per_container, cluster.per_container),
        per_namespace=_at_most(asked.per_namespace, cluster.per_namespace),
    )


def _at_most(asked: int | None, allowed: int) -> int | None:
    """A budget of 0 is the whole node's, and not the rule's to say."""
    return None if asked is None else min(asked, max(1, allowed))
