"""What NodeMemory says, and when it is written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.cluster import Cluster
from tests.agent.guards import standing, status

from memguard.agent.ledger import Ledger
from memguard.agent.plan_store import KeptPlan
from memguard.agent.presence import FRESH_SECONDS, MISSING_SECONDS, Presence
from memguard.agent.publisher import PAUSE_SECONDS, SHORTEST_SECONDS, Publisher
from memguard.agent.report import Basis, report
from memguard.api.node_memory import MOST_TOP, NodeMemoryStatus, NodeScorecard, OrderAnswer, PolicyTally
from memguard.api.wire import body
from memguard.core.link import PROTOCOL, Capability, Hello
from memguard.core.model import Level
from memguard.core.notes import Note
from memguard.core.policy import Plan
from memguard.core.scorecard import Scorecard, Tally
from memguard.errors import KubeError, TooManyRequestsError, UnreachableError
from memguard.service.journal import Journal

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
PLAN = KeptPlan(plan=Plan(version="v1"), cluster="default", made_at=NOW)
HELLO = Hello(protocol=PROTOCOL, version="1", session="s")


def presence(**facts: Any) -> Presence:
    usual: dict[str, Any] = {
        "since": 0.0, "hello": HELLO, "problem": "", "status": status(plan="v1"), "status_at": 1.0,
    }  # fmt: skip
    return Presence(**(usual | facts))


def basis(**facts: Any) -> Basis:
    usual: dict[str, Any] = {
        "now": NOW,
        "presence": presence(),
        "missing": False,
        "fresh": True,
        "ledger": Ledger(since=NOW),
        "kept": PLAN,
        "current": True,
        "generation": 3,
    }
    return Basis(**(usual | facts))


def conditions(found: Basis) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in report(found).conditions}


def test_all_is_well() -> None:
    found = conditions(basis(presence=presence(status=status(plan="v1", mode="Enforce"))))
    assert found == {
        "Ready": ("True", "GuardReports"),
        "Fit": ("True", "Fit"),
        "Acting": ("True", "Enforce"),
        "PlanCurrent": ("True", "PlanCurrent"),
    }


GONE = presence(hello=None, problem="/run/guard.sock: No such file or directory")


@pytest.mark.parametrize(
    ("facts", "kind", "expected", "words"),
    [
        ({"presence": GONE, "missing": True}, "Ready", ("False", "GuardNotConnected"), "No such file"),
        ({"presence": GONE, "missing": False}, "Ready", ("True", "GuardReports"), ""),
        (
            {"presence": presence(hello=None, problem="speaks protocol 2", mismatch=True), "missing": True},
            "Ready", ("False", "ProtocolMismatch"), "protocol 2",
        ),
        ({"fresh": False}, "Ready", ("False", "GuardSilent"), "how things stand"),
        ({"presence": presence(status=None)}, "Ready", ("False", "GuardSilent"), ""),
        ({"presence": presence(status=status(plan=None))}, "Ready", ("False", "NoPlan"), "older"),
        ({"presence": presence(status=status(plan="v0"))}, "Ready", ("True", "GuardReports"), ""),
        (
            {"presence": presence(status=status(plan="v0")), "now": NOW + timedelta(seconds=6)},
            "Ready", ("False", "NoPlan"), "older",
        ),
        ({"kept": None}, "Ready", ("False", "NoPlan"), ""),
        ({"stopped": True}, "Ready", ("False", "AgentStopped"), "the guard goes on"),
        ({"presence": presence(status=None)}, "Fit", ("Unknown", "Unknown"), ""),
        ({"presence": presence(status=status(unfit="read-only"))}, "Fit", ("False", "Unfit"), "read-only"),
        ({"presence": GONE, "missing": True}, "Acting", ("Unknown", "Unknown"), ""),
        ({"presence": presence(status=status(unfit="read-only"))}, "Acting", ("False", "Unfit"), "read-only"),
        ({}, "Acting", ("False", "Observe"), "no policy"),
        (
            {"current": False, "planless": "pods: not listed yet"},
            "PlanCurrent", ("False", "PoliciesUnknown"), "the plan is an older one: pods: not listed yet",
        ),
        ({"current": False, "kept": None}, "PlanCurrent", ("False", "PoliciesUnknown"), "there is no plan yet"),
        (
            {"notes": tuple(Note(policy=f"shop/{n}", kind="Broken", reason="no number") for n in range(5))},
            "PlanCurrent", ("False", "PolicyIgnored"), "5 policies are ignored. shop/0: no number",
        ),
        ({"notes": (Note(policy="shop/a", kind="Clipped", reason=""),)}, "PlanCurrent", ("True", "PlanCurrent"), ""),
    ],
)  # fmt: skip
def test_what_is_not_well_is_said(facts: dict[str, Any], kind: str, expected: tuple[str, str], words: str) -> None:
    found = basis(**facts)
    assert conditions(found)[kind] == expected
    assert words in next(one.message for one in report(found).conditions if one.type == kind)


def test_a_condition_holds_since_it_last_changed() -> None:
    before = report(basis()).conditions
    later = NOW + timedelta(minutes=5)
    after = {one.type: one for one in report(basis(now=later, before=before, stopped=True)).conditions}
    assert after["Ready"].last_transition_time == later
    assert after["Fit"].last_transition_time == NOW
    assert after["Fit"].observed_generation == 3


def test_what_the_guard_says_is_passed_on() -> None:
    said = status(
        plan="v1", level="Tight", pressure=0.83, exhaustion_seconds=12.0, kernel_oom_kills=2, unmapped=1,
        top=(standing(1), standing(2)), capabilities=(Capability(name="host-pid", ok=False, detail="no hostPID"),),
    )  # fmt: skip
    found = report(basis(presence=presence(status=said)))
    assert (found.level, found.pressure, found.exhaustion_seconds) == ("Tight", 0.83, 12.0)
    assert [one.pod for one in found.top] == ["pod-1", "pod-2"]
    assert [(one.name, one.ok) for one in found.capabilities] == [("host-pid", False)]
    assert (found.kernel_oom_kills, found.unmapped_containers, found.headroom) == (2, 1, "2.0 GiB")
    assert found.observed_at == said.at
    assert found.plan is not None
    assert (found.plan.version, found.plan.policy) == ("v1", "default")


def test_and_what_the_agent_remembers() -> None:
    answer = OrderAnswer(id="o", accepted=True, at=NOW, decision="d")
    card = Scorecard(total=Tally(hits=3, false_alarms=2, misses=1))
    found = report(basis(ledger=Ledger(since=NOW, card=card, answers=(answer,)), presence=presence(status=None)))
    assert found.orders == (answer,)
    assert found.scorecard is not None
    assert (found.scorecard.hits, found.scorecard.false_alarms, found.scorecard.misses) == (3, 2, 1)
    assert (found.level, found.scorecard.since) == (None, NOW)


def test_the_scorecard_goes_on_with_what_was_counted_before() -> None:
    day = timedelta(days=1)
    mine = Scorecard(total=Tally(hits=2), policies={"shop/strict": Tally(hits=2)})
    known = (PolicyTally(policy="shop/strict", hits=1), PolicyTally(policy="shop/old", misses=4))
    earlier = NodeScorecard(hits=1, misses=4, since=NOW - day, policies=known)
    found = report(basis(ledger=Ledger(since=NOW, card=mine, earlier=earlier))).scorecard
    assert found is not None
    assert (found.hits, found.misses, found.since) == (3, 4, NOW - day)
    assert found.policies == (PolicyTally(policy="shop/old", misses=4), PolicyTally(policy="shop/strict", hits=3))


@given(st.text(max_size=3000), st.integers(0, 60))
def test_whatever_the_guard_says_the_report_is_of_bounded_size(text: str, count: int) -> None:
    said = status(
        unfit=text,
        domain=text,
        top=tuple(standing(number, pod=text, excluded=text) for number in range(count)),
        capabilities=tuple(Capability(name=text, ok=True, detail=text) for _ in range(count)),
    )
    found = body(report(basis(presence=presence(status=said))))
    assert len(found["top"]) == min(count, MOST_TOP)
    assert len(json.dumps(found, ensure_ascii=False)) < 64 << 10
    assert msgspec.convert(found, NodeMemoryStatus)


def test_a_guard_that_begins_anew_is_not_missing_at_once() -> None:
    gone = presence(hello=None, since=100.0)
    assert [gone.missing(at) for at in (100.0, 100.0 + MISSING_SECONDS, 101.0 + MISSING_SECONDS)] == [
        False, False, True,
    ]  # fmt: skip
    assert not presence(since=100.0).missing(1000.0)
    assert [presence(status_at=0.0).fresh(at) for at in (1.0, FRESH_SECONDS)] == [True, False]
    assert presence(since=5.0, status_at=5.0).settled
    assert not presence(since=5.0, status_at=4.0).settled


# --- when it is written


class Desk:
    """A publisher with a clock that stands still, and what it is to say."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.clock = 0.0
        self.uid = "uid-node"
        self.basis = basis()
        self.log = os.open(os.devnull, os.O_WRONLY)
        self.publisher = Publisher(
            self.cluster,  # type: ignore[arg-type]
            lambda: report(self.basis),
            Journal(self.log),
            node="node-a",
            node_uid=lambda: self.uid,
            now=lambda: NOW,
            clock=lambda: self.clock,
            random=lambda: 0.5,
        )

    def written(self) -> int:
        """How often, after one more look."""
        self.publisher.look()
        return sum(verb == "apply" for verb, _ in self.cluster.calls)

    def says(self, **facts: Any) -> None:
        self.basis = basis(presence=presence(status=status(plan="v1", **facts)))


