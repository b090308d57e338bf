"""The named cells of the benchmark on other kernels, and on kernels with less: each seed is one cell of one variant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from math import isfinite
from typing import Any

import msgspec
from bench.kernel.cells import NAMED, Spot
from bench.kernel.guards import config, memguard
from bench.kernel.runs import measure
from bench.kernel.verdict import failures
from chaos.records import records
from chaos.runs import Run, commit
from tests.kernel.boots import Boot
from tests.machine.guest.result import CellResult
from tests.machine.guest.spec import Driver
from tests.machine.image import ImageSpec
from tests.machine.qemu import Record

PART = "kernels"
BOOT_SECONDS = 1800.0
#: Where the guest finds ours before its own (tests/machine/share.py).
WITHOUT_PATH = "/share/inside/without:/share/python"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One kernel. `facts` are what inside/kernel.py must say of it: or the variant is not what it is called."""

    name: str
    release: str = "6.12"
    kernel: str = ""
    kernel_args: str = ""
    driver: Driver = "systemd"
    without: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict, hash=False)

    def boot(self, spots: list[Spot]) -> Boot:
        """One machine for these cells."""
        text = config(driver=self.driver)
        environment = (("PYTHONPATH", WITHOUT_PATH), ("MG_WITHOUT", ",".join(self.without))) if self.without else ()
        guard = memguard(text, environment=environment)
        return Boot(
            cells=tuple(spot.cell(guard, self.name, driver=self.driver) for spot in spots),
            scenarios=("kernel",),
            image=ImageSpec(kernel=self.kernel),
            kernel_args=self.kernel_args,
            seconds=BOOT_SECONDS,
        )


VARIANTS = (
    Variant(name="6.1", release="6.1", kernel="bookworm"),
    Variant(name="6.12, cgroupfs driver", driver="cgroupfs"),
    Variant(name="the newest", release="", kernel="trixie-backports"),
    Variant(name="psi=0", kernel_args="psi=0", facts={"psi": False}),
    Variant(name="AppArmor", kernel_args="apparmor=1 security=apparmor", facts={"apparmor": True}),
    Variant(name="no memory.peak, no memory.reclaim", without=("memory.peak", "memory.reclaim")),
    Variant(name="6.1, psi=0, cgroupfs driver", release="6.1", kernel="bookworm", kernel_args="psi=0",
            driver="cgroupfs", facts={"psi": False}),
)  # fmt: skip
CELLS: tuple[tuple[Variant, Spot], ...] = tuple((variant, spot) for variant in VARIANTS for spot in NAMED)


def play(seeds: list[int], say: Callable[[str], None]) -> Iterator[Run]:
    """Each seed once, those of a variant in one boot."""
    for variant, chosen in groupby(seeds, key=lambda seed: CELLS[seed][0]):
        yield from _play(variant, list(chosen), say)


def _play(variant: Variant, seeds: list[int], say: Callable[[str], None]) -> Iterator[Run]:
    """The machine says first what it is, then how each cell went."""
    seed_of = {f"{CELLS[seed][1].name}/{variant.name}/0": seed for seed in seeds}
    other: list[str] = []
    for record in records(variant.boot([CELLS[seed][1] for seed in seeds])):
        if record["kind"] == "command":
            told = json.loads(record["result"]["stdout"])
            say(f"{variant.name}: {told['release']}, {told['lsm']}")
            other = misnamed(variant, told)
        elif record.get("name") in seed_of:
            yield _run(seed_of[record["name"]], record, other)


def misnamed(variant: Variant, told: dict[str, Any]) -> list[str]:
    """What the machine is not, although the variant is called so."""
    wanted = {"release": variant.release, **variant.facts}
    return [f"{name} is {told[name]}" for name, value in wanted.items() if not _is(told[name], value)]


def _is(found: object, wanted: object) -> bool:
    return found.startswith(wanted) if isinstance(found, str) and isinstance(wanted, str) else found == wanted


def _run(seed: int, record: Record, other: list[str]) -> Run:
    variant, spot = CELLS[seed]
    found: tuple[str, ...] = (record.get("error", ""),)
    figures: dict[str, float] = {}
    if record["kind"] == "cell":
        result = msgspec.convert(record["result"], CellResult)
        found, figures = (*other, *failures(spot, result)), _known(measure(result))
    return Run(part=PART, seed=seed, commit=commit(), faults=(variant.name, spot.name), broken=found, figures=figures)


def _known(figures: dict[str, Any]) -> dict[str, float]:
    """Without those that a cell of its kind does not have."""
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float) and isfinite(value)}
