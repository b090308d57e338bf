"""`kubectl memguard fairness`: is any namespace or kind of workload hit more than its share of the memory?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.fairness.balance import balance
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Kubeconfig, Since
from memguard.cli.options import Output
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


def fairness(
    *,
    since: Since = None,
    output: Output = Format.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Say who is hit, against who holds the memory.

    Of all that was ended, by kill or eviction: by namespace, QoS class and kind of owner, against the share of the
    memory that each held in those very moments. 1 is fair. To be hit more is no proof of unfairness: who grows past
    what it asked for is chosen for that, and not for its size.

    \b
    Examples:
      kubectl memguard fairness
      kubectl memguard fairness --since 7d -o json

    \b
    Exit codes: 0 told, 1 the cluster cannot be asked, 2 bad input.
    """
    cluster = Cluster.reached(Access(kubeconfig, context, as_user, as_group))
    oldest = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
    document = balance(cluster.decisions(), oldest)

    def view() -> RenderableType:
        from memguard.cli.cluster.fairness.view import fairness_view

        return fairness_view(document)

    emit(document, output, view)
