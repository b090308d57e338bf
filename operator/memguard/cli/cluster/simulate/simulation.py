"""What a simulation found out, as a document; and how each simulated policy would count. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from memguard.cli.cluster.rules import ClusterRule, Rules, TenantRule
from memguard.cli.cluster.simulate.hindsight import Hindsight, Outcome
from memguard.cli.cluster.simulate.prospect import Nearest, NodeProspect
from memguard.cli.cluster.simulate.traces import TraceOutcome
from memguard.cli.words import many
from memguard.core.compile import Compiled
from memguard.core.model import Count, Record, unread
from memguard.core.model import Identity as Who
from memguard.core.policies import ClusterMemoryGuardPolicySpec
from memguard.core.policy import Mode, Rule

#: Of so many recorded decisions.
WORDS_OF: Mapping[Outcome, str] = {
    "same": "would be as they were",
    "acted": "would have been carried out, and were only observed",
    "observed": "would only have been observed, and were carried out",
    "spared": "would not have been made",
    "another": "would have chosen another",
    "unknown": "cannot be told",
}
#: Containers named of those that a policy matches; `matched_containers` counts all.
NAMED = 20


class SimulatedPolicy(Record, frozen=True, kw_only=True):
    """One policy of the file. `granted`: its mode within the guard-rails, None where it never counts.

    `notes`: what is clipped, and what comes before it. None: without a cluster it is not known.
    """

    title: str
    asked: Mode
    granted: Mode | None
    notes: tuple[str, ...]
    matched_nodes: Count | None = None
    matched_containers: Count | None = None
    matched: tuple[str, ...] = ()


class Simulation(Record, frozen=True, kw_only=True):
    """`kubectl memguard simulate`. `unknown`: what no simulation can tell."""

    words: str
    policies: tuple[SimulatedPolicy, ...]
    traces: tuple[TraceOutcome, ...] = ()
    nodes: tuple[NodeProspect, ...] = ()
    decisions: tuple[Hindsight, ...] = ()
    unknown: tuple[str, ...] = ()


def simulated_policies(
    wanted: Rules, plans: dict[str, Compiled], runs: dict[str, tuple[Who, ...]] | None
) -> tuple[SimulatedPolicy, ...]:
    """Each policy of the file: by the plan of each node, and by who runs there (None: it is not known)."""
    matched: dict[str, list[str]] = {}
    for node, identities in (runs or {}).items():
        for one in identities if node in plans else ():
            container = unread(one)
            matched.setdefault(plans[node].plan.rule_for(container).policy, []).append(container.title)
    policies: list[ClusterRule | TenantRule] = [*wanted.cluster, *wanted.tenants]
    return tuple(_policy(one, plans, None if runs is None else matched.get(one.title, [])) for one in policies)


def _policy(one: ClusterRule | TenantRule, plans: dict[str, Compiled], matched: list[str] | None) -> SimulatedPolicy:
    found = [(name, compiled) for name, compiled in plans.items() if _rules(compiled, one.title)]
    modes = {rule.mode or "Observe" for _, compiled in found for rule in _rules(compiled, one.title)}
    notes = dict.fromkeys(
        note.reason for compiled in plans.values() for note in compiled.notes if note.policy == one.title
    )
    notes |= {f"nothing is enforced while {compiled.halted} stops it": None for _, compiled in found if compiled.halted}
    return SimulatedPolicy(
        title=one.title,
        asked=_asked(one),
        granted=None if not modes else "Enforce" if "Enforce" in modes else "Observe",
        notes=tuple(notes),
        matched_nodes=None if matched is None else len(found),
        matched_containers=None if matched is None else len(matched),
        matched=tuple(sorted(matched or ())[:NAMED]),
    )


def _rules(compiled: Compiled, title: str) -> list[Rule]:
    return [rule for rule in compiled.plan.rules if rule.policy == title]


def _asked(one: ClusterRule | TenantRule) -> Mode:
    if isinstance(one.spec, ClusterMemoryGuardPolicySpec):
        return one.spec.defaults.mode
    return one.spec.mode if one.spec is not None else "Observe"


def trace_words(traces: Iterable[TraceOutcome]) -> str:
    """What came out, in a sentence."""
    told = tuple(traces)
    after = Counter(one.mode for trace in told for one in trace.after)
    before = Counter(one.mode for trace in told for one in trace.before)
    readings = many(sum(one.snapshots for one in told), "reading")
    ended = many(after["Enforce"], "container")
    then = f"under the policies of then {before['Enforce']} and {before['Observe']}"
    return f"In {readings} {ended} would have been ended and {after['Observe']} only recorded; {then}"


def cluster_words(nodes: Iterable[NodeProspect], decisions: Iterable[Hindsight]) -> str:
    """The same of a live cluster."""
    found = Counter(one.outcome for one in decisions)
    everywhere = tuple(nodes)
    told = [one for one in everywhere if not one.silent]
    others = sum(_name(one.before) != _name(one.after) for one in told)
    now = f"On {others} of {many(len(told), 'node')} another container would be nearest to being chosen"
    if silent := len(everywhere) - len(told):
        now += f" ({many(silent, 'node')} more fell silent: how things are there is not known)"
    if not found:
        return f"{now}; no decision was recorded to look back at"
    changed = ", ".join(f"{count} {WORDS_OF[outcome]}" for outcome, count in found.most_common())
    return f"{now}. Of {many(sum(found.values()), 'recorded decision')} {changed}"


def _name(one: Nearest | None) -> str | None:
    return one.container if one else None
