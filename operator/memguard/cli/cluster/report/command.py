"""`kubectl memguard report`: one incident, as a page that can be handed on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.cluster.cluster import DECISIONS, Cluster, RefusedError, nearest
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Kubeconfig, Namespace
from memguard.cli.cluster.report.happenings import happenings, pod_now
from memguard.cli.cluster.suggest import decision_names
from memguard.cli.incident.delivery import ReportFormat, ReportOutput, deliver
from memguard.cli.incident.incident import Happening, Incident
from memguard.cli.output import plain
from memguard.errors import MemguardError

Name = Annotated[
    str, typer.Argument(metavar="DECISION", help="Its name, as `history` shows it.", autocompletion=decision_names)
]


def report(
    name: Name,
    *,
    output: ReportOutput = ReportFormat.TABLE,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Report one incident.

    What happened, how memory went before and after it, who was compared and why this one, what became of the pod, and
    its Events: in the terminal, or as a single HTML page that needs no network.

    \b
    Examples:
      kubectl memguard report 20261123-060000-000001-4bf9 -n shop
      kubectl memguard report 20261123-060000-000001-4bf9 -n shop -o html > incident.html

    \b
    Exit codes: 0 reported, 1 there is no such decision, 2 bad input.
    """
    deliver(_incident(Cluster.reached(Access(kubeconfig, context, as_user, as_group), namespace), name), output)


def _incident(cluster: Cluster, name: str) -> Incident:
    decision = _decision(cluster, name)
    space, victim = decision.metadata.namespace, decision.spec.victim
    return Incident(
        decision=decision,
        pod=pod_now(cluster, space, victim),
        events=_events(cluster, space, victim.pod) if victim.pod else (),
        made_at=datetime.now(UTC),
    )


def _events(cluster: Cluster, namespace: str, pod: str) -> tuple[Happening, ...]:
    """Who may not see Events has the report without them."""
    try:
        return happenings(cluster, namespace, pod)
    except RefusedError as error:
        sys.stderr.write(f"memguard: the report has no Events: {plain(str(error))}\n")
        return ()


def _decision(cluster: Cluster, name: str) -> MemoryGuardDecision:
    """In the namespace that is meant, or the only one of that name anywhere."""
    found = cluster.find(DECISIONS, name, cluster.namespace)
    if found is not None:
        return found
    everywhere = _all(cluster)
    elsewhere = [one for one in everywhere if one.metadata.name == name]
    if len(elsewhere) == 1:
        return elsewhere[0]
    if elsewhere:
        spaces = ", ".join(one.metadata.namespace for one in elsewhere)
        raise MemguardError(f"there are decisions {name} in {spaces}. Choose one with -n.")
    near = nearest(name, (one.metadata.name for one in everywhere))
    raise MemguardError(f"there is no decision {name}. {near or 'None is recorded: records are kept for a week.'}")


def _all(cluster: Cluster) -> tuple[MemoryGuardDecision, ...]:
    try:
        return cluster.decisions()
    except RefusedError:
        return cluster.decisions(cluster.namespace)