@pytest.fixture
def desk() -> Iterator[Desk]:
    found = Desk()
    found.cluster.objects["nodememories", "", "node-a"] = {}
    yield found
    os.close(found.log)


@pytest.mark.parametrize(("level", "pause"), [("Calm", 300.0), ("Tight", 5.0), ("Critical", 5.0)])
def test_in_trouble_often_and_in_quiet_times_seldom(desk: Desk, level: Level, pause: float) -> None:
    desk.says(level=level)
    assert desk.written() == 1
    for clock, count in ((pause - 0.1, 1), (pause, 2), (2 * pause - 0.1, 2), (2 * pause, 3)):
        desk.clock = clock
        assert desk.written() == count


def test_no_two_nodes_keep_step(desk: Desk) -> None:
    pauses = []
    for random in (0.0, 1.0):
        publisher = Publisher(
            desk.cluster,  # type: ignore[arg-type]
            lambda: report(desk.basis),
            Journal(desk.log),
            node="node-a",
            node_uid=lambda: "",
            now=lambda: NOW,
            clock=lambda: 0.0,
            random=lambda random=random: random,
        )
        publisher.look()
        pauses.append(publisher._due_at)
    assert pauses == [PAUSE_SECONDS["Calm"] * 0.8, PAUSE_SECONDS["Calm"] * 1.2]


