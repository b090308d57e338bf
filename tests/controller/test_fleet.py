"""Which reports are believed, whoever's clock is wrong and whatever comes first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.controller.objects import NOW, moment, node, reported

from memguard.controller.fleet import Fleet
from memguard.controller.resources import ReportedNode
from memguard.kube.client import Client
from memguard.kube.codec import Found
from memguard.kube.connection import Connection
from memguard.kube.objects import Node
from memguard.kube.store import Change
from memguard.kube.wire import Wire

pytestmark = pytest.mark.row("K3")


class Told:
    """A fleet that hears these, and what it tells."""

    def __init__(self) -> None:
        self.troubled: list[str] = []
        self.doubted: list[str] = []
        self.fleet = Fleet(
            Client(Wire(Connection("http://127.0.0.1:9"))),
            troubled=self.troubled.append,
            doubted=lambda _, reason: self.doubted.append(reason),
            now=lambda: NOW,
        )
        self.fleet.nodes.lists = 1

    def node(self, one: Node) -> None:
        self._put(self.fleet.nodes, one)
        self.fleet._nodes_changed(Change(upserted=(one,)))

    def report(self, one: ReportedNode, *, listed: bool = False) -> None:
        self._put(self.fleet.reports, one)
        self.fleet._reported(Change(upserted=(one,), listed=listed))

    def _put(self, watcher: Any, one: Any) -> None:
        meta = one.metadata
        watcher._store.upsert(
            Found(namespace="", name=meta.name, uid=meta.uid, resource_version=meta.resource_version, object=one)
        )


def test_a_report_may_come_before_its_node() -> None:
    told = Told()
    told.report(reported())
    assert (told.doubted, told.troubled) == (["unknown_node"], [])
    told.node(node())
    assert told.troubled == ["node-a"]
    assert told.fleet.report("node-a") is not None


@pytest.mark.parametrize("listed", [False, True])
def test_what_its_clock_makes_unbelievable_stays_so(listed: bool) -> None:
    """However often its node is changed, or all is listed again."""
    told = Told()
    told.node(node())
    told.report(reported(at=3 * 3600.0), listed=listed)
    told.node(node(spec={"taints": []}))
    assert (told.doubted, told.troubled) == (["clock"], [])
    assert told.fleet.report("node-a") is None


def test_an_old_report_of_a_list_is_what_it_is() -> None:
    told = Told()
    told.node(node())
    told.report(reported(at=-3600.0), listed=True)
    assert told.doubted == []
    assert told.fleet.report("node-a") is not None


def test_those_with_loans_are_known() -> None:
    told = Told()
    told.node(node())
    loan = {"count": 1, "since": moment(0), "until": (NOW + timedelta(seconds=60)).isoformat(), "budget": "shop/pdb"}
    told.report(reported(spec={"disruptions": {"shop/Deployment/web/app": loan}}))
    assert [one.metadata.name for one in told.fleet.lent_to] == ["node-a"]
    told.report(reported())
    assert told.fleet.lent_to == ()
