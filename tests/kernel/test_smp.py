"""Four CPUs and the real clock, for correctness alone: here the hog grows while the guard thinks.

The named cells run like that in the bench; these are beyond them.
"""

from __future__ import annotations

import pytest
from bench.kernel.cells import Spot
from bench.kernel.guards import memguard
from bench.kernel.verdict import failures
from tests.kernel.boots import Boot
from tests.kernel.conftest import Booted
from tests.machine.guest.spec import Action, Cell

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]

#: Twice as many spinners as CPUs, at the hog's side.
SPIN = Action(
    at_seconds=0.0, script='"$MG_LOADS" enter cgroup="$MG_C_SERVICE" -- "$MG_LOADS" spin threads=8 >/dev/null 2>&1 &'
)
CASES: dict[str, tuple[Spot, dict[str, object]]] = {
    "node-threads-8": (Spot(domain="node", shape="threads", fill="4k"), {}),
    "node-threads-64-thp": (Spot(domain="node", shape="one", fill="thp"), {"threads": 64}),
    "node-swarm": (Spot(domain="node", shape="swarm", fill="4k"), {}),
    "node-spinners": (Spot(domain="node", shape="one", fill="4k"), {"actions": (SPIN,)}),
    "container-swarm": (Spot(domain="container", shape="swarm", fill="4k"), {}),
    "container-threads-64": (Spot(domain="container", shape="one", fill="4k"), {"threads": 64}),
}
CELLS: dict[str, Cell] = {
    name: spot.cell(memguard(), "4 CPUs", **{"name": name, "measures_latency": False, **changes})
    for name, (spot, changes) in CASES.items()
}
BOOTS = (Boot(cells=tuple(CELLS.values()), clock="real"),)


@pytest.mark.row("A1", "T1")
@pytest.mark.parametrize("name", CASES)
def test_the_right_container_dies_on_four_cpus(booted: Booted, name: str) -> None:
    assert failures(CASES[name][0], booted.cell(name)) == []
