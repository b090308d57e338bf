"""`kubectl memguard scorecard`: what observing showed, as evidence for or against enforcing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memguard.api.definitions import CLUSTER_POLICY, POLICY
from memguard.api.policies import ClusterMemoryGuardPolicy, MemoryGuardPolicy
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import AsGroups, AsUser, Context, Form, Kubeconfig, WideOutput, show
from memguard.cli.cluster.scorecard.evidence import PolicyFigures, evidence
from memguard.core.notes import title_of
from memguard.core.policy import Mode
from memguard.kube.resources import Selection
from memguard.service.resources import resource_of

if TYPE_CHECKING:
    from rich.console import RenderableType


#: With their status, which has their figures.
JUDGED = resource_of(POLICY, MemoryGuardPolicy)
JUDGED_CLUSTER = resource_of(CLUSTER_POLICY, ClusterMemoryGuardPolicy)


def scorecard(
    *,
    output: WideOutput = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Say what observing showed.

    Of what was only observed: how often the kernel's OOM killer came within ten minutes (hits), did not come (false
    alarms), or came without a word (misses), for each policy, each node and the cluster; what that means, and what to
    do next. Under Observe there is no brake, so what grows faster than the guard looks is a miss that an enforcing
    guard would have held.

    \b
    Examples:
      kubectl memguard scorecard
      kubectl memguard scorecard -o wide
      kubectl memguard scorecard -o json

    \b
    Exit codes: 0 told, 1 the cluster cannot be asked, 2 bad input.
    """
    cluster = Cluster.reached(Access(kubeconfig, context, as_user, as_group))
    document = evidence(cluster.reports(), _figures(cluster))

    def view() -> RenderableType:
        from memguard.cli.cluster.scorecard.view import evidence_view

        return evidence_view(document, wide=output is Form.WIDE)

    show(document, output, view)


def _figures(cluster: Cluster) -> Iterator[PolicyFigures]:
    for tenant in cluster.all(Selection(JUDGED)):
        yield _of(tenant, tenant.spec.mode)
    for policy in cluster.all(Selection(JUDGED_CLUSTER)):
        if not policy.spec.emergency_stop:
            yield _of(policy, policy.spec.defaults.mode)


def _of(policy: MemoryGuardPolicy | ClusterMemoryGuardPolicy, mode: Mode) -> PolicyFigures:
    card, title = policy.status.scorecard, title_of(policy.metadata.namespace, policy.metadata.name)
    if card is None:
        return PolicyFigures(title=title, mode=mode)
    return PolicyFigures(title=title, mode=mode, hits=card.hits, false_alarms=card.false_alarms, misses=card.misses)
