"""Everything that the guard tells is entered once, wherever the process ends, and whatever the guard says again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.agent.cluster import Cluster, Events
from tests.agent.guards import answer, decision, kernel_kill, observed, outcome, victim

from memguard.agent.census import Census
from memguard.agent.chronicle import Chronicle
from memguard.agent.decisions import DecisionWriter
from memguard.agent.entries import Told
from memguard.agent.ledger import Ledger
from memguard.agent.metrics import Metrics, View
from memguard.agent.spool import Spool
from memguard.core.decision import Alarm
from memguard.core.link import News
from memguard.core.scorecard import Tally
from memguard.service.journal import Journal

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
NODE = "node-a"
OBSERVED = "20261123-060000-000002-aaaa"
ACTED = "20261123-060000-000001-aaaa"

#: One incident, in the guard's order.
STORY: tuple[dict[str, Any], ...] = (
    {"decision": observed(OBSERVED)},
    {"kernel_kill": kernel_kill(3)},
    {"decision": decision(ACTED)},
    {"outcome": outcome(ACTED)},
    {"answer": answer("order-1", decision=ACTED)},
    {"alarm": Alarm(reason="growth that is nobody's", kind="foreign")},
)


class Cut(BaseException):
    """The process ends here."""


class Process:
    """An agent's process: everything that is gone when it ends."""

    def __init__(self, directory: Path, cluster: Cluster, events: Events) -> None:
        self.metrics = Metrics(View)
        spool = Spool(str(directory / "spool"), lambda _: None)
        self.chronicle = Chronicle(
            str(directory / "ledger.json"),
            Ledger(since=AT),
            spool,
            Census(),
            self.metrics,
            system_namespace="memguard-system",
            policy_of=lambda one: f"{one.namespace}/strict",
            short=lambda: True,
            told=lambda: None,
            trouble=lambda _: None,
        )
        self.writer = DecisionWriter(
            cluster,  # type: ignore[arg-type]
            spool,
            events,  # type: ignore[arg-type]
            Journal(os.open(os.devnull, os.O_WRONLY)),
            node=NODE,
            system_namespace="memguard-system",
            node_uid=lambda: "uid-node",
            find_policy=lambda _: None,
            wall=AT.timestamp,
        )


