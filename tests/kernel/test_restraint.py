"""Where it may not act it does not brake either, and the kernel's OOM killer comes no later than without it."""

from __future__ import annotations

from typing import Any

import pytest
from bench.kernel.guards import config, memguard
from bench.kernel.verdict import clean_guard
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted
from tests.machine.guest.result import CellResult
from tests.machine.guest.spec import Cell, Domain, Guard

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

#: The reasons for which it may only watch.
RESTRAINTS: dict[str, dict[str, Any]] = {
    "observe": {"mode": "Observe"},
    "budget-0": {"budget": {"perNode": 0}},
    "protected": {"rule": {"protected": True}},
    "no-kill": {"rule": {"actions": ["notify", "reclaim", "brake"]}},
}
DOMAINS: tuple[Domain, ...] = ("node", "container")
#: A tenth of a gigabyte less: these races end in the kernel's hands, at the very end of the memory.
MEMORY_MB = 768
SLACK_SECONDS = 0.05


#: Without a guard, at other phases: how long the kernel thrashes before it gives up on a node differs by a tenth of a
#: second.
UNGUARDED: dict[Domain, range] = {"node": range(3), "container": range(1)}


def cell(domain: Domain, name: str, guard: Guard, repeat: int = 0) -> Cell:
    return Cell(
        name=f"{domain}-{name}", domain=domain, guard=guard, sample_ms=1.0, keep_timeline=40_000, repeat=repeat,
        measures_latency=False,
    )  # fmt: skip


CELLS = {
    (domain, name): cell(domain, name, memguard(config(**changes)))
    for domain in DOMAINS
    for name, changes in RESTRAINTS.items()
}
WITHOUT = tuple(cell(domain, f"none-{repeat}", Guard(), repeat) for domain in DOMAINS for repeat in UNGUARDED[domain])
BOOTS = (Boot(cells=(*WITHOUT, *CELLS.values()), memory_mb=MEMORY_MB),)


def braked(result: CellResult) -> list[tuple[float, ...]]:
    """Moments at which the hog had a line or was frozen."""
    columns = ("time", *result.timeline.columns)
    high, frozen = columns.index("hog.high"), columns.index("hog.frozen")
    return [row for row in result.timeline.rows if row[high] >= 0 or row[frozen] > 0]


@pytest.mark.row("K5", "T1")
@pytest.mark.parametrize(("domain", "name"), CELLS, ids=lambda part: part)
def test_it_neither_brakes_nor_kills(booted: Booted, domain: Domain, name: str) -> None:
    result = booted.cell(f"{domain}-{name}")
    hog = next(container for container in result.containers if container.name == "hog")
    assert booted.journal(result.name).victims == []
    assert braked(result) == []
    assert hog.events.get("high", 0) == 0
    assert [*clean_guard(result, booted.journal(result.name))] == []


@pytest.mark.row("K9")
@pytest.mark.parametrize(("domain", "name"), CELLS, ids=lambda part: part)
def test_the_kernel_comes_no_later_than_without_it(booted: Booted, domain: Domain, name: str) -> None:
    """On one CPU the guard's own work delays the hog: by that much, and by nothing else."""
    result = booted.cell(f"{domain}-{name}")
    without = [booted.cell(f"{domain}-none-{repeat}") for repeat in UNGUARDED[domain]]
    assert result.kernel_oom_kills > 0
    assert all(none.kernel_oom_kills > 0 for none in without)
    assert result.ended_at is not None
    latest = max(none.ended_at for none in without if none.ended_at is not None)
    assert result.ended_at <= latest + result.guard.cpu_ms / 1000 + SLACK_SECONDS


@pytest.mark.row("K5", "T2")
def test_observing_says_what_would_have_been_done(booted: Booted) -> None:
    """At the node: without a line nothing rings at a container's own limit."""
    decisions = booted.journal("node-observe").of("decision")
    assert [(line["mode"], line["victim"]["name"]) for line in decisions[:1]] == [("Observe", "hog")]
