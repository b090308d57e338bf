"""All nodes: how they stand by their reports, and their Node objects. Only those in trouble are told of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from memguard.api.node_memory import near_limit
from memguard.controller.reports import doubt
from memguard.controller.resources import NODE_MEMORIES, ReportedNode
from memguard.controller.taints import present
from memguard.kube.client import Client
from memguard.kube.objects import Node
from memguard.kube.resources import NODES, Selection
from memguard.kube.store import Change
from memguard.kube.watch import Watcher


class Fleet:
    """`troubled` hears the name of each node that reports trouble or no longer does, or that bears our taint; `doubted`
    of a report that is not believed, with the reason. Two watchers, each to be run in a thread of its own.
    """

    def __init__(
        self,
        client: Client,
        *,
        troubled: Callable[[str], None],
        doubted: Callable[[str, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self.nodes = Watcher(client, Selection(NODES), self._nodes_changed, page=500)
        self.reports = Watcher(client, Selection(NODE_MEMORIES), self._reported, page=500)
        self._troubled, self._doubted, self._now = troubled, doubted, now
        self._in_trouble: set[str] = set()
        self._lent_to: dict[str, ReportedNode] = {}
        #: Whose report came before their node.
        self._strangers: set[str] = set()
        self._believed: dict[str, tuple[str, datetime | None]] = {}

    def node(self, name: str) -> Node | None:
        """The Node of this name."""
        return self.nodes.find(("", name))

    def report(self, name: str) -> ReportedNode | None:
        """What the node of this name says, as far as it is believed."""
        found = self.reports.find(("", name))
        return found if found is not None and self._believed.get(name) == _version(found) else None

    @property
    def in_trouble(self) -> frozenset[str]:
        """The nodes that are to be looked at."""
        return frozenset(self._in_trouble)

    @property
    def lent_to(self) -> tuple[ReportedNode, ...]:
        """The NodeMemories in which loans stand, believed or not: who leads wrote them. Few of all nodes have any."""
        return tuple(self._lent_to.values())

    def _nodes_changed(self, change: Change[Node]) -> None:
        for node in change.upserted:
            name = node.metadata.name
            if name in self._strangers and (reported := self.reports.find(("", name))) is not None:
                self._take(reported, listed=True)  # it came before its node
            if present(node) is not None:
                self._look_at(name)

    def _reported(self, change: Change[ReportedNode]) -> None:
        for one in change.deleted:
            self._believed.pop(one.metadata.name, None)
            self._lent_to.pop(one.metadata.name, None)
            self._strangers.discard(one.metadata.name)
        for one in change.upserted:
            if one.spec.disruptions:
                self._lent_to[one.metadata.name] = one
            else:
                self._lent_to.pop(one.metadata.name, None)
            self._take(one, listed=change.listed)

    def _take(self, one: ReportedNode, *, listed: bool) -> None:
        """One that was listed may be old, and one that we know is changed by others, too; its clock says nothing."""
        if not self.nodes.lists:
            return  # with the nodes
        name, at, now = one.metadata.name, one.status.observed_at, self._now()
        old = listed or self._believed.get(name, ("", None))[1] == at
        reason = doubt(one, self.node(name), min(at, now) if old and at is not None else now)
        self._strangers.discard(name)
        if reason is not None:
            if reason == "unknown_node":
                self._strangers.add(name)
            if reason != "empty":
                self._doubted(name, reason)
            self._believed.pop(name, None)
            return
        self._believed[name] = _version(one)
        if one.status.level != "Calm" or any(map(near_limit, one.status.top)):
            self._look_at(name)
        elif name in self._in_trouble:
            self._troubled(name)

    def _look_at(self, name: str) -> None:
        self._in_trouble.add(name)
        self._troubled(name)

    def settled(self, name: str) -> None:
        """It need not be looked at any more, until it says so."""
        self._in_trouble.discard(name)


def _version(one: ReportedNode) -> tuple[str, datetime | None]:
    return one.metadata.resource_version, one.status.observed_at
