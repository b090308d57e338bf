"""When each peer would act by itself: its documented trigger, as far as a snapshot shows what it reads.

Defaults, except that systemd-oomd is told to watch all pods and koordlet is switched on: by default neither does
anything. kubelet's 100 MiB are less than what is left at exhaustion on nodes over 10 GiB, so it stands here with 5 % as
well, the example of Kubernetes' documentation (node-pressure eviction: 95 % utilisation). Not here: Katalyst. It adds
256 MiB and 1 GiB to the watermarks of a NUMA node's zone, so that a machine of 1 or 2 GiB is always below them; its
stalls must last 45 s before anybody dies who is not of its class `reclaimed`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from bench.victims.peers import working_set
from bench.victims.trace import View, limit

MIB = 1 << 20
#: Where what the dead gave back leaves more than this, the stalls of the trace are not those that there would be.
CALM = 0.06

#: Is it time? Asked at each look; it may remember.
Trigger = Callable[[View], bool]


def earlyoom() -> Trigger:
    """main.c and meminfo.c: MemAvailable at most 10 % of itself and AnonPages, and SwapFree at most 10 % (or no swap).

    AnonPages, where they were not recorded: the containers' anonymous memory and what system.slice cannot give back.
    """

    def due(view: View) -> bool:
        available = view.node["memory"]["availableBytes"]
        anon = _anon(view) if view.anon_bytes is None else view.anon_bytes
        return bool(available <= 0.10 * (available + anon) and _swap_free(view) <= 0.10)

    return due


def _anon(view: View) -> int:
    pods = sum(c["memory"]["anonBytes"] for c in view.containers)
    return int(pods + sum(cgroup["unreclaimableBytes"] for cgroup in view.cgroups if cgroup["kind"] == "other"))


def nohang() -> Trigger:
    """nohang.conf: MemAvailable at most 5 % of MemTotal, and SwapFree at most 10 % (or no swap)."""
    return lambda view: _available(view) <= 0.05 and _swap_free(view) <= 0.10


def stalled(most: float, seconds: float, reclaim_seconds: float) -> Callable[[], Trigger]:
    """full avg10 of all pods above that for so long, and reclaim moved lately."""

    def fresh() -> Trigger:
        since = inf

        def due(view: View) -> bool:
            nonlocal since
            since = min(since, view.seconds) if _calmed(view, view.remembers.pods_stall) > most else inf
            scanned = view.seconds - view.remembers.scanned_at <= reclaim_seconds
            return view.seconds - since >= seconds and scanned

        return due

    return fresh


def talos() -> Trigger:
    """OOMConfig's triggerExpression (v1.13): the system's own stalls rise by 375 us/s and their avg10 is over 5 %, or
    the node's is over 75 %. Its class Podruntime, which counts half, is in system.slice here.

    The system's stalls are none where they were not recorded.
    """

    def due(view: View) -> bool:
        memory = view.remembers
        system = 8 * _calmed(view, memory.system_rate) > 0.003 and _calmed(view, memory.system_stall) > 0.05
        return system or _calmed(view, memory.node_stall) > 0.75

    return due


def swap_short() -> Trigger:
    """oomd's swap_free in desktop.json: less than 10 % of the swap is free; without swap it never is."""
    return lambda view: _has_swap(view) and _swap_free(view) < 0.10


def swap_and_memory_short() -> Trigger:
    """systemd-oomd: more than 90 % of memory used, and more than 90 % of the swap."""
    return lambda view: _has_swap(view) and _swap_free(view) < 0.10 and _available(view) < 0.10


def kubelet(ratio: float = 0.0) -> Trigger:
    """memory.available<100Mi, or a share: the node's memory without the working set, and so under kubepods' limit."""

    def due(view: View) -> bool:
        memory = view.node["memory"]
        inactive = sum(c["memory"]["inactiveFileBytes"] for c in view.containers)
        pods = sum(working_set(c) for c in view.containers)
        allocatable = limit(view.cgroups, view.node)
        least = ratio * memory["totalBytes"] or 100 * MIB
        return bool(min(memory["freeBytes"] + inactive, allocatable - pods) < least)

    return due


def koordlet() -> Trigger:
    """MemTotal less MemAvailable, in whole percent, at least 70 (memoryEvictThresholdPercent), until below 68."""
    until = 70

    def due(view: View) -> bool:
        nonlocal until
        until = 68 if int(100 * (1 - _available(view))) >= until else 70
        return until == 68

    return due


def _available(view: View) -> float:
    return float(view.node["memory"]["availableBytes"] / view.node["memory"]["totalBytes"])


def _has_swap(view: View) -> bool:
    return bool(view.node["memory"]["swapTotalBytes"])


def _swap_free(view: View) -> float:
    """0 without swap."""
    memory = view.node["memory"]
    return float(memory["swapFreeBytes"] / memory["swapTotalBytes"]) if _has_swap(view) else 0.0


def _calmed(view: View, stall: float) -> float:
    return 0.0 if view.bereaved and view.left > CALM else stall


@dataclass(frozen=True, slots=True)
class Habit:
    """One trigger of a daemon and the ranking that it asks; then it holds still. `burst`: kills until it is over."""

    ranking: str
    trigger: Callable[[], Trigger]
    poll_seconds: float = 0.0
    hold_seconds: float = 0.0
    burst: bool = False


#: A daemon's habits, the first that is due acts. A trace's snapshots are as near as a shorter poll than theirs comes.
DAEMONS = {
    "earlyoom": (Habit("earlyoom", earlyoom),),
    "nohang": (Habit("nohang", nohang, hold_seconds=3),),
    "oomd": (
        Habit("oomd", stalled(0.60, 30, 10), poll_seconds=5, hold_seconds=15),
        Habit("oomd-swap", swap_short, poll_seconds=5, hold_seconds=15),
    ),
    "systemd-oomd": (
        Habit("systemd-oomd-pgscan", stalled(0.60, 30, 30), poll_seconds=1, hold_seconds=15),
        Habit("systemd-oomd-swap", swap_and_memory_short),
    ),
    "talos": (Habit("talos", talos, poll_seconds=0.5, hold_seconds=10),),
    "kubelet": (Habit("kubelet", kubelet, poll_seconds=10),),
    "kubelet-5%": (Habit("kubelet", partial(kubelet, 0.05), poll_seconds=10),),
    "koordlet": (Habit("koordlet", koordlet, poll_seconds=1, hold_seconds=4, burst=True),),
}
