"""What waits is written in order and for ever, and nobody holds up anybody else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.cluster import Cluster, Events, Key
from tests.agent.guards import decision, kernel_kill, observed, outcome, victim

from memguard.agent.decisions import HOPELESS_SECONDS, MOST_FAILURES, REFUSED_SECONDS, DecisionWriter
from memguard.agent.entries import Amended, Told
from memguard.agent.spool import Spool
from memguard.core.decision import Decision
from memguard.core.link import News
from memguard.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from memguard.service.journal import Journal

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Desk:
    """A writer with its spool, and clocks that stand still."""

    def __init__(self, directory: Path, *, vpa_events: bool = False) -> None:
        self.cluster, self.events = Cluster(), Events()
        self.spool = Spool(str(directory / "spool"), lambda _: None)
        self.log_read, self.log_write = os.pipe()
        self.monotonic, self.wall = 0.0, AT.timestamp()
        self.numbers = 0
        self.writer = DecisionWriter(
            self.cluster,  # type: ignore[arg-type]
            self.spool,
            self.events,  # type: ignore[arg-type]
            Journal(self.log_write),
            node="node-a",
            system_namespace="memguard-system",
            node_uid=lambda: "uid-node",
            find_policy=lambda _: None,
            vpa_events=vpa_events,
            wall=lambda: self.wall,
            clock=lambda: self.monotonic,
            random=lambda: 1.0,
        )

    def add(self, *, offender: bool = False, **fact: object) -> int:
        self.numbers += 1
        news = News(number=self.numbers, at=AT, **fact)  # type: ignore[arg-type]
        return self.spool.add(Told(session="s", news=news, policy="shop/strict", offender=offender))

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in os.read(self.log_read, 1 << 16).splitlines()]

    def names(self) -> list[str]:
        return sorted(self.cluster.decisions())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    os.close(found.log_read)
    os.close(found.log_write)


def named(name: str, namespace: str = "shop") -> Decision:
    return decision(name, victim=victim(namespace=namespace))


def refusing(error: type[KubeError], namespace: str | None = None) -> object:
    def fault(_: str, key: Key) -> KubeError | None:
        if namespace is None or key[1] == namespace:
            return error("POST", "/", "no", remedy="")
        return None

    return fault


def test_a_decision_without_a_namespace_is_recorded_in_ours(desk: Desk) -> None:
    desk.add(decision=decision(victim=victim(namespace=None, pod=None)))
    desk.writer.work()
    assert desk.names() == ["memguard-system/20261123-060000-000001-aaaa"]
    assert desk.events.notices == [], "and no pod is told"


PASSING = [UnreachableError, ServerError, TooManyRequestsError, UnauthorizedError, ConflictError]


@pytest.mark.parametrize("error", PASSING)
def test_a_server_that_cannot_is_asked_again_and_again(desk: Desk, error: type[KubeError]) -> None:
    for number in range(9):
        desk.add(decision=named("a", f"ns-{number}"))
        desk.add(decision=named("b", f"ns-{number}"))
    desk.cluster.fault = refusing(error)  # type: ignore[assignment]
    waits = [desk.writer.work() for _ in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    asked = 1 if error is UnreachableError else 2
    assert len(desk.cluster.calls) == 9 * asked, "the first of one namespace, or of two"
    assert [line["kind"] for line in desk.log()].count("unavailable") == 1, "and it is said once"
    desk.cluster.fault = lambda _verb, _key: None
    desk.writer.work()
    desk.monotonic += REFUSED_SECONDS
    desk.writer.work()
    assert (len(desk.names()), desk.spool.waiting()) == (18, ())


@pytest.mark.parametrize("error", PASSING)
def test_a_namespace_that_fails_holds_up_only_itself(desk: Desk, error: type[KubeError]) -> None:
    """A webhook of its own answers 500, or whatever else it likes, or nothing."""
    desk.add(decision=named("a", "bad"))
    desk.add(decision=named("b", "bad"))
    desk.add(decision=named("c"))
    desk.add(decision=named("d", "ops"))
    desk.cluster.fault = refusing(error, "bad")  # type: ignore[assignment]
    for _ in range(MOST_FAILURES):
        desk.writer.work()
    assert desk.writer.work() == REFUSED_SECONDS
    assert (desk.names(), desk.spool.waiting()) == (["ops/d", "shop/c"], (1, 2))
    assert sum(key[1] == "bad" for _, key in desk.cluster.calls) == MOST_FAILURES
    desk.monotonic += REFUSED_SECONDS
    desk.cluster.fault = lambda _verb, _key: None
    desk.writer.work()
    assert desk.spool.waiting() == ()


def test_two_that_fail_hold_up_nobody_for_long(desk: Desk) -> None:
    for name, namespace in (("a", "bad"), ("b", "worse"), ("c", "shop")):
        desk.add(decision=named(name, namespace))
    desk.cluster.fault = lambda _, key: ServerError("POST", "/", "no", remedy="") if key[1] != "shop" else None
    for _ in range(MOST_FAILURES):
        desk.writer.work()
        assert desk.names() == []
    desk.writer.work()
    assert (desk.names(), desk.spool.waiting()) == (["shop/c"], (1, 2))


def test_an_outcome_waits_for_its_decision(desk: Desk) -> None:
    desk.add(decision=decision())
    desk.add(outcome=outcome())
    desk.cluster.fault = refusing(ServerError)  # type: ignore[assignment]
    desk.writer.work()
    desk.cluster.fault = lambda _verb, _key: None
    desk.writer.work()
    [record] = desk.cluster.decisions().values()
    assert record["status"]["phase"] == "Done"
    assert [verb for verb, _ in desk.cluster.calls] == ["create", "create", "patch", "patch"]


def test_an_answer_that_was_lost_writes_nothing_twice(desk: Desk) -> None:
    """The record was made and the connection broke: it is there when it is tried again."""
    desk.add(decision=decision())
    made: list[Key] = []

    def fault(verb: str, key: Key) -> KubeError | None:
        if verb == "create" and not made:
            made.append(key)
            desk.cluster.objects[key] = {"status": {}, "made": "once"}
            return UnreachableError("POST", "/", "no answer", remedy="")
        return None

    desk.cluster.fault = fault
    desk.writer.work()
    desk.writer.work()
    [record] = desk.cluster.decisions().values()
    assert (record["made"], record["status"]["phase"]) == ("once", "Acted")


@pytest.mark.parametrize("error", [InvalidError, KubeError])
def test_what_can_never_be_written_holds_up_nobody(desk: Desk, error: type[KubeError]) -> None:
    desk.add(decision=named("bad", "broken"))
    desk.add(decision=named("good"))
    desk.cluster.fault = refusing(error, "broken")  # type: ignore[assignment]
    desk.writer.work()
    assert (desk.names(), desk.spool.waiting(), desk.spool.refused) == (["shop/good"], (), 1)
    assert [(line["kind"], line["namespace"]) for line in desk.log()] == [("aside", "broken")]


@pytest.mark.parametrize("error", [ForbiddenError, NotFoundError])
def test_a_namespace_that_refuses_holds_up_only_itself(desk: Desk, error: type[KubeError]) -> None:
    """Its quota is spent, or it is going."""
    desk.add(decision=named("a", "full"))
    desk.add(decision=named("b", "full"))
    desk.add(decision=named("c"))
    desk.cluster.fault = refusing(error, "full")  # type: ignore[assignment]
    assert desk.writer.work() == REFUSED_SECONDS
    assert (desk.names(), desk.spool.waiting()) == (["shop/c"], (1, 2))
    assert len(desk.cluster.calls) == 3, "what refuses is not asked for each"
    desk.writer.work()
    assert len(desk.cluster.calls) == 3, "nor before its time"
    desk.monotonic += REFUSED_SECONDS
    desk.cluster.fault = lambda _verb, _key: None
    desk.writer.work()
    assert desk.names() == ["full/a", "full/b", "shop/c"]


def test_a_namespace_that_refuses_for_a_day_is_given_up(desk: Desk) -> None:
    desk.add(decision=named("a", "gone"))
    desk.cluster.fault = refusing(NotFoundError, "gone")  # type: ignore[assignment]
    desk.wall += HOPELESS_SECONDS + 1
    desk.writer.work()
    assert (desk.spool.waiting(), desk.spool.refused) == ((), 1)


def test_what_became_of_a_record_that_is_gone_is_nobodys(desk: Desk) -> None:
    desk.add(outcome=outcome())
    desk.spool.add(Amended(at=AT, decision="shop/a", verdict="Hit"))
    desk.writer.work()
    assert (desk.names(), desk.spool.waiting()) == ([], ())


def test_a_verdict_changes_nothing_else(desk: Desk) -> None:
    desk.add(decision=observed("a"))
    desk.spool.add(Amended(at=AT, decision="shop/a", verdict="FalseAlarm"))
    desk.spool.add(Amended(at=AT + timedelta(1), decision="shop/a", kernel_oom_kills=2))
    desk.writer.work()
    [record] = desk.cluster.decisions().values()
    assert record["status"] == {"phase": "Observed", "verdict": "FalseAlarm", "kernelOomKills": 2}


@pytest.mark.parametrize(
    ("vpa_events", "offender", "reasons"),
    [
        (False, True, ["MemoryGuardKilled"]),
        (True, False, ["MemoryGuardKilled"]),
        (True, True, ["MemoryGuardKilled", "Evicted"]),
    ],
)
def test_vpa_is_told_only_where_that_is_wanted(
    tmp_path: Path, vpa_events: bool, offender: bool, reasons: list[str]
) -> None:
    desk = Desk(tmp_path, vpa_events=vpa_events)
    desk.add(decision=decision(), offender=offender)
    desk.add(kernel_kill=kernel_kill())
    desk.writer.work()
    assert [one.reason for one in desk.events.notices] == [*reasons, "KernelOOMKill"]
