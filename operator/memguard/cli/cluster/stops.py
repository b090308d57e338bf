"""Emergency stops: which there are, whose they are, and which nodes have heeded them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.words import moment
from memguard.core.model import Moment, Record
from memguard.kube.resources import Selection
from memguard.service.resources import CLUSTER_POLICIES, ClusterPolicy

#: The policy that `pause --all` makes: an object of its own, so that whoever keeps the others in Git does not undo it.
ALL_NODES = "emergency-stop"
#: Beside a stop, for whoever finds it.
REASON, SINCE = "memguard.io/paused-because", "memguard.io/paused-at"
HEEDED = "EmergencyStop"


class Stop(Record, frozen=True, kw_only=True):
    """One emergency stop: of a node by its NodeMemory, or of all nodes that a cluster's policy selects."""

    of: str
    since: Moment | None = None
    reason: str = ""

    @property
    def words(self) -> str:
        """For a line in a table."""
        because = f": {self.reason}" if self.reason else ""
        return f"{self.of} since {moment(self.since)}{because}" if self.since else f"{self.of}{because}"


def node_stop(report: NodeMemory) -> Stop | None:
    """The node's own."""
    if not report.spec.emergency_stop:
        return None
    return _stop(f"node/{report.metadata.name}", report.metadata, None)


def policy_stop(policy: ClusterPolicy) -> Stop | None:
    """The policy's, for the nodes that it selects."""
    if not policy.spec.emergency_stop:
        return None
    return _stop(f"cluster/{policy.metadata.name}", policy.metadata, policy.metadata.creation_timestamp)


def stops_on(report: NodeMemory, policies: Iterable[ClusterPolicy], labels: Mapping[str, str]) -> tuple[Stop, ...]:
    """All that hold on a node with these labels."""
    selecting = (policy for policy in policies if policy.spec.node_selector.selects(labels))
    return tuple(stop for stop in (node_stop(report), *map(policy_stop, selecting)) if stop is not None)


def read_stops(cluster: Cluster) -> Callable[[NodeMemory], tuple[Stop, ...]]:
    """Who stops what, of any node."""
    policies = [one for one in cluster.all(Selection(CLUSTER_POLICIES)) if one.spec.emergency_stop]
    choosy = any(one.spec.node_selector.requirements for one in policies)
    labels = {one.metadata.name: one.metadata.labels for one in cluster.nodes()} if choosy else {}
    return lambda report: stops_on(report, policies, labels.get(report.metadata.name, {}))


def heeds(report: NodeMemory) -> bool:
    """Does the node's guard say that it enforces nothing because of a stop?"""
    return any(one.type == "Acting" and one.reason == HEEDED for one in report.status.conditions)


def enforces(report: NodeMemory) -> bool:
    """Does it say that something may be ended there?"""
    return any(one.type == "Acting" and one.status == "True" for one in report.status.conditions)


def _stop(of: str, metadata: ObjectMeta, since: datetime | None) -> Stop:
    notes = metadata.annotations
    try:
        since = datetime.fromisoformat(notes[SINCE]) if SINCE in notes else since
    except ValueError:  # anybody may write there
        since = None
    if since is not None and since.tzinfo is None:
        since = None
    return Stop(of=of, since=since, reason=notes.get(REASON, ""))
