"""What becomes of an eviction, by its pod and by what the node reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controller.objects import GIB, MIB, NOW, record, reported

from memguard.api.decision import MemoryGuardDecisionStatus
from memguard.controller.eviction import LOOK, SPARE, UNSURE, USUAL_GRACE_SECONDS, Eviction
from memguard.core.decision import Victim
from memguard.kube.objects import ObjectMeta, Pod

pytestmark = pytest.mark.row("K3")
GONE, RUNS = None, Pod(metadata=ObjectMeta(name="cart", namespace="shop", uid="uid-cart"))
ENDS = Pod(metadata=ObjectMeta(name="cart", namespace="shop", uid="uid-cart", deletion_timestamp=NOW))
DEADLINE = SPARE + timedelta(seconds=USUAL_GRACE_SECONDS)


class Deeds:
    """The pod as it is, and what was written of it."""

    def __init__(self, pod: Pod | None) -> None:
        self.pod_now, self.written = pod, list[MemoryGuardDecisionStatus]()
        self.asked = 0

    def pod(self, *_: str) -> Pod | None:
        self.asked += 1
        return self.pod_now

    def amend(self, namespace: str, name: str, status: MemoryGuardDecisionStatus) -> None:
        self.written.append(status)

    @property
    def phases(self) -> list[str | None]:
        return [one.phase for one in self.written]


def eviction(deeds: Deeds, **facts: Any) -> Eviction:
    usual = {"decision": "evict-1", "victim": Victim(id="a", namespace="shop", pod="cart", pod_uid="uid-cart")}
    times = {"began_at": NOW, "sure_at": NOW + UNSURE, "ends_at": NOW + DEADLINE}
    return Eviction(deeds, **(usual | {"expected_bytes": GIB, "before_bytes": 100 * MIB} | times | facts))  # type: ignore[arg-type]


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_it_is_looked_at_now_and_then() -> None:
    deeds = Deeds(ENDS)
    one = eviction(deeds)
    for tenths in range(60):
        one.follow(None, later(tenths / 10))
    assert deeds.asked == 2
    assert deeds.phases == ["Acted"]
    assert not one.over


@pytest.mark.parametrize("clock", [-40.0, 0.0, 40.0], ids=["slow", "right", "fast"])
def test_what_came_back_is_told_by_the_next_report_whatever_its_clock_says(clock: float) -> None:
    deeds = Deeds(GONE)
    one = eviction(deeds)
    before = reported(at=4 + clock, availableBytes=100 * MIB).status
    assert one.follow(before, later(4)) is None
    assert one.follow(before, later(6)) is None
    found = one.follow(reported(at=9 + clock, availableBytes=700 * MIB).status, later(9))
    assert found is not None
    assert (found.complete, found.freed_bytes, found.seconds) == (True, 600 * MIB, 4.0)
    assert one.over
    assert deeds.phases == ["Acted", "Done"]


def test_without_a_report_it_ends_at_its_time_and_nobody_knows_what_came_back() -> None:
    deeds = Deeds(GONE)
    one = eviction(deeds)
    assert one.follow(None, later(4)) is None
    assert one.follow(None, NOW + DEADLINE + LOOK) is not None
    assert (deeds.phases[-1], deeds.written[-1].freed_bytes) == ("Done", None)


def test_a_pod_that_does_not_end_is_told_as_such() -> None:
    deeds = Deeds(ENDS)
    one = eviction(deeds)
    assert one.follow(None, later(4)) is None
    found = one.follow(None, NOW + DEADLINE + LOOK)
    assert found is not None
    assert (found.complete, deeds.phases[-1]) == (False, "Incomplete")


def test_what_was_asked_for_without_an_answer_may_still_be_done() -> None:
    deeds = Deeds(RUNS)
    one = eviction(deeds)
    one.follow(None, later(4))
    assert (deeds.phases, one.over) == ([], False)
    one.follow(None, NOW + UNSURE)
    assert (deeds.phases, one.over) == (["Incomplete"], True)


def test_who_leads_next_waits_for_a_request_of_who_led_before() -> None:
    deeds = Deeds(RUNS)
    began = record("evict-1", action="evict", trigger="report", phase=None)
    one = Eviction.resumed(deeds, began, later(30))  # type: ignore[arg-type]
    one.follow(None, later(31))
    assert not one.over
    deeds.pod_now = ENDS
    one.follow(None, later(33))
    assert deeds.phases == ["Acted"]
