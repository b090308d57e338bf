"""Emergency stops: which there are, whose they are, and which nodes have heeded them.

`pause` makes policies that say nothing else, for all nodes or for one; whoever writes policies by hand may stop any of
them, and NodeMemory has a stop of its own. A policy that cannot be read may be one, and is heeded like one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from memguard.api.meta import ObjectMeta
from memguard.api.node_memory import NodeMemory
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.words import moment
from memguard.core.model import Moment, Record
from memguard.kube.codec import Broken
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


#: The emergency stops of a node.
Stops = Callable[[NodeMemory], tuple[Stop, ...]]


class StoppingPolicies(NamedTuple):
    """The policies that stop something, and those that may, since nobody can read them."""

    readable: tuple[ClusterPolicy, ...] = ()
    broken: tuple[Broken, ...] = ()

    @classmethod
    def read(cls, cluster: Cluster) -> StoppingPolicies:
        """As they are there now."""
        listing = cluster.listing(Selection(CLUSTER_POLICIES))
        return cls(tuple(one for one in listing.objects if one.spec.emergency_stop), listing.broken)

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple([one.metadata.name for one in self.readable] + [one.name for one in self.broken])

    @property
    def stops(self) -> tuple[Stop, ...]:
        """All of them, wherever they hold."""
        return (*map(_policy_stop, self.readable), *map(_broken_stop, self.broken))

    def on(self, report: NodeMemory, labels: Mapping[str, str]) -> tuple[Stop, ...]:
        """Those that hold on the node of this report, which has these labels, with its own."""
        selecting = (one for one in self.readable if one.spec.stops(labels))
        return (*node_stops([report]), *map(_policy_stop, selecting), *map(_broken_stop, self.broken))


def of_node(node: str) -> str:
    """The name of the policy that `pause --node` makes."""
    return f"{ALL_NODES}-{node}"


def is_ours(name: str) -> bool:
    """Did `pause` make the policy of this name, or somebody in its place?"""
    return name == ALL_NODES or name.startswith(of_node(""))


def node_stops(reports: Iterable[NodeMemory]) -> tuple[Stop, ...]:
    """Those that stand in the nodes' own NodeMemories."""
    return tuple(_stop(f"node/{one.metadata.name}", one.metadata, None) for one in reports if one.spec.emergency_stop)


def read_stops(cluster: Cluster) -> Stops:
    """Who stops what, of any node."""
    policies = StoppingPolicies.read(cluster)
    choosy = not all(one.spec.node_selector.selects_all for one in policies.readable)
    labels = {one.metadata.name: one.metadata.labels for one in cluster.nodes()} if choosy else {}
    return lambda report: policies.on(report, labels.get(report.metadata.name, {}))


def heeds(report: NodeMemory) -> bool:
    """Does the node's guard say that it enforces nothing because of a stop?"""
    return any(one.type == "Acting" and one.reason == HEEDED for one in report.status.conditions)


def paused(report: NodeMemory, stops: tuple[Stop, ...], now: datetime) -> bool:
    """Is it known that nothing is enforced there because of a stop? That there is one proves nothing."""
    return bool(stops) and heeds(report) and not report.status.silent(now)


def enforces(report: NodeMemory) -> bool:
    """Does it say that something may be ended there?"""
    return any(one.type == "Acting" and one.status == "True" for one in report.status.conditions)


def _policy_stop(policy: ClusterPolicy) -> Stop:
    return _stop(f"cluster/{policy.metadata.name}", policy.metadata, policy.metadata.creation_timestamp)


def _broken_stop(policy: Broken) -> Stop:
    return Stop(of=f"cluster/{policy.name}", reason="it cannot be read, and may be one")


def _stop(of: str, metadata: ObjectMeta, since: datetime | None) -> Stop:
    notes = metadata.annotations
    try:
        since = datetime.fromisoformat(notes[SINCE]) if SINCE in notes else since
    except ValueError:  # anybody may write there
        since = None
    if since is not None and since.tzinfo is None:
        since = None
    return Stop(of=of, since=since, reason=notes.get(REASON, ""))
