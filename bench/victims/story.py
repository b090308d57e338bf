"""What every story needs: a node of some size, a crowd that leaves just enough room, a culprit, and the plan."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.victims.curves import Curve
from bench.victims.machine import Machine
from bench.victims.scene import CPUS, PRIORITIES, SIZES_GIB, Scene
from bench.victims.workload import GIB, KINDS, MIB, Container, Kind, Pod

# The memory that is neither free nor anybody's when the kernel gives up: watermarks and cache that cannot go.
FULL = 0.985
GUILTY_KINDS = ("web", "web", "jvm", "worker", "worker", "cache", "batch", "agent")


@dataclass(slots=True)
class Plan:
    """How a story is told, and its truth.

    `seconds` is the longest the simulation may run, `last` how many snapshots before the end the trace keeps (None:
    all), `keep` the optional fields without which nobody could know, `low` the range in which the lowest available
    share of a harmless trace must lie.
    """

    scene: Scene
    story: str
    seconds: float
    interval: float
    needs_victim: bool = True
    culprits: list[Container] = field(default_factory=list)
    forbidden: list[Container] = field(default_factory=list)
    domain: str = "node"
    last: int | None = None
    keep: tuple[str, ...] = ()
    cache_full: float = 1.0
    hot: float = 0.02
    low: tuple[float, float] = (0.0, 1.0)
    stall_noise: float = 0.0004


Story = Callable[[random.Random], Plan]


def stage(
    rng: random.Random,
    *,
    swap: bool | None = None,
    numa: int | None = None,
    least_gib: int = 1,
    ranks: int | None = None,
) -> Scene:
    """An empty node: any size, some with swap, some big ones with two NUMA nodes, one of three priority schemes."""
    gib = rng.choice([size for size in SIZES_GIB if size >= least_gib])
    total = int(gib * GIB * rng.uniform(0.955, 0.99)) // MIB * MIB
    machine = Machine(total=total, cpus=rng.choice(CPUS[gib]), uptime=rng.lognormvariate(13.5, 1.2) + 7200)
    machine.disk = rng.choice((150, 300, 600, 1500)) * MIB * max(1.0, gib / 32)
    if swap or (swap is None and rng.random() < 0.2):
        machine.swap_kind = rng.choice(("disk", "zram", "zswap"))
        machine.swap_total = int(total * rng.uniform(0.08, 0.5 if swap else 0.2)) // MIB * MIB
    machine.numa = numa or (2 if gib >= 64 and rng.random() < 0.3 else 1)
    if machine.numa > 1 and machine.swap_total:
        machine.swap_kind = "disk"
    scheme = rng.choices(range(3), (30, 40, 30))[0] if ranks is None else ranks
    name = f"node-{rng.choice('abcdefgh')}{rng.randint(1, 40)}"
    return Scene(rng, machine, PRIORITIES[scheme], name=name, thrift=rng.uniform(0.5, 1.1))


def pod_count(scene: Scene) -> int:
    gib, rng = scene.machine.total / GIB, scene.rng
    if gib > 30 and rng.random() < 0.05:
        return rng.randint(50, 100)
    low, high = (7, 12) if gib < 3 else (9, 18) if gib < 9 else (11, 24) if gib < 33 else (12, 34)
    return rng.randint(low, high)


def system_share(scene: Scene) -> float:
    """What the node's own daemons hold, about."""
    total = scene.machine.total
    return max(0.021, 0.06 * min(total, 4 * GIB) / total) + 0.002


def room(scene: Scene, taken: float) -> float:
    """Bytes for the crowd so that the node is full to the brim when others hold `taken` bytes."""
    machine = scene.machine
    swap = machine.swap_total * (0.62 if machine.swap_kind in ("zram", "zswap") else 0.97)
    return FULL * machine.total + swap - scene.share(system_share(scene)) - taken


def crowd(scene: Scene, taken: float, *, seconds: float, pods: int | None = None) -> list[Container]:
    """Fills the node with ordinary pods up to the brim, less what others take; passers-by come and go on top."""
    made = scene.populate(max(room(scene, taken), scene.share(0.15)), pods or pod_count(scene))
    scene.passers_by(seconds)
    return made


def culprit(
    scene: Scene,
    curve: Curve,
    usual: float,
    end: float,
    *,
    kind: Kind | None = None,
    pod: Pod | None = None,
    request: str = "any",
    **extra: Any,
) -> Container:
    """Whoever will be guilty: `usual` is what its people thought it needs, `end` what it will hold at the worst.

    Its request is what people set: `none`, `little` (by the usual size) or `fair` (room to grow: the leak ends at 1.3
    to 6 times of it), or any of these. Its limit, if it has one, is no help: it lies above the end.
    """
    rng = scene.rng
    kind = kind or KINDS[rng.choice(GUILTY_KINDS)]
    c = scene.add(kind, usual, anon=curve, pod=pod, **extra)
    c.limit, c.low_bytes, c.min_bytes = None, 0, 0
    style = rng.choices(("none", "little", "fair"), (3, 3, 6))[0] if request == "any" else request
    if style == "none":
        c.request = None
    else:
        asked = min(usual * rng.uniform(0.7, 1.4), 0.5 * end) if style == "little" else end * rng.uniform(0.15, 0.75)
        c.request = max(int(asked / MIB), 8) * MIB
        if rng.random() < 0.4:
            c.limit = int(end * rng.uniform(1.3, 2.5) / MIB) * MIB
    c.cold = rng.uniform(0.3, 0.9)
    c.important = False
    return c


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return low * (high / low) ** rng.random()
