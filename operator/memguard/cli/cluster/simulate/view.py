"""`kubectl memguard simulate` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.cli.cluster.simulate.hindsight import Hindsight
from memguard.cli.cluster.simulate.prospect import Nearest, NodeProspect
from memguard.cli.cluster.simulate.simulation import SimulatedPolicy, Simulation
from memguard.cli.cluster.simulate.traces import TraceDecision, TraceOutcome
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, table
from memguard.cli.words import moment, span
from memguard.core.explain import size

OUTCOMES = {"same": QUIET, "acted": WARNING, "observed": WARNING, "spared": "", "another": WARNING, "unknown": QUIET}


def simulation_view(found: Simulation, *, wide: bool) -> Group:
    """The answer, the policies, what they would do, and what cannot be known."""
    return Group(*_parts(found, wide=wide))


def _parts(found: Simulation, *, wide: bool) -> Iterator[RenderableType]:
    yield cell(f"{found.words}.", "bold")
    yield _policies(found.policies)
    for one in found.policies:
        yield from (cell(f"{one.title}: {note}.", WARNING) for note in one.notes)
        if wide and one.matched:
            more = ", ..." if (one.matched_containers or 0) > len(one.matched) else ""
            yield cell(f"{one.title} matches {', '.join(one.matched)}{more}")
    yield from (_trace(one, wide=wide) for one in found.traces)
    if found.nodes:
        yield _nodes(found.nodes)
    if found.decisions:
        yield _decisions(found.decisions)
    yield cell("What cannot be known:", QUIET)
    for line in found.unknown:
        yield cell(f"- {line}.", QUIET)


def _policies(policies: tuple[SimulatedPolicy, ...]) -> Table:
    made = table("policy", "asks for", "is granted", "nodes", "containers", numbers=("nodes", "containers"))
    for one in policies:
        numbers = ("?" if value is None else str(value) for value in (one.matched_nodes, one.matched_containers))
        made.add_row(*map(cell, (one.title, one.asked, one.granted or "it never counts", *numbers)))
    return made


def _trace(found: TraceOutcome, *, wide: bool) -> RenderableType:
    head = cell(f"{found.trace} (node {found.node or 'without a name'}, {found.snapshots} readings)", "bold")
    if not found.before and not found.after:
        return Group(head, cell("Nobody is chosen, neither then nor under these policies."))
    made = table("at", "", "container", "action", "score", "frees", "policy", "why" if wide else "", numbers=("score",))
    for label, decisions in (("then", found.before), ("would", found.after)):
        for one in decisions:
            made.add_row(*_decision(label, one, wide=wide))
    return Group(head, made)


def _decision(label: str, one: TraceDecision, *, wide: bool) -> Iterator[RenderableType]:
    done = one.mode == "Enforce"
    style = QUIET if label == "then" else BAD if done else WARNING
    action = one.action if done else f"record ({one.action})"
    times = f", {one.times} times" if one.times > 1 else ""
    values = (
        f"{one.at:%H:%M:%S.%f}"[:-3],
        label,
        one.container,
        f"{action}{times}",
        one.score,
        size(one.freed_bytes),
        one.policy or "-",
        one.reason if wide else "",
    )
    return (cell(value, style) for value in values)


def _nodes(nodes: tuple[NodeProspect, ...]) -> Table:
    made = table("node", "level", "as of", "nearest to being chosen", "would be", "and then")
    for one in nodes:
        changed = _shown(one.before) != _shown(one.after)
        fate = "not known" if one.silent else _fate(one.after)
        made.add_row(
            cell(one.node),
            cell("silent" if one.silent else one.level or "-"),
            cell("never" if one.age_seconds is None else f"{span(one.age_seconds)} ago"),
            cell(_shown(one.before)),
            cell(_shown(one.after), WARNING if changed else ""),
            cell(fate, BAD if fate == "ended" else ""),
        )
    return made


def _shown(one: Nearest | None) -> str:
    return f"{one.container} ({one.score})" if one else "nobody of its report"


def _fate(one: Nearest | None) -> str:
    if one is None:
        return "-"
    if not one.chosen:
        return "not chosen: below the threshold"
    return "ended" if one.mode == "Enforce" else "recorded only"


def _decisions(decisions: tuple[Hindsight, ...]) -> Table:
    made = table("decided at", "container", "was", "would have been", "")
    for one in decisions:
        values = (moment(one.at), one.victim, one.mode, one.would or "-", one.words)
        made.add_row(*(cell(value, OUTCOMES[one.outcome]) for value in values))
    return made
