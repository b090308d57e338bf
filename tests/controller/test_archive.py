"""All that was decided, as the API server lists it: what was spent, who is on its way, what has had its time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from tests.controller.objects import NOW, described
from tests.kube.scripted import Scripted, answer

from memguard.controller.archive import CLAIM_SECONDS, Archive, Keep
from memguard.controller.resources import RecordedDecision
from memguard.core.cluster_budget import WEARY_ENDS, End
from memguard.core.fairness import Share
from memguard.core.policies import LONGEST_WINDOW_SECONDS
from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.store import Change
from memguard.kube.wire import Wire

AT = NOW.timestamp()
DAY = 86_400.0


class Told:
    """An archive that has read these records, and what it told of them."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records: list[RecordedDecision] = []
        listing = {"metadata": {"resourceVersion": "5"}, "items": list(records)}
        with Scripted([answer(json.dumps(listing).encode())], [answer(b"")]) as server:
            client = Client(Wire(Connection(server.url)))
            self.archive = Archive(client, self._hear)
            self.archive.watcher.run()
            client.close()

    def _hear(self, record: RecordedDecision) -> None:
        self.records.append(record)
        self.archive.watcher.stop()


def archive(*records: dict[str, Any]) -> Archive:
    return Told(*records).archive


def names(records: Any) -> list[str]:
    return sorted(one.metadata.name for one in records)


def test_each_record_is_told() -> None:
    told = Told(described("a"), described("b", phase=None))
    assert names(told.records) == names(told.archive.all()) == ["a", "b"]


def test_a_record_that_cannot_be_read_spoils_nothing() -> None:
    broken = described("broken")
    broken["spec"]["takenAt"] = "yesterday"
    assert names(archive(broken, described("a")).all()) == ["a"]


@pytest.mark.row("K6")
def test_what_was_ended_is_spent_whoever_did_it() -> None:
    found = archive(
        described("kill"),
        described("stop", action="terminate", at=-60),
        described("evict", action="evict", node="node-b", phase=None),
        described("observed", mode="Observe"),
        described("resize", action="resize"),
        described("brake", action="brake"),
        described("refused", phase="Incomplete", freed=None),
        described("old", at=-LONGEST_WINDOW_SECONDS),
    )
    ends = {(end.at - AT, end.node, end.in_place) for end in found.ends(AT)}
    assert ends == {(0, "node-a", True), (-60, "node-a", True), (0, "node-b", False)}
    assert {(end.workload, end.namespace) for end in found.ends(AT)} == {("shop/Deployment/cart/app", "shop")}


@pytest.mark.row("K6")
def test_the_longest_window_that_a_budget_may_have_is_known() -> None:
    assert len(archive(described(at=1 - DAY)).ends(AT)) == 1


def ending(at: float = AT, node: str = "node-a") -> End:
    return End(at=at, workload="shop/Deployment/cart/app", namespace="shop", node=node, in_place=False, ordered=True)


def at_most(count: int) -> Callable[[Iterable[End]], str | None]:
    return lambda ends: "spent" if len(list(ends)) >= count else None


@pytest.mark.row("K6")
def test_a_budget_is_not_overspent_by_those_who_ask_at_once() -> None:
    found = archive(described("kill"))
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda number: found.claim(("shop", f"evict-{number}"), ending(), at_most(4)), range(20))
        assert sorted(map(str, asked)) == ["None"] * 3 + ["spent"] * 17


@pytest.mark.row("K6")
def test_what_was_claimed_is_not_counted_again_when_its_record_comes() -> None:
    found = archive(described("evict-a", action="evict", phase="Acted"))
    assert found.claim(("shop", "evict-a"), ending(), at_most(1)) is None  # by itself it is not refused
    assert found.claim(("shop", "evict-b"), ending(), at_most(2)) is None
    assert found.claim(("shop", "evict-c"), ending(), at_most(2)) == "spent"


@pytest.mark.row("K6")
@pytest.mark.parametrize("later", ["released", "too long ago"])
def test_what_was_claimed_and_not_done_is_given_back(later: str) -> None:
    found = archive(described("kill"))
    assert found.claim(("shop", "evict-a"), ending(), at_most(2)) is None
    assert found.claim(("shop", "evict-b"), ending(), at_most(2)) == "spent"
    if later == "released":
        found.release(("shop", "evict-a"))
    at = AT if later == "released" else AT + CLAIM_SECONDS
    assert found.claim(("shop", "evict-b"), ending(at), at_most(2)) is None