CHANGES: list[Callable[[Desk], None]] = [
    lambda desk: desk.says(level="Critical"),
    lambda desk: desk.says(unfit="read-only"),
    lambda desk: setattr(desk, "basis", basis(stopped=True)),
    lambda desk: setattr(
        desk, "basis", basis(ledger=Ledger(since=NOW, answers=(OrderAnswer(id="o", accepted=True, at=NOW),)))
    ),
    lambda desk: setattr(desk, "basis", basis(kept=msgspec.structs.replace(PLAN, plan=Plan(version="v2")))),
]


@pytest.mark.row("K9")
def test_the_first_miss_is_said_at_once_and_a_storm_of_them_now_and_then(desk: Desk) -> None:
    assert desk.written() == 1
    for misses in range(1, 101):
        card = Scorecard(total=Tally(misses=misses))
        desk.basis = basis(ledger=Ledger(since=NOW, card=card))
        desk.publisher.look()
        assert misses > 1 or desk.written() == 2
    assert desk.written() == 1 + len((1, 2, 4, 8, 16, 32, 64))


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_said_at_once(desk: Desk, change: Callable[[Desk], None]) -> None:
    assert desk.written() == 1
    change(desk)
    assert desk.written() == 2
    assert desk.written() == 2


def test_a_figure_that_moves_is_no_news(desk: Desk) -> None:
    desk.written()
    desk.says(available_bytes=5, headroom_bytes=-5, pressure=0.5)
    assert desk.written() == 1


