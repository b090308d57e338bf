"""The matrix: how fast x which boundary x what grows. Each spot has a name, and becomes a cell for each guard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from tests.machine.guest.spec import Cell, Domain, Guard, Shape

#: MiB/s, or as fast as it goes with small or with huge pages.
Fill = Literal["50", "200", "4k", "thp"]
FILLS: tuple[Fill, ...] = get_args(Fill)
UNLIMITED: tuple[Fill, ...] = ("4k", "thp")
DOMAINS: tuple[Domain, ...] = ("node", "kubepods", "pod", "container")
SHAPES: tuple[Shape, ...] = (
    "one", "swarm", "threads", "two_pods", "churn_beside", "in_database", "churn_then_hog", "swap_file", "zram",
)  # fmt: skip
HOG_THREADS = 8
#: Half a minute at full speed would be half of the named cells' time; at this rate, too, all of it is reclaim.
CHURN_BEFORE_MIB_S = 200.0


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One place of the matrix. `threads` beside a shape of its own joins two shapes in one cell."""

    fill: Fill
    domain: Domain
    shape: Shape
    threads: int | None = None

    @property
    def name(self) -> str:
        """What it is called everywhere: `node-swarm-4k`."""
        joined = f"{self.shape}+threads" if self.threads else self.shape
        return f"{self.domain}-{joined}-{self.fill}"

    @property
    def covers(self) -> frozenset[Shape]:
        """The shapes that this cell shows."""
        found: set[Shape] = {self.shape}
        return frozenset(found | {"threads"} if self.threads else found)

    @property
    def unlimited(self) -> bool:
        """Does it grow as fast as it goes?"""
        return self.fill in UNLIMITED

    def cell(self, guard: Guard, label: str, repeat: int = 0, **changes: object) -> Cell:
        """The cell for one guard; repetitions meet a poller at other phases."""
        facts: dict[str, object] = {
            "name": f"{self.name}/{label}/{repeat}",
            "guard": guard,
            "domain": self.domain,
            "shape": self.shape,
            "pages": "thp" if self.fill == "thp" else "4k",
            "rate_mib_s": 0.0 if self.unlimited else float(self.fill),
            "threads": self.threads,
            "repeat": repeat,
            "keep_timeline": 0,
            "churn_rate_mib_s": CHURN_BEFORE_MIB_S if self.shape == "churn_then_hog" else 0.0,
        }
        return Cell(**{**facts, **changes})  # type: ignore[arg-type]


#: Eight that cover every boundary and every shape, in the order of the table.
NAMED: tuple[Spot, ...] = (
    Spot(domain="node", shape="swarm", fill="4k"),
    Spot(domain="node", shape="in_database", fill="thp"),
    Spot(domain="node", shape="zram", fill="4k", threads=HOG_THREADS),
    Spot(domain="node", shape="swap_file", fill="200"),
    Spot(domain="kubepods", shape="two_pods", fill="4k"),
    Spot(domain="pod", shape="churn_beside", fill="thp"),
    Spot(domain="container", shape="churn_then_hog", fill="4k"),
    Spot(domain="system", shape="one", fill="4k"),
)
#: A file on a tmpfs that outlives its container: not a shape of the matrix, but of the same rules.
TMPFS: tuple[Spot, ...] = (Spot(domain="node", shape="tmpfs", fill="4k"), Spot(domain="node", shape="tmpfs", fill="50"))


#: Where neither the timeline nor anybody's latency is looked at: both would only cost time.
COARSE: dict[str, object] = {"sample_ms": 50.0, "keep_timeline": 0, "measures_latency": False}


def churning(name: str, guard: Guard, seconds: float) -> Cell:
    """Streaming reads in a container that is always at its limit, on a node whose cache is full: nobody should die."""
    return Cell(
        name=name, shape="churn", domain="container", guard=guard, churn_seconds=seconds,
        time_limit_seconds=seconds + 1, **COARSE,  # type: ignore[arg-type]
    )  # fmt: skip


def matrix() -> Iterator[Spot]:
    """Every place; a hog outside of all pods knows no limits of theirs, and one shape says it all."""
    for domain, shape, fill in product(DOMAINS, SHAPES, FILLS):
        yield Spot(domain=domain, shape=shape, fill=fill)
    for fill in FILLS:
        yield Spot(domain="system", shape="one", fill=fill)
    yield from TMPFS


def unlimited() -> Iterator[Spot]:
    """Every cell whose hog knows no rate."""
    return (spot for spot in matrix() if spot.unlimited)


def by_name(name: str) -> Spot:
    """The spot of that name. Raises KeyError when there is none."""
    return {spot.name: spot for spot in (*matrix(), *NAMED)}[name]
