"""The kernel's kills are counted once each, though the guard and the pod's status both tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.guards import victim
from tests.agent.pods import ENDED, ended, key, pod, running, waiting

from memguard.agent.oom import MOST, SAME_SECONDS, WAIT_SECONDS, Death, OomKills
from memguard.core.decision import KernelKill
from memguard.kube.objects import Pod

NOW = datetime.fromisoformat(ENDED).timestamp()


def shown(letter: str = "a", **facts: Any) -> Pod:
    """The container `letter` was OOM-killed, and its successor waits."""
    return pod(statuses=[waiting("app", letter, lastState=ended(letter), **facts)])


def told(deaths: tuple[Death, ...]) -> list[tuple[str, int, str | None]]:
    return [(one.scope, one.count, one.victim.id[0] if one.victim else None) for one in deaths]


@pytest.fixture
def kills() -> OomKills:
    found = OomKills()
    assert found.seen([pod()], NOW, first=True) == ()
    return found


WHOLE = KernelKill(count=5, victim=victim(), group=True)
CHILD = KernelKill(count=1, victim=victim())
NOBODYS = KernelKill(count=5)


@pytest.mark.parametrize(("kill", "scope"), [(WHOLE, "container"), (CHILD, "process")])
@pytest.mark.parametrize("apart", [0.0, 2.0, -30.0])
def test_a_kill_that_both_tell_of_is_one(kills: OomKills, kill: KernelKill, scope: str, apart: float) -> None:
    assert told(kills.heard(kill, NOW + apart)) == [(scope, kill.count, "a")]
    assert kills.seen([shown()], NOW + 5, first=False) == ()


@pytest.mark.parametrize("kill", [WHOLE, CHILD])
def test_and_so_it_is_when_the_status_comes_first(kills: OomKills, kill: KernelKill) -> None:
    assert told(kills.seen([shown()], NOW + 1, first=False)) == [("container", 1, "a")]
    assert kills.heard(kill, NOW + 25) == ()


def test_a_child_that_kubernetes_hides_is_told_by_the_guard_alone(kills: OomKills) -> None:
    assert told(kills.heard(CHILD, NOW)) == [("process", 1, "a")]
    assert told(kills.heard(CHILD, NOW + 1)) == [("process", 1, "a")], "each of them"
    assert kills.passed(NOW + 1000) == ()


def test_who_is_killed_later_than_its_child_is_another_kill(kills: OomKills) -> None:
    kills.heard(CHILD, NOW - SAME_SECONDS - 1)
    assert told(kills.seen([shown()], NOW + 5, first=False)) == [("container", 1, "a")]


def test_a_kill_of_nobody_is_the_one_that_the_status_shows_later(kills: OomKills) -> None:
    """The cgroup was gone before the guard looked."""
    assert kills.heard(NOBODYS, NOW + 3) == ()
    assert told(kills.seen([shown()], NOW + 5, first=False)) == [("container", 5, "a")]
    assert kills.passed(NOW + 1000) == ()


def test_or_the_one_that_it_showed_before(kills: OomKills) -> None:
    """The guard looks twice a minute only, in quiet times."""
    assert told(kills.seen([shown()], NOW + 1, first=False)) == [("container", 1, "a")]
    assert kills.heard(NOBODYS, NOW + 30) == ()
    assert kills.passed(NOW + 1000) == ()


def test_but_only_one_of_them(kills: OomKills) -> None:
    kills.seen([shown()], NOW + 1, first=False)
    for _ in range(2):
        kills.heard(NOBODYS, NOW + 30)
    assert told(kills.passed(NOW + 1000)) == [("node", 5, None)]


def test_a_kill_that_stays_nobodys_is_the_nodes(kills: OomKills) -> None:
    kills.heard(NOBODYS, NOW)
    assert kills.passed(NOW + WAIT_SECONDS) == ()
    assert told(kills.passed(NOW + WAIT_SECONDS + 1)) == [("node", 5, None)]
    assert kills.passed(NOW + 1000) == ()


def test_a_status_is_told_once_however_often_it_is_shown(kills: OomKills) -> None:
    assert len(kills.seen([shown()], NOW, first=False)) == 1
    again = pod(statuses=[running("app", "b", lastState=ended("a"))])
    assert kills.seen([again, shown()], NOW + 100, first=False) == ()
    next_ = pod(statuses=[running("app", "c", lastState=ended("b", at="2026-11-23T08:00:00Z"))])
    assert told(kills.seen([next_], NOW + 3600, first=False)) == [("container", 1, "b")]


def test_what_the_first_list_shows_may_be_old(kills: OomKills) -> None:
    begun = OomKills()
    assert begun.seen([shown()], NOW + 9999, first=True) == ()
    assert begun.seen([shown()], NOW + 9999, first=False) == ()


@pytest.mark.parametrize(
    "status",
    [
        running("app", "a", state=ended("a", "Error")),
        running("app", "b", lastState=ended("a", "Completed")),
        waiting("app", "a", reason="CrashLoopBackOff"),
    ],
)
def test_other_ends_are_none(kills: OomKills, status: dict[str, Any]) -> None:
    assert kills.seen([pod(statuses=[status])], NOW, first=False) == ()


def test_the_victim_is_named_as_the_guard_would(kills: OomKills) -> None:
    owned = {"ownerReferences": [{"kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}]}
    [death] = kills.seen([pod("db-0", meta=owned, statuses=[running("app", "a", state=ended("a"))])], 0, first=False)
    assert death.victim == victim(pod="db-0", pod_uid="uid-db-0", workload="shop/StatefulSet/db/app")
    assert death.at == NOW


def test_init_containers_end_so_too(kills: OomKills) -> None:
    init = pod(status={"initContainerStatuses": [running("prepare", "i", state=ended("i"))]})
    assert told(kills.seen([init], NOW, first=False)) == [("container", 1, "i")]


def test_what_is_remembered_is_bounded(kills: OomKills) -> None:
    for number in range(MOST + 10):
        kills.heard(KernelKill(count=1, victim=victim(f"{number:064}")), NOW)
    assert len(kills._heard) == MOST


Fact = tuple[str, int]


@given(st.permutations([("heard", 0), ("seen", 0), ("nobody", 0)]), st.booleans())
def test_in_any_order_a_container_dies_once(order: list[Fact], named: bool) -> None:
    """The guard tells of it once: by name, or as nobody's."""
    kills, deaths = OomKills(), []
    kills.seen([pod()], NOW, first=True)
    for fact, _ in order:
        if fact == "seen":
            deaths += kills.seen([shown()], NOW, first=False)
        elif fact == ("heard" if named else "nobody"):
            deaths += kills.heard(WHOLE if named else NOBODYS, NOW)
    deaths += kills.passed(NOW + 1000)
    assert [(one.scope, one.victim.id if one.victim else None) for one in deaths] == [("container", key("a"))]
