"""`kubectl memguard explain`: why a pod was chosen, why it was not, and what would change it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.explain.case import Case
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Kubeconfig, Namespace, pod_name
from memguard.cli.cluster.suggest import pod_names
from memguard.cli.options import Output
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

Target = Annotated[
    str, typer.Argument(metavar="pod/NAME", help="The pod; its name alone will do.", autocompletion=pod_names)
]
Container = Annotated[
    str | None, typer.Option("-c", "--container", metavar="NAME", help="Only this container of the pod.")
]


def explain(
    target: Target,
    *,
    container: Container = None,
    namespace: Namespace = None,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Explain why a pod was chosen, or why not.

    The last decision about it, with every factor of its score, the runner-up, and what would have changed it; of a pod
    that was never chosen the last decision that it was a candidate in. Then how it stands now: its score and the
    threshold by its node's report, the policy that treats it, and what would have to be different.

    \b
    Examples:
      kubectl memguard explain pod/cart-7d9
      kubectl memguard explain cart-7d9 -n shop -c app
      kubectl memguard explain pod/cart-7d9 -o json

    \b
    Exit codes: 0 explained, 1 there is no such pod and no decision about one, 2 bad input.
    """
    cluster = Cluster.reached(Access(kubeconfig, context, as_user, as_group), namespace)
    case = Case(cluster, pod_name(target), container)
    document = case.explanation(datetime.now(UTC))

    def view() -> RenderableType:
        from memguard.cli.cluster.explain.view import pod_view

        return pod_view(document)

    emit(document, output, view)
