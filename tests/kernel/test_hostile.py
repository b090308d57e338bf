"""Tenants that will not be caught, want somebody else to be, or hold what the guard needs (docs/security.md)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

BOOTS = (Boot(scenarios=("hostile",)),)
#: 256 MiB of limit less its margin, and what kubelet had written (MemoryQoS).
OUR_LINE, KUBELETS_LINE = str(240 << 20), str(200 << 20)


def told(booted: Booted, part: str) -> dict[str, Any]:
    """What one part came to, when nothing else went wrong: nobody innocent died, and the log can be read."""
    found: dict[str, Any] = booted.scenario("hostile")[part]
    assert "problem" not in found, found["problem"]
    assert (found["innocent"], found["kernel"], found["noise"], found["exit"]) == (True, 0, [], 0)
    assert found["printable"]
    return found


@pytest.mark.row("C5", "E1", "T1")
@pytest.mark.parametrize(
    "part", ["imitation", "escape", "threads"], ids=["names of its neighbour's", "forks and moves", "threaded"]
)
def test_it_dies_whole_whatever_it_makes_of_its_own_cgroup(booted: Booted, part: str) -> None:
    found = told(booted, part)
    assert found["victims"] == ["hog"]
    assert found["gone"]


def test_the_threads_were_where_no_file_lists_them(booted: Booted) -> None:
    assert told(booted, "threads")["threaded"] == "domain threaded"


@pytest.mark.row("A4")
def test_who_takes_all_of_inotify_keeps_the_guard_from_nothing(booted: Booted) -> None:
    """Containers are found every 10 s then, and at once as soon as there is inotify again."""
    found = told(booted, "no_inotify")
    assert found["held"] > 100
    assert "max_user_instances" in found["told"][0]
    assert found["victims"] == ["late", "later"]
    assert found["gone"]


@pytest.mark.row("P3")
def test_a_process_that_bears_its_name_hides_no_loss_of_a_critical_one(booted: Booted) -> None:
    found = told(booted, "impostor")
    assert found["victims"] == ["hog"]
    assert any("kubelet" in alarm for alarm in found["alarms"])


@pytest.mark.row("C4", "S10")
def test_who_fills_the_node_and_then_stands_still_pays_for_it(booted: Booted) -> None:
    """A neighbour makes all of the growth that breaks the reserve, within what it asked for."""
    assert told(booted, "blame")["victims"] == ["hog"]


@pytest.mark.row("S1")
def test_what_it_holds_in_sockets_counts(booted: Booted) -> None:
    found = told(booted, "uncharged")
    assert found["victims"] == ["hog"]
    assert found["alarms"] == []


def test_what_a_container_may_do_to_its_own_cgroup(booted: Booted) -> None:
    """Nothing that limits it, where its runtime mounts it writable (cgroup namespace, nsdelegate).

    But it can have a brake of kubelet's lifted, by marking it as a dead guard's: docs/security.md says so.
    """
    found = told(booted, "delegated")
    assert found["code"] == 0
    assert found["may"] == {
        "limit": "no", "line": "no", "protection": "no", "freeze": "no", "above": "no", "group": "yes", "nest": "yes",
        "mark": "yes",
    }  # fmt: skip
    assert (found["before"], found["lifted"]) == (KUBELETS_LINE, OUR_LINE)
