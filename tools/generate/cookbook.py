"""Below each recipe of docs/cookbook.md: what the agents make of it.

A recipe is a section with YAML; its table stands between `<!-- compiled -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from tools.markdown import table

from memguard.core.compile import Compiled, compile_plan
from memguard.core.explain import size
from memguard.core.notes import Cluster, Named, Note, Tenant
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.core.policy import Rule

COOKBOOK = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
_RECIPE = re.compile(r"```yaml\n(?P<yaml>.*?)```\n\n<!-- compiled -->\n.*?<!-- end -->", re.DOTALL)
Manifest = dict[str, Any]


def outputs() -> Iterator[tuple[Path, str]]:
    """The document with what it should hold."""
    yield COOKBOOK, render(COOKBOOK.read_text())


def render(text: str) -> str:
    """The document with its tables written anew."""
    return _RECIPE.sub(
        lambda found: (
            f"```yaml\n{found['yaml']}```\n\n<!-- compiled -->\n{_table(compiled(found['yaml']))}<!-- end -->"
        ),
        text,
    )


def recipes(text: str) -> list[str]:
    """The YAML of each recipe."""
    return [found["yaml"] for found in _RECIPE.finditer(text)]


def compiled(recipe: str, node_labels: dict[str, str] | None = None) -> Compiled:
    """The plan that a recipe's policies make, on a node that its cluster policy selects."""
    objects = [one for one in yaml.safe_load_all(recipe) if one["apiVersion"].startswith("memguard.io/")]
    clusters = [_cluster(one) for one in objects if one["kind"] == "ClusterMemoryGuardPolicy"]
    tenants = [_tenant(one) for one in objects if one["kind"] == "MemoryGuardPolicy"]
    wanted = {
        key: value
        for policy in clusters
        if policy.spec
        for key, value in policy.spec.node_selector.match_labels.items()
    }
    return compile_plan(clusters, tenants, wanted if node_labels is None else node_labels)


def _cluster(one: Manifest) -> Cluster:
    spec = msgspec.convert(one.get("spec", {}), ClusterMemoryGuardPolicySpec)
    return Named(name=one["metadata"]["name"], spec=spec)


def _tenant(one: Manifest) -> Tenant:
    spec = msgspec.convert(one.get("spec", {}), MemoryGuardPolicySpec)
    return Named(name=one["metadata"]["name"], namespace=one["metadata"]["namespace"], spec=spec)


def _table(found: Compiled) -> str:
    """Each rule in the order in which they count, and what was not granted."""
    minutes = found.plan.budget.window_seconds / 60
    most = f"ends in {minutes:g} minutes, of a workload and in a namespace"
    head = ("policy", "mode", "points", "its own limit", "how it ends", most, "clipped")
    return table(head, (_row(rule, found) for rule in found.plan.rules))


def _row(rule: Rule, found: Compiled) -> tuple[str, ...]:
    budget = found.plan.budget.narrowed(rule.budget)
    most = f"{budget.per_container}, {budget.per_namespace}"
    return (_whose(rule), rule.mode or "", _points(rule), _limit(rule), _end(rule), most, _clipped(rule, found.notes))


def _whose(rule: Rule) -> str:
    return f"{rule.policy} ({', '.join(rule.match.containers)})" if rule.match.containers else rule.policy


def _points(rule: Rule) -> str:
    return "never chosen" if rule.protected else f"{rule.adjustment:+d}" if rule.adjustment else "as scored"


def _limit(rule: Rule) -> str:
    raised = f"raised up to {size(rule.largest_limit_bytes)}" if rule.largest_limit_bytes else ""
    return ", then ".join(filter(None, (raised, "a line under it" if rule.guard_limit else ""))) or "nothing"


def _end(rule: Rule) -> str:
    if rule.protected:
        return "not at all"
    if rule.mode == "Observe":
        return "only recorded"
    asked = f"{rule.stop_signal}, killed after {rule.grace_seconds:g} s" if rule.grace_seconds else "killed"
    return f"told with {rule.notify_signal}; {asked}" if rule.notify_signal else asked


def _clipped(rule: Rule, notes: tuple[Note, ...]) -> str:
    cut = (note for note in notes if note.kind == "Clipped" and note.policy == rule.policy)
    return "; ".join(f"{note.field} {note.asked} to {note.granted}" for note in cut) or "nothing"
