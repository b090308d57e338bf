"""`kubectl memguard doctor` for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from memguard.cli.cluster.doctor.diagnosis import ClusterDiagnosis, NodeDiagnosis
from memguard.cli.view.checks import checks_table
from memguard.cli.view.table import BAD, GOOD, QUIET, WARNING, cell, table


def diagnosis_view(found: ClusterDiagnosis) -> Group:
    """The cluster's checks, a line for each node, what ails those that are not fit, and the verdict."""
    return Group(*_parts(found))


def _parts(found: ClusterDiagnosis) -> Iterator[RenderableType]:
    yield checks_table(found.checks)
    if found.nodes:
        made = table("node", "", "what ails it", "remedy")
        for node in found.nodes:
            for row in _rows(node):
                made.add_row(*row)
        yield made
        yield cell("kubectl memguard doctor --node NAME has all checks of a node.", QUIET)
    unseen = [check.name for check in found.checks if check.status == "unknown"]
    if not found.fit:
        yield cell("This cluster is not fit: mend what fails, from the top.", BAD)
    elif unseen:
        yield cell(f"This cluster is fit, as far as you may look: not known are {', '.join(unseen)}.", WARNING)
    else:
        yield cell("This cluster is fit.", GOOD)


def _rows(node: NodeDiagnosis) -> Iterator[tuple[RenderableType, ...]]:
    """What fails, each on a line; else one line with how many warnings."""
    failed = [check for check in node.checks if check.status == "fail"]
    for check in failed:
        yield cell(node.node), cell("fail", BAD), cell(f"{check.name}: {check.finding}"), cell(check.remedy or "")
    warnings = [check.name for check in node.checks if check.status == "warn"]
    if not failed and warnings:
        yield cell(node.node), cell("warn", WARNING), cell(f"weaker: {', '.join(warnings)}"), cell("")
    elif not failed:
        yield cell(node.node), cell("ok", GOOD), cell(""), cell("")