class World:
    """A guard with its news, a cluster, and processes of the agent one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cluster, self.events = Cluster(), Events()
        self.received = 0
        self.process = self.begin()

    def begin(self) -> Process:
        self.process = Process(self.directory, self.cluster, self.events)
        return self.process

    def connect(self) -> None:
        """The guard says again what it has no receipt for."""
        chronicle = self.process.chronicle
        for number, fact in enumerate(STORY, 1):
            if number > self.received:
                chronicle.news("s", News(number=number, at=AT + timedelta(seconds=number), **fact))
        self.received = max(self.received, chronicle.kept("s"))

    def run(self) -> None:
        self.connect()
        self.process.writer.work()
        later = AT + timedelta(hours=1)
        self.process.chronicle.pass_time(later.timestamp())
        self.process.writer.work()

    def end(self) -> dict[str, Any]:
        """What is to be seen when all is over."""
        ledger = self.process.chronicle.ledger
        return {
            "received": self.received,
            "decisions": self.cluster.decisions(),
            "events": self.events.told(),
            "tally": ledger.card.total,
            "answers": ledger.answers,
            "number": ledger.number,
            "waiting": len(list((self.directory / "spool").glob("*.json"))),
        }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_one_incident_as_it_is_written(world: World) -> None:
    world.run()
    seen = world.end()
    assert seen["received"] == len(STORY)
    assert {name: one["status"]["phase"] for name, one in seen["decisions"].items()} == {
        f"shop/{OBSERVED}": "Observed",
        f"shop/{ACTED}": "Done",
    }
    done, foreseen = seen["decisions"][f"shop/{ACTED}"], seen["decisions"][f"shop/{OBSERVED}"]
    assert done["spec"]["node"] == NODE
    assert done["spec"]["policy"] == "shop/strict"
    assert (done["status"]["freedBytes"], done["status"]["kernelOomKills"]) == (1 << 30, 0)
    assert foreseen["status"]["verdict"] == "Hit"
    assert seen["tally"] == Tally(hits=1)
    assert [one.id for one in seen["answers"]] == ["order-1"]
    assert seen["waiting"] == 0
    assert {reason for reason, _, _ in seen["events"]} == {
        "MemoryGuardKilled",
        "MemoryGuardWouldKill",
        "KernelOOMKill",
        "ForeignMemoryGrowth",
    }


def test_what_is_said_again_changes_nothing(world: World) -> None:
    world.run()
    before, calls = world.end(), len(world.cluster.calls)
    world.received = 0
    world.run()
    assert world.end() == before
    assert len(world.cluster.calls) == calls
    counted = world.process.metrics.registry
    labels = {"namespace": "shop", "policy": "shop/strict", "trigger": "line", "action": "kill", "outcome": "acted"}
    assert counted.get_sample_value("memguard_decisions_total", labels) == 1


#: Every way to the disk; each call of one of them is a place where the process may end.
DISK = ("open", "write", "fsync", "replace", "unlink", "makedirs")


def stopper(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, steps: int) -> Callable[[], int]:
    """From now on the process ends before the so-many-th step; returns how many were taken.

    Other threads of the test session boot machines meanwhile, and have files of their own.
    """
    taken, ours = [0], threading.get_ident()

    def step() -> None:
        if threading.get_ident() != ours:
            return
        if taken[0] == steps:
            raise Cut
        taken[0] += 1

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(*arguments: Any, **named: Any) -> Any:
            step()
            return call(*arguments, **named)

        return stopped

    for name in DISK:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    cluster.fault = lambda _verb, _key: step()
    return lambda: taken[0]


def steps_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    world = World(tmp_path / "counted")
    with monkeypatch.context() as patched:
        count = stopper(patched, world.cluster, -1)
        world.run()
    return count()


def test_none_is_lost_and_none_is_there_twice_wherever_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that ends takes nothing back from the kernel, only a power cut does: 6,000 fsyncs for nothing.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    (tmp_path / "counted").mkdir()
    steps = steps_of_a_run(tmp_path, monkeypatch)
    assert steps > 50
    (tmp_path / "whole").mkdir()
    whole = World(tmp_path / "whole")
    whole.run()
    expected = whole.end()
    for ends_at in range(steps):
        directory = tmp_path / str(ends_at)
        directory.mkdir()
        world = World(directory)
        with monkeypatch.context() as patched:
            stopper(patched, world.cluster, ends_at)
            with pytest.raises(Cut):
                world.run()
        world.cluster.fault = lambda _verb, _key: None
        world.begin()
        world.run()
        assert world.end() == expected, f"ended before step {ends_at}"
        created = [key for verb, key in world.cluster.calls if verb == "create"]
        assert len(created) >= 2


def test_a_disk_that_takes_nothing_gives_no_receipt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        world.connect()
        world.process.writer.work()
    assert world.received == 0
    assert len(world.cluster.decisions()) == 2, "but it is written all the same"
    world.process.chronicle.pass_time(AT.timestamp())
    world.connect()
    assert world.received == len(STORY)
    assert world.end()["tally"] == Tally(hits=1), "and counted once"


def test_another_series_begins_at_one(world: World) -> None:
    world.run()
    world.process.chronicle.news("another", News(number=1, at=AT, decision=decision("20261123-070000-000001-bbbb")))
    assert world.process.chronicle.kept("another") == 1
    assert world.process.chronicle.kept("s") == 0
    world.process.writer.work()
    assert len(world.cluster.decisions()) == 3


def test_what_a_namespace_refuses_is_not_entered_again_after_a_restart(world: World) -> None:
    """It lies in the spool beside what is newer."""
    from memguard.errors import ForbiddenError

    refusal = ForbiddenError("POST", "/", "exceeded quota", remedy="")
    world.cluster.fault = lambda _verb, key: refusal if key[1] == "shop" else None
    world.run()
    tally = world.process.chronicle.ledger.card.total
    world.process.chronicle.news("t", News(number=1, at=AT, decision=decision(victim=victim(namespace="other"))))
    world.process.writer.work()
    assert list(world.cluster.decisions()) == [f"other/{ACTED}"]
    world.begin()
    assert world.process.chronicle.ledger.card.total == tally
    assert world.process.chronicle.kept("t") == 1


def test_what_only_the_spool_knows_is_entered_at_the_start(world: World) -> None:
    """The process ended before the ledger was written, and the node was started anew: no guard says it again."""
    spool = Spool(str(world.directory / "spool"), lambda _: None)
    for number, fact in enumerate(STORY, 1):
        spool.add(Told(session="s", news=News(number=number, at=AT, **fact), policy="shop/strict"))
    ledger = world.begin().chronicle.ledger
    assert (ledger.card.total, ledger.number, len(ledger.answers)) == (Tally(hits=1), len(STORY), 1)
    assert world.begin().chronicle.ledger == ledger, "once"
    world.received = len(STORY)
    world.run()
    assert len(world.cluster.decisions()) == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"since": 5}', b"\xff"])
def test_a_broken_ledger_begins_anew(world: World, content: bytes) -> None:
    world.run()
    (world.directory / "ledger.json").write_bytes(content)
    assert world.begin().chronicle.ledger == Ledger(since=AT)
