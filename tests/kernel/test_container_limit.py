"""A container's own limit: the guard acts before memory.max is hit, by a kill or by a stop that is given its time."""

from __future__ import annotations

import pytest
from bench.kernel.cells import Spot
from bench.kernel.guards import Guard, config, memguard
from bench.kernel.verdict import clean_guard, failures, right_victim
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted, Figures
from tests.machine.guest.spec import MIB, Cell

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

KILLS = tuple(
    Spot(domain="container", shape=shape, fill=fill)  # type: ignore[arg-type]
    for shape, fill in (("one", "4k"), ("one", "thp"), ("one", "200"), ("one", "50"), ("swarm", "4k"))
)
GRACE = {"graceSeconds": 2.0}
TERM_MS = 300
#: Nobody's latency is of interest here, nor how large the node is.
QUICK: dict[str, object] = {"measures_latency": False}
MEMORY_MB = 768


def graceful(name: str, *, allocates: bool = False, pages: str = "4k") -> Cell:
    return Cell(
        name=name, domain="container", guard=memguard(config(rule=GRACE)), term_ms=TERM_MS, term_allocates=allocates,
        pages=pages, keep_timeline=0, **QUICK,  # type: ignore[arg-type]
    )  # fmt: skip


GRACEFUL = (
    graceful("graceful"),
    graceful("graceful-thp", pages="thp"),
    graceful("graceful-allocates", allocates=True),
)
BOOTS = (
    Boot(
        cells=(
            *(spot.cell(memguard(), "memguard", **QUICK) for spot in KILLS),
            *GRACEFUL,
            KILLS[0].cell(Guard(), "none", **QUICK),
        ),
        scenarios=("nested",),
        memory_mb=MEMORY_MB,
    ),
)


@pytest.mark.row("E4", "A1", "T1")
@pytest.mark.parametrize("spot", KILLS, ids=lambda spot: spot.name)
def test_a_kill_comes_before_the_limit(booted: Booted, figures: Figures, spot: Spot) -> None:
    result = booted.cell(f"{spot.name}/memguard/0")
    assert failures(spot, result) == []
    assert result.limit_peak_bytes is not None
    assert result.limit_bytes is not None
    figures.note(f"limit peak MiB {spot.name}", round(result.limit_peak_bytes / MIB, 1))
    assert result.limit_peak_bytes < result.limit_bytes


@pytest.mark.row("E4")
def test_without_a_guard_the_kernel_does_it(booted: Booted) -> None:
    assert booted.cell(f"{KILLS[0].name}/none/0").kernel_oom_kills > 0


@pytest.mark.row("E4", "T1")
@pytest.mark.parametrize("cell", [cell for cell in GRACEFUL if not cell.term_allocates], ids=lambda cell: cell.name)
def test_a_graceful_stop_ends_cleanly_before_the_limit(booted: Booted, figures: Figures, cell: Cell) -> None:
    result = booted.cell(cell.name)
    assert [*right_victim(result), *clean_guard(result, booted.journal(cell.name))] == []
    assert result.sigterm_at is not None
    assert result.exit_at is not None
    figures.note(f"{cell.name}: SIGTERM to exit, s", round(result.exit_at - result.sigterm_at, 3))
    assert [deed["action"] for deed in booted.journal(cell.name).deeds] == ["terminate"]
    hog = next(container for container in result.containers if container.name == "hog")
    assert [process.exit_code for process in hog.processes if process.role == "hog"] == [0]


@pytest.mark.row("E4", "T1")
def test_who_goes_on_growing_during_its_grace_is_killed_before_the_limit(booted: Booted) -> None:
    result = booted.cell("graceful-allocates")
    assert [*right_victim(result), *clean_guard(result, booted.journal("graceful-allocates"))] == []
    assert result.sigterm_at is not None


@pytest.mark.row("E1", "T1")
def test_nested_cgroups_die_with_their_container(booted: Booted) -> None:
    told = booted.scenario("nested")
    assert told["gone"]
    assert told["kernel"] == 0
    assert told["victims"] == ["hog"]
    assert [outcome["complete"] for outcome in told["outcomes"]] == [True]
    assert told["web"], "the bystander's nest lives"
    assert told["exit"] == 0
