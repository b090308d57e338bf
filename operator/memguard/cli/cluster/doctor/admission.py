"""Whether admission refuses what it should: tried, as whoever must not, by requests that write nothing (dry run).

That policies are bound proves nothing: they may mean other accounts, or refuse something else. An agent is impersonated
with the node that its token would name, so all of it needs the right to impersonate its account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from memguard.api.decision import record
from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeMemory
from memguard.api.wire import body
from memguard.cli.checks.check import Check, ok, unknown, warn
from memguard.cli.cluster.cluster import DECISIONS, NODE_MEMORIES, Cluster
from memguard.cli.cluster.impersonation import Impersonation
from memguard.core.decision import Decision, Victim
from memguard.errors import ForbiddenError, KubeError, MemguardError
from memguard.kube.client import Client
from memguard.kube.resources import Resource

ADMISSION = "Set admission.enabled=true in the chart's values."
LOOK = "Ask as an administrator: it is tried as the agents' account, and written nothing."
#: Of no cluster; the agent of the first must not write what is the other's.
HERE, THERE, SPACE = "memguard-doctor-here", "memguard-doctor-there", "default"
#: By this the API server says which node a token is of (KEP-4193).
NODE_CLAIM = "authentication.kubernetes.io/node-name"


class Trial(NamedTuple):
    """What is tried; `words`: what is so where it is not refused; `refusal`: how our policy refuses it."""

    resource: Resource[Any]
    content: dict[str, Any]
    words: str
    refusal: str


ANYBODY = "anybody with the right may write decisions"
BY_ANYBODY = "only memguard's own service accounts write decisions"
DECIDE = "an agent may write decisions of other nodes"
REPORT = "an agent may write other nodes' reports"


def admission(cluster: Cluster, account: tuple[str, str] | None) -> Check:
    """`account`: the agents', namespace and name, as it is installed; None where nobody knows it."""
    open_, unsure = [], []
    for words, problem in _tried(cluster, account):
        if problem is None:
            open_.append(words)
        elif problem:
            unsure.append(f"whether {words} ({problem})")
    if open_:
        return warn("admission", "; ".join(open_), ADMISSION)
    if unsure:
        return unknown("admission", "; ".join(unsure), LOOK)
    return ok("admission", "only memguard writes decisions, and each agent its own node's report")


def _tried(cluster: Cluster, account: tuple[str, str] | None) -> Iterator[tuple[str, str | None]]:
    """Each of them: empty where it is refused as it should, None where it is not, else why that is not known."""
    decision = _decision()
    stranger = Trial(DECISIONS, decision, ANYBODY, BY_ANYBODY)
    yield ANYBODY, _outcome(lambda: cluster.client, stranger)
    report = body(NodeMemory(metadata=ObjectMeta(name=THERE)))
    for trial in (
        Trial(DECISIONS, decision, DECIDE, "may not write decisions of"),
        Trial(NODE_MEMORIES, report, REPORT, "may not write the report of"),
    ):
        yield trial.words, _outcome(lambda: _agent(cluster, account), trial)


def _agent(cluster: Cluster, account: tuple[str, str] | None) -> Client:
    """Requests as the agent of HERE."""
    if account is None:
        raise MemguardError("there is no DaemonSet that tells which account the agents have")
    user = f"system:serviceaccount:{account[0]}:{account[1]}"
    return cluster.acting_as(Impersonation(user=user, extra={NODE_CLAIM: (HERE,)}))


def _outcome(client: Callable[[], Client], trial: Trial) -> str | None:
    namespace = SPACE if trial.resource.namespaced else None
    try:
        client().create(trial.resource, trial.content, namespace, dry_run=True)
    except ForbiddenError as error:
        return "" if trial.refusal in error.problem else error.problem
    except KubeError as error:
        return error.problem
    except MemguardError as error:
        return str(error)
    return None


def _decision() -> dict[str, Any]:
    """One of THERE, that nobody made."""
    made = Decision(
        id=THERE, mode="Observe", action="kill", domain="node", trigger="doctor",
        victim=Victim(id="0", namespace=SPACE, pod=THERE, name=THERE), reason="Would anybody be let?", pressure=0.0,
        threshold_score=0.0, available_bytes=0, reserve_bytes=0, fall_bytes_per_second=0, need_bytes=0,
        expected_bytes=0, score=0, badness=0.0,
    )  # fmt: skip
    return record(made, namespace=SPACE, node=THERE, taken_at=datetime.now(UTC))
