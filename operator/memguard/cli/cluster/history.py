"""`kubectl memguard history`: what was decided, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from re import fullmatch
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.api.decision import MemoryGuardDecision
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.options import (
    AllNamespaces,
    Context,
    Form,
    Kubeconfig,
    Namespace,
    NodeName,
    Output,
    Selector,
    show,
    where,
)
from memguard.cli.cluster.suggest import pods
from memguard.core.model import Record
from memguard.core.policy import Mode

if TYPE_CHECKING:
    from rich.console import RenderableType

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> float:
    """`90s`, `15m`, `6h`, `7d`, as kubectl takes them. Raises BadParameter."""
    found = fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time: give 90s, 15m, 6h or 7d")
    return float(found[1]) * UNITS[found[2]]


Target = Annotated[str | None, typer.Argument(metavar="[pod/NAME]", help="Only about this pod.", autocompletion=pods)]
Since = Annotated[
    float | None, typer.Option("--since", metavar="TIME", help="Not older than this: 90s, 15m, 6h, 7d.", parser=seconds)
]
InMode = Annotated[Mode | None, typer.Option("--mode", help="Only what was done (Enforce), or only observed.")]


class DecisionList(Record, frozen=True, kw_only=True):
    """The records themselves, the oldest first."""

    api_version: str = "v1"
    kind: str = "List"
    items: tuple[MemoryGuardDecision, ...]


def history(
    target: Target = None,
    *,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = "",
    node: NodeName = None,
    mode: InMode = None,
    since: Since = None,
    output: Output = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
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
    cluster = Cluster.reached(kubeconfig, context, namespace)
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
        from memguard.cli.cluster.view.history import history_view

        return history_view(document, datetime.now(UTC), wide=output is Form.WIDE)

    show(document, output, view)


def pod_name(target: str) -> str:
    """Of pod/NAME or NAME. Raises BadParameter."""
    kind, slash, name = target.rpartition("/")
    if (slash and kind not in ("pod", "pods", "po")) or not name:
        raise typer.BadParameter(f"{target}: give pod/NAME")
    return name
