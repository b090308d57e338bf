"""`kubectl memguard explain` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.cluster.explain.case import PodExplanation
from memguard.cli.cluster.explain.reasons import Reasons
from memguard.cli.cluster.top.standing import NodeStanding
from memguard.cli.view.explanation import case_view
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, table
from memguard.cli.words import moment, span, threshold
from memguard.core.explain import size

NUMBERS = ("rank", "score", "threshold", "memory", "limit", "points")


def pod_view(explanation: PodExplanation) -> Group:
    """The answer, the decision that it is about, and how the pod stands now."""
    return Group(*_parts(explanation))


def _parts(found: PodExplanation) -> Iterator[RenderableType]:
    yield cell(found.sentence, "bold")
    if found.decision is not None and found.explanation is not None:
        yield cell("")
        yield cell(_decision(found.decision, found.decisions if found.victim else 0), QUIET)
        yield case_view(found.explanation)
    if found.node is not None:
        yield cell("")
        yield cell(_node(found.node), BAD if found.node.stops else WARNING if found.node.silent else QUIET)
        if found.containers:
            yield _containers(found.containers)
        yield from (line for one in found.containers for line in _words(one))
    for one in found.unknown:
        yield cell(f"Not known: {one}", WARNING)


def _decision(one: MemoryGuardDecision, about: int) -> str:
    """Which it is: the last of so many `about` the pod, or one about another."""
    spec, name = one.spec, one.metadata.name
    what = f"the last of {about} about it" if about else "it was a candidate"
    return (
        f"Decision {name} of {moment(spec.taken_at, seconds=True)} ({what}; {spec.mode}, {spec.action}). "
        f"All of it: kubectl memguard report {name} -n {one.metadata.namespace}"
    )


def _node(node: NodeStanding) -> str:
    age = "never reported" if node.age_seconds is None else f"as of {span(node.age_seconds)} ago"
    words = f"Now, on {node.node} ({age}): {node.level or 'nothing said'}"
    if node.pressure is not None:
        words += f", pressure {node.pressure:.2f}, threshold {threshold(node.threshold_score)}"
    if node.silent:
        words += "; too old to be true"
    stopped = "PAUSED by" if node.paused else "its guard did not heed"
    return words + "".join(f"; {stopped} {stop.words}" for stop in node.stops)


def _containers(containers: tuple[Reasons, ...]) -> Table:
    made = table(
        "container", "rank", "score", "memory", "limit", "policy", "mode", "points", "would it be chosen?",
        numbers=NUMBERS,
    )  # fmt: skip
    for one in containers:
        treated = one.treatment
        values = (
            one.name,
            "-" if one.rank is None else one.rank,
            "-" if one.score is None else one.score,
            "-" if one.footprint_bytes is None else size(one.footprint_bytes),
            "-" if one.limit_bytes is None else size(one.limit_bytes),
            treated.policy or "the built-in one",
            treated.mode,
            f"{treated.adjustment:+d}" if treated.adjustment else "0",
            one.why,
        )
        made.add_row(*map(cell, values))
    return made


def _words(one: Reasons) -> Iterator[RenderableType]:
    for change in one.changes:
        yield cell(f"What would change it ({one.name}): {change}.")
    for note in one.treatment.notes:
        yield cell(f"{one.treatment.policy}: {note}.", WARNING)
