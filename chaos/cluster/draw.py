"""What a seed plays: a leak and one or two faults. Nothing but the seed decides it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PART = "cluster"
#: Who is killed, stopped or slowed, by what the reports call it.
PROGRAMS = ("guard", "supervisor", "agent", "operator", "kubelet", "containerd", "API server", "etcd")
WAYS = ("killed", "stopped", "slowed")
OTHERS = (
    "partitioned", "answers lost", "disk full", "/run full", "guard's tmpfs full", "clock ahead", "clock back",
    "node pod deleted", "DaemonSet deleted", "operators deleted", "guard at its limit", "CPU starved",
    "limit raised", "kubelet evicts", "memory.high by another", "daemon-reload", "set-property", "200 cgroups",
)  # fmt: skip
FAULTS = (*(f"{program} {way}" for way in WAYS for program in PROGRAMS), *OTHERS)
#: A node-level leak fills a node of 2 GiB in 3 to 8 s, the others their limit in 1 to 4.
RATES_MIB_S = {"limit": (30, 100), "polite": (30, 60), "twice": (40, 80), "node": (100, 300)}
LIMIT_MIB, UNREACHED_MIB = 160, 2048
#: Before and after the leak begins; for so long. A kubelet that is away for 40 s would make the node NotReady.
MOMENTS_SECONDS, DURATIONS_SECONDS = (-3.0, 5.0), (2.0, 12.0)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One of FAULTS; `at`: seconds after the leak begins; `seconds`: how long it lasts, where it lasts."""

    name: str
    at: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A run. `leak`: "limit" fills its limit once, "polite" hears SIGTERM, "twice" has a budget of one end and leaks in
    two lives, "node" has no limit that it could reach.
    """

    seed: int
    leak: str
    rate_mib_s: int
    faults: tuple[Fault, ...]

    @property
    def pod(self) -> str:
        """The leak's name."""
        return f"leak-{self.seed}"

    @property
    def lives(self) -> int:
        """How often it leaks."""
        return 2 if self.leak == "twice" else 1

    @property
    def limit_mib(self) -> int:
        """Its own limit; one that it cannot reach says all the same that the guard knows it: by the line under it."""
        return UNREACHED_MIB if self.leak == "node" else LIMIT_MIB

    def plays(self, *names: str) -> bool:
        """Whether one of these faults is among its own."""
        return any(fault.name in names for fault in self.faults)


def drawn(seed: int) -> Draw:
    """The first fault goes around, so that as many seeds as there are faults play all; the rest is drawn."""
    random = Random(f"{PART}{seed}")
    order = Random(PART).sample(FAULTS, len(FAULTS))
    first = order[seed % len(order)]
    names = (first, *random.sample([name for name in FAULTS if name != first], random.randint(0, 1)))
    leak = "node" if first == "kubelet evicts" else random.choice(tuple(RATES_MIB_S))
    return Draw(
        seed=seed,
        leak=leak,
        rate_mib_s=random.randint(*RATES_MIB_S[leak]),
        faults=tuple(_fault(name, random) for name in names),
    )


def _fault(name: str, random: Random) -> Fault:
    at, seconds = random.uniform(*MOMENTS_SECONDS), random.uniform(*DURATIONS_SECONDS)
    if name == "kubelet evicts":  # kubelet begins anew for it
        at, seconds = MOMENTS_SECONDS[0] - 10, DURATIONS_SECONDS[1] + 10
    return Fault(name=name, at=round(at, 2), seconds=round(seconds, 2))
