"""Those who only look guilty: page-cache churn, a warm-up with a plateau, a batch that ends, a spike that recovers."""

from __future__ import annotations

import pytest
from bench.kernel.benign import SLOWER_AT_MOST
from bench.kernel.cells import COARSE, churning
from bench.kernel.guards import memguard
from bench.kernel.verdict import clean_guard, survived
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted, Figures
from tests.machine.guest.spec import MIB, Cell, Guard

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

LIMIT = 256 * MIB
#: A minute of it is in the bench.
CHURN_SECONDS = 8.0


def at_limit(name: str, shape: str, hog_mib: int, **changes: object) -> Cell:
    """A container with a limit of 256 MiB; its line stands at 240."""
    facts: dict[str, object] = {
        "name": name, "shape": shape, "domain": "container", "guard": memguard(), "hog_max_bytes": hog_mib * MIB,
        "rate_mib_s": 50.0, "time_limit_seconds": 6.5, **COARSE,
    }  # fmt: skip
    return Cell(**{**facts, **changes})  # type: ignore[arg-type]


BENIGN = (
    at_limit("warm, at the line", "warm", 238),
    at_limit("warm, above the line", "warm", 246),
    at_limit("batch", "batch", 240, rate_mib_s=0.0, batch_seconds=5.0),
    at_limit("spike", "spike", 240, rate_mib_s=100.0, time_limit_seconds=11.0),
    Cell(name="warm, node", shape="warm", guard=memguard(), rate_mib_s=100.0, hog_max_bytes=330 * MIB,
         time_limit_seconds=6.0, **COARSE),  # type: ignore[arg-type]
    Cell(name="spike, node", shape="spike", guard=memguard(), rate_mib_s=200.0, hog_max_bytes=330 * MIB,
         time_limit_seconds=9.0, **COARSE),  # type: ignore[arg-type]
)  # fmt: skip


CHURNING = (churning("churn, no guard", Guard(), CHURN_SECONDS), churning("churn", memguard(), CHURN_SECONDS))
BOOTS = (Boot(cells=(*BENIGN, *CHURNING)),)


@pytest.mark.row("E5")
@pytest.mark.parametrize("cell", BENIGN, ids=lambda cell: cell.name)
def test_who_ends_or_stops_in_time_is_left_alone(booted: Booted, cell: Cell) -> None:
    result = booted.cell(cell.name)
    assert [*survived(result), *clean_guard(result, booted.journal(cell.name))] == []


@pytest.mark.row("A3", "E5")
def test_churn_kills_nobody_and_is_hardly_slower(booted: Booted, figures: Figures) -> None:
    with_guard, without = booted.cell("churn"), booted.cell("churn, no guard")
    assert [*survived(with_guard), *clean_guard(with_guard, booted.journal("churn"))] == []
    assert with_guard.churn_mib_s is not None
    assert without.churn_mib_s is not None
    ratio = with_guard.churn_mib_s / without.churn_mib_s
    figures.note("churn MiB/s: without, with, ratio", [without.churn_mib_s, with_guard.churn_mib_s, round(ratio, 3)])
    assert ratio >= 1 - SLOWER_AT_MOST