def test_a_guard_that_is_gone_is_in_no_trouble_any_more(desk: Desk) -> None:
    critical = presence(hello=None, status=status(plan="v1", level="Critical"))
    desk.basis = basis(presence=critical, missing=True)
    desk.written()
    desk.clock = 100.0
    assert desk.written() == 1


def test_one_that_was_deleted_is_written_again(desk: Desk) -> None:
    desk.written()
    desk.cluster.objects.clear()
    desk.publisher.overdue()
    desk.written()
    assert desk.cluster.objects["nodememories", "", "node-a"]["status"]["level"] == "Calm"


def test_the_report_is_made_where_there_is_none_and_goes_with_the_node(desk: Desk) -> None:
    del desk.cluster.objects["nodememories", "", "node-a"]
    desk.uid = ""
    assert desk.written() == 1
    assert desk.publisher.written_at is None
    assert desk.cluster.objects == {}, "not before it is known with which Node"
    desk.uid, desk.clock = "uid-node", SHORTEST_SECONDS
    desk.written()
    [made] = desk.cluster.objects.values()
    assert made["metadata"] == {
        "name": "node-a",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "uid-node"}],
    }
    assert made["status"]["level"] == "Calm"
    assert desk.publisher.written_at == NOW


@pytest.mark.parametrize("error", [UnreachableError, TooManyRequestsError])
def test_a_server_that_cannot_is_left_in_peace(desk: Desk, error: type[KubeError]) -> None:
    desk.cluster.fault = lambda _verb, _key: error("PATCH", "/", "no", remedy="", retry_after_seconds=7.0)
    assert desk.written() == 1
    desk.says(level="Critical")
    desk.clock = 7.0
    assert desk.written() == 1, "even if there is something new"
    desk.clock = 8.0
    desk.cluster.fault = lambda _verb, _key: None
    assert desk.written() == 2
    assert desk.cluster.objects["nodememories", "", "node-a"]["status"]["level"] == "Critical"


def test_the_last_word_is_written(desk: Desk) -> None:
    thread = threading.Thread(target=desk.publisher.run)
    thread.start()
    desk.basis = basis(stopped=True)
    desk.publisher.stop()
    thread.join()
    [ready] = [
        one
        for one in desk.cluster.objects["nodememories", "", "node-a"]["status"]["conditions"]
        if one["type"] == "Ready"
    ]
    assert ready["reason"] == "AgentStopped"


@pytest.mark.row("K8")
def test_a_stop_is_told_once_the_guard_heeds_it() -> None:
    told = conditions(basis(halted="cluster/emergency-stop"))
    assert told["Acting"] == ("False", "EmergencyStop")
    still = status(plan="v1", mode="Enforce")
    assert conditions(basis(halted="cluster/emergency-stop", presence=presence(status=still)))["Acting"][0] == "True"
    gone = conditions(basis(halted="cluster/emergency-stop", missing=True))
    assert gone["Acting"] == ("Unknown", "Unknown")
