"""Why a container may not be chosen, in words that records and reports keep; and whether other policies would lift it.

A record says why, and not by which field of which policy: what a policy decides is known here by its words, all of
which stand in this module.
"""

from __future__ import annotations

from memguard.core.model import Container
from memguard.core.policy import Plan, Rule

#: Priorities from here on are the system's own (k8s.io/api/scheduling/v1 system-cluster-critical).
SYSTEM_PRIORITY = 2_000_000_000
UNKILLABLE_ADJ = -1000

#: How the one exclusion begins that points undo.
BELOW_THRESHOLD = "its score is below the threshold"
PROTECTED = "a policy protects it"
NO_END_ALLOWED = "its policy allows neither to kill nor to evict it"
#: Of a guard's own: it watches over what only observes, and evicts nobody.
OBSERVED = "its mode is Observe"
ONLY_EVICTED = "its policy allows only to evict it, and a guard on a node evicts nobody"
#: How that of a PodDisruptionBudget begins, and what that of a budget of ours has in it.
DISRUPTION_BUDGET, BUDGET = "its PodDisruptionBudget ", " budget of "
_AGED, _YOUNGER = "it is ", " s old, younger than the policy's "


def exclusion(container: Container, rule: Rule, plan: Plan) -> str | None:
    """Why this container is never touched, whatever the pressure; None if it may be."""
    reason = None
    if container.type == "sandbox":
        reason = "it is a pod's sandbox, and ending it would restart the whole pod"
    elif not container.mapped:
        reason = "it could not be mapped to a container of a pod"
    elif container.static:
        reason = "its pod is static, which kubelet treats as critical"
    elif (container.priority or 0) >= SYSTEM_PRIORITY:
        reason = "its priority is the system's own"
    elif (container.oom_score_adj or 0) <= UNKILLABLE_ADJ:
        reason = "it is marked unkillable (oom_score_adj -1000)"
    elif container.namespace in plan.settings.protected_namespaces:
        reason = _namespace(container)
    elif rule.protected:
        reason = PROTECTED
    elif not (rule.allows("kill") or rule.allows("evict")):
        reason = NO_END_ALLOWED
    return reason


def youth(age_seconds: float, minimum_age_seconds: float) -> str:
    """That it is too young."""
    return f"{_AGED}{age_seconds:.0f}{_YOUNGER}{minimum_age_seconds:.0f} s"


def _namespace(container: Container) -> str:
    return f"namespace {container.namespace} is protected"


def lifted(told: str, container: Container, before: Plan, after: Plan) -> bool | None:
    """Would what was `told` of it be no reason any more under the plan `after`? None: that cannot be told.

    For the threshold, and for what `exclusion` finds, that is so: whoever asks looks at these anew.
    """
    rule = after.rule_for(container)
    if told.startswith(BELOW_THRESHOLD) or told in (PROTECTED, NO_END_ALLOWED, _namespace(container)):
        return True
    if told == OBSERVED:
        return after.mode_for(container) == "Enforce"
    if told == ONLY_EVICTED:
        return rule.allows("kill")
    age, younger, _ = told.removeprefix(_AGED).partition(_YOUNGER)
    if younger and age.isdecimal():
        return int(age) >= rule.minimum_age_seconds
    return _spending_lifted(told, before.rule_for(container), rule, before, after)


def _spending_lifted(told: str, old: Rule, new: Rule, before: Plan, after: Plan) -> bool | None:
    """Of a budget nobody knows what was spent: with another one anything may be."""
    if told.startswith(DISRUPTION_BUDGET):
        same = old.override_disruption_budget == new.override_disruption_budget
    elif BUDGET in told:
        same = before.budget.narrowed(old.budget) == after.budget.narrowed(new.budget)
    else:
        same = True
    return False if same else None
