"""`kubectl memguard explain` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.cli.cluster.explain import NodeNow, PodExplanation, Recorded
from memguard.cli.cluster.reasons import Reasons
from memguard.cli.view.explanation import case_view
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, table
from memguard.cli.words import span
from memguard.core.explain import size

NUMBERS = ("rank", "score", "threshold", "memory", "limit", "points")


def pod_view(explanation: PodExplanation) -> Group:
    """The answer, the decision that it is about, and how the pod stands now."""
    return Group(*_parts(explanation))


def _parts(found: PodExplanation) -> Iterator[RenderableType]:
    yield cell(found.sentence, "bold")
    if found.decision is not None:
        yield cell("")
        yield cell(_headline(found.decision, found.decisions), QUIET)
        yield case_view(found.decision.explanation)
    if found.node is not None:
        yield cell("")
        yield cell(_node(found.node), BAD if found.node.stops else WARNING if found.node.silent else QUIET)
        if found.containers:
            yield _containers(found.containers)
        yield from (line for one in found.containers for line in _words(one))
    for one in found.unknown:
        yield cell(f"Not known: {one}", WARNING)


def _headline(one: Recorded, count: int) -> str:
    what = f"the last of {count} about it" if one.victim else "it was a candidate"
    report = f"kubectl memguard report {one.name} -n {one.namespace}"
    return (
        f"Decision {one.name} of {one.at:%Y-%m-%d %H:%M:%S} UTC ({what}; {one.mode}, {one.action}). All of it: {report}"
    )


def _node(node: NodeNow) -> str:
    age = "never reported" if node.age_seconds is None else f"as of {span(max(0.0, node.age_seconds))} ago"
    threshold = "-" if node.threshold_score is None else _threshold(node.threshold_score)
    words = f"Now, on {node.name} ({age}): {node.level or 'nothing said'}"
    if node.pressure is not None:
        words += f", pressure {node.pressure:.2f}, threshold {threshold}"
    if node.silent:
        words += "; too old to be true"
    return words + "".join(f"; PAUSED by {stop.words}" for stop in node.stops)


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


def _threshold(score: float) -> str:
    return f"{score:.0f}" if score <= 1000 else f"{score:.0f} (nobody)"