UNDER_WAY = [
    ("it acted", {"phase": "Acted"}, True),
    ("it died before it said so", {"phase": None}, True),
    ("of a storm", {"phase": "Acted", "trigger": "storm"}, True),
    ("it is over", {"phase": "Done"}, False),
    ("it was not done", {"phase": "Incomplete"}, False),
    ("it was only observed", {"phase": None, "mode": "Observe"}, False),
    ("a guard's own", {"phase": "Acted", "trigger": "line"}, False),
    ("a kill", {"phase": "Acted", "action": "kill"}, False),
]


@pytest.mark.parametrize(("words", "facts", "expected"), UNDER_WAY, ids=[row[0] for row in UNDER_WAY])
def test_who_leads_next_finds_what_is_under_way(words: str, facts: dict[str, Any], expected: bool) -> None:
    found = archive(described("a", **({"action": "evict", "trigger": "report"} | facts)))
    assert names(found.evictions_under_way()) == (["a"] if expected else [])


# --- ended again and again


def storm(count: int = WEARY_ENDS, **facts: Any) -> list[dict[str, Any]]:
    return [
        described(f"kill-{index}", at=-60.0 * (count - index), pod=f"cart-{index}", **facts) for index in range(count)
    ]


@pytest.mark.row("K6")
def test_a_storm_of_restarts_is_told_by_the_last_of_them() -> None:
    found = archive(*storm())
    assert names(found.tired("node-a", AT)) == [f"kill-{WEARY_ENDS - 1}"]
    assert found.tired("node-b", AT) == ()


@pytest.mark.row("K6")
@pytest.mark.parametrize(
    "later",
    [
        {"node": "node-b"},
        {"mode": "Observe"},
        {"action": "resize"},
        {"action": "evict"},
        {"workload": "shop/Deployment/other/app"},
    ],
    ids=["on another node", "only observed", "its limit was raised", "evicted", "another workload"],
)
def test_whatever_else_befell_the_workload_it_is_the_pod_that_is_restarted_here(later: dict[str, Any]) -> None:
    """Its pods on other nodes do well: none of them is to be evicted for this one."""
    found = archive(*storm(), described("later", at=10, pod="elsewhere", **later))
    [last] = found.tired("node-a", AT + 10)
    assert (last.metadata.name, last.spec.victim.pod) == (f"kill-{WEARY_ENDS - 1}", f"cart-{WEARY_ENDS - 1}")


def test_less_often_is_no_storm() -> None:
    assert archive(*storm(WEARY_ENDS - 1)).tired("node-a", AT) == ()


# --- what goes


def outdated(*records: dict[str, Any], days: float = 7.0, count: int = 100) -> list[str]:
    return [one.name for one in archive(*records).outdated(NOW + timedelta(days=30), Keep(days=days, count=count))]


def test_old_records_go_and_those_that_are_open_later() -> None:
    def at(days: float) -> float:
        return (30 - days) * DAY

    records = [described("old", at=at(8)), described("open", at=at(8), phase="Acted"), described("new", at=at(6))]
    assert outdated(*records, described("lost", at=at(15), phase="Acted")) == ["old", "lost"]
    assert outdated(*records, count=1) == ["old"]
    assert outdated(*records, days=1, count=0) == ["new", "open", "old"]


@pytest.mark.row("K6")
def test_what_a_budget_may_still_count_goes_only_with_too_many() -> None:
    """Else an impatient administrator would have no budget, or a crash loop no end of records."""
    late = 30 * DAY - 3600
    records = [described("end", at=late), described("observed", at=late, mode="Observe")]
    assert outdated(*records, days=0) == ["observed"]
    assert outdated(*records, days=0, count=0) == ["observed", "end"]


@pytest.mark.row("K6")
def test_that_a_container_was_ended_is_remembered_when_its_record_is_deleted() -> None:
    found = archive(described("kill"))
    found._changed(Change(deleted=found.all()))
    assert len(found.ends(AT)) == 1


@pytest.mark.row("K6")
def test_a_clock_that_is_ahead_spends_no_budget_of_tomorrow() -> None:
    record = described("kill", at=300 * DAY)
    record["metadata"]["creationTimestamp"] = NOW.isoformat()
    [end] = archive(record).ends(AT)
    assert end.at == AT


# --- fairness


@pytest.mark.row("G1")
def test_the_candidates_stand_by_their_groups() -> None:
    candidates = [
        {"id": "id-cart", "title": "shop/cart/app", "freedBytes": 300, "qos": "Burstable", "ownerKind": "Deployment"},
        {"id": "other", "title": "ops/x/y", "freedBytes": 100},
    ]
    found = archive(described("a", candidates=candidates), described("b", candidates=candidates, mode="Observe"))
    assert list(found.shares()) == [
        (
            Share(groups=("namespace/shop", "qos/Burstable", "owner/Deployment"), held_bytes=300, ended=True),
            Share(groups=("namespace/ops", "qos/unknown", "owner/none"), held_bytes=100),
        )
    ]
