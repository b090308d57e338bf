"""`kubectl memguard history`: what was decided, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.history.decision_list import DecisionList
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import (
    AllNamespaces,
    AsGroups,
    AsUser,
    Context,
    Form,
    Kubeconfig,
    Namespace,
    NodeName,
    Selector,
    Since,
    WideOutput,
    pod_name,
    show,
    where,
)
from memguard.cli.cluster.suggest import pod_names
from memguard.core.policy import Mode

if TYPE_CHECKING:
    from rich.console import RenderableType

Target = Annotated[
    str | None, typer.Argument(metavar="[pod/NAME]", help="Only about this pod.", autocompletion=pod_names)
]
InMode = Annotated[Mode | None, typer.Option("--mode", help="Only what was done (Enforce), or only observed.")]


def history(
    target: Target = None,
    *,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = "",
    node: NodeName = None,
    mode: InMode = None,
    since: Since = None,
    output: WideOutput = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """List decisions, the newest at the end.

    Records are kept for a week, or as the operator is told (--keep-days). A selector finds the decisions about pods
    that are still there, since a record has no labels of a pod that is gone.

    \b
    Examples:
      kubectl memguard history -A --since 24h
      kubectl memguard history pod/cart-7d9 -n shop -o wide
      kubectl memguard history -n shop --mode Enforce -o json

    \b
    Exit codes: 0 listed, 1 the cluster cannot be asked, 2 bad input.
    """
    cluster = Cluster.reached(Access(kubeconfig, context, as_user, as_group), namespace)
    space = where(namespace, cluster.namespace, everywhere=all_namespaces)
    pod = pod_name(target) if target else None
    found: Iterable[MemoryGuardDecision] = cluster.decisions(space, pod=pod, node=node, mode=mode)
    if selector:
        pods = {(one.metadata.namespace, one.metadata.name) for one in cluster.pods(space, selector)}
        found = (one for one in found if (one.metadata.namespace, one.spec.victim.pod) in pods)
    if since is not None:
        oldest = datetime.now(UTC) - timedelta(seconds=since)
        found = (one for one in found if one.spec.taken_at >= oldest)
    document = DecisionList(items=tuple(found))

    def view() -> RenderableType:
        from memguard.cli.cluster.history.view import history_view

        return history_view(document, datetime.now(UTC), wide=output is Form.WIDE)

    show(document, output, view)
