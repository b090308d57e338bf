"""The peers' rankings: whom each would choose, written from its documentation and source.

One function a rule. What a rule reads and a snapshot does not hold is said there, with what stands in for it. Nothing
that needs an administrator's hand is on: no prefer, avoid or omit patterns, no labels, no xattrs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from bench.victims.trace import Record, View, footprint, local

CRITICAL_PRIORITY = 2_000_000_000

Rule = Callable[[View], str | None]
Pod = list[Record]


def largest(view: View) -> str | None:
    """No peer: whoever holds most."""
    return max(view.containers, key=footprint, default={}).get("id")


# -- by process: the kernel, and those that read its oom_score --------------------------------------------------
def kernel(view: View) -> str | None:
    """mm/oom_kill.c, oom_badness(): the biggest process by rss, swap and page tables, shifted by oom_score_adj.

    Processes' sizes are not in a snapshot: the truth's share of the biggest one stands in. Its container dies whole
    (memory.oom.group, as kubelet sets it).
    """
    return _worst(view, lambda c: _share(view, c))


def kernel_whole(view: View) -> str | None:
    """No peer: the same formula as if each container were one process, which is what the kernel misses."""
    return _worst(view, lambda _c: 1.0)


def earlyoom(view: View) -> str | None:
    """earlyoom, kill.c, is_larger(): the highest /proc/PID/oom_score, then the larger resident size.

    It ends one process; the model ends its container, to its credit.
    """

    def order(c: Record) -> tuple[int, float]:
        return _oom_score(view, c), _share(view, c) * (c["memory"]["anonBytes"] + c["memory"]["shmemBytes"])

    return max(_scored(view), key=order, default={}).get("id")


def nohang(view: View) -> str | None:
    """nohang, pid_to_badness(), find_victim() under nohang.conf: oom_score of at least 1; the first listed of equals.

    Processes are listed by their number, so the oldest container stands first. It ends one process; as above.
    """
    listed = sorted(_scored(view), key=lambda c: c["startedAt"])
    return max(listed, key=lambda c: _oom_score(view, c), default={}).get("id")


def _worst(view: View, share: Callable[[Record], float]) -> str | None:
    """Not the unkillable; where a NUMA node runs dry, only who uses it (oom_cpuset_eligible()); under a limit only who
    is under it, and adj is of that limit (oom_badness()'s totalpages)."""
    whole = _ram_and_swap(view) if view.domain.startswith(("node", "numa/")) else view.size
    able = [c for c in view.containers if c["oomScoreAdj"] != -1000 and local(c, view.domain) > 0.01]
    return max(able, key=lambda c: _badness(c, share(c), whole), default={}).get("id")


def _badness(c: Record, share: float, whole: int) -> float:
    adj = c["oomScoreAdj"] or 0  # none where no process was seen at that moment
    return float(share * footprint(c) * 1.002 + adj * whole / 1000)


def _share(view: View, c: Record) -> float:
    return min(view.largest_process.get(c["id"], 1.0), 1.0)


def _ram_and_swap(view: View) -> int:
    return int(view.node["memory"]["totalBytes"] + view.node["memory"]["swapTotalBytes"])


def _scored(view: View) -> list[Record]:
    return [c for c in view.containers if c["oomScoreAdj"] != -1000 and _oom_score(view, c) > 0]


def _oom_score(view: View, c: Record) -> int:
    """fs/proc/base.c, proc_oom_score(): 0 to 1333 in whole points, two thirds of (1000 + badness per mille)."""
    whole = _ram_and_swap(view)
    return max(int((1000 + 1000 * _badness(c, _share(view, c), whole) / whole) * 2 / 3), 0)


# -- by cgroup: oomd and systemd-oomd ---------------------------------------------------------------------------
def oomd(view: View) -> str | None:
    """oomd, KillMemoryGrowth: half of all siblings' memory, else growth of 1.25 among the top fifth, else size.

    Its mean of sizes begins at the first reading; in the source it begins at a quarter of it, and every new cgroup
    seems to grow. All containers count as siblings.
    """
    ranked = sorted(view.containers, key=_unprotected, reverse=True)
    if not ranked:
        return None
    whole = sum(c["memory"]["currentBytes"] for c in ranked)
    if ranked[0]["memory"]["currentBytes"] >= 0.5 * whole:
        return str(ranked[0]["id"])
    growing = [c for c in ranked[: ceil(len(ranked) * 0.2)] if _growth(view, c) >= 1.25]
    return str(max(growing, key=lambda c: _growth(view, c))["id"] if growing else ranked[0]["id"])


def oomd_swap(view: View) -> str | None:
    """oomd, KillSwapUsage: most swap; nobody where nobody has any."""
    swapping = [c for c in view.containers if c["memory"]["swapBytes"] > 0]
    return max(swapping, key=lambda c: c["memory"]["swapBytes"], default={}).get("id")


def oomd_pressure(view: View) -> str | None:
    """oomd, KillPressure: the longest stalls, half of avg10 and half of avg60, in whole percent."""

    def stalls(c: Record) -> int:
        ten, sixty = view.remembers.stalls.get(c["id"], (0.0, 0.0))
        return int(50 * ten + 50 * sixty)

    return max(view.containers, key=stalls, default={}).get("id")


def systemd_swap(view: View) -> str | None:
    """systemd-oomd, oomd_kill_by_swap_usage(): most swap among those with more than 5 % of all swap."""
    least = 0.05 * view.node["memory"]["swapTotalBytes"]
    swapping = [c for c in view.containers if c["memory"]["swapBytes"] > least]
    return max(swapping, key=lambda c: c["memory"]["swapBytes"], default={}).get("id")


def systemd_pgscan(view: View) -> str | None:
    """systemd-oomd, oomd_kill_by_pgscan_rate(): most pages scanned since the last look, then memory.current.

    Where they were not recorded: global reclaim scans a cgroup's lists in proportion to their size, less what is
    protected (mm/vmscan.c, get_scan_count()): inactive file, and anonymous memory while swap is free.
    """
    swapping = view.node["memory"]["swapFreeBytes"] > 0
    real = view.remembers.scanned
    if real:
        return max(view.containers, key=lambda c: (real.get(c["id"], 0), c["memory"]["currentBytes"]), default={}).get(
            "id"
        )

    def scanned(c: Record) -> tuple[float, int]:
        memory = c["memory"]
        lists = memory["inactiveFileBytes"] + (memory["anonBytes"] if swapping else 0)
        return lists * _unprotected(c) / max(memory["currentBytes"], 1), memory["currentBytes"]

    return max(view.containers, key=scanned, default={}).get("id")


def _unprotected(c: Record) -> int:
    memory = c["memory"]
    return int(memory["currentBytes"] - min(max(memory["minBytes"], memory["lowBytes"]), memory["currentBytes"]))


def _growth(view: View, c: Record) -> float:
    held = c["memory"]["currentBytes"]
    return float(held / max(view.remembers.sizes.get(c["id"], held), 1.0))


# -- by pod: Kubernetes' guards ---------------------------------------------------------------------------------
def kubelet(view: View) -> str | None:
    """kubelet, rankMemoryPressure(): over its request first, then low priority, then working set over request."""
    return _evicted(view, lambda pod: (_over(pod) <= 0, pod[0]["priority"], -_over(pod)))


def kubelet_no_priority(view: View) -> str | None:
    """The same in a cluster without priorities: every pod has the same."""
    return _evicted(view, lambda pod: (_over(pod) <= 0, -_over(pod)))


def koordlet(view: View) -> str | None:
    """Koordinator, getSortedBEPodInfos(): low priority first, then memory without page cache, then the name.

    Only pods of its class BE are candidates, or those with a label; here all below system priority are, as though
    everybody had opted in. `used` is memory.stat's anon (unevictable is not in a snapshot).
    """

    def used(pod: Pod) -> int:
        return sum(int(c["memory"]["anonBytes"]) for c in pod)

    willing = [pod for pod in _pods(view) if pod[0]["priority"] < CRITICAL_PRIORITY]
    willing.sort(key=lambda pod: str(pod[0]["pod"]), reverse=True)
    return _biggest(min(willing, key=lambda pod: (used(pod) == 0, pod[0]["priority"], -used(pod)), default=[]))


def katalyst(view: View) -> str | None:
    """Katalyst, getEvictionCmpFuncs(): reclaimed pods, then low priority, then memory used, on a NUMA node there.

    Nobody is `reclaimed` in a cluster without its QoS classes. At least 0.1 % of a NUMA node (numa_pressure.go).
    """

    def used(pod: Pod) -> float:
        return sum(c["memory"]["currentBytes"] * local(c, view.domain) for c in pod)

    able = [pod for pod in _pods(view) if used(pod) >= 0.001 * view.node["memory"]["totalBytes"]]
    return _biggest(min(able, key=lambda pod: (pod[0]["priority"], -used(pod)), default=[]))


def talos(view: View) -> str | None:
    """Talos, OOM controller: BestEffort before Burstable, by memory.current; never a pod whose cgroup has a limit."""
    order = {"BestEffort": 0, "Burstable": 1}
    free = [pod for pod in _pods(view) if pod[0]["qos"] in order and not _limited(view, pod)]

    def held(pod: Pod) -> int:
        return sum(int(c["memory"]["currentBytes"]) for c in pod)

    return _biggest(min(free, key=lambda pod: (order[pod[0]["qos"]], -held(pod)), default=[]))


def _limited(view: View, pod: Pod) -> bool:
    """kubelet gives a pod's cgroup the sum of its containers' limits, where each has one, or the pod's own."""
    own = any(
        c["kind"] == "pod" and c["maxBytes"] and pod[0]["cgroup"].startswith(c["path"] + "/") for c in view.cgroups
    )
    return own or all(c["limitBytes"] for c in pod)


def _pods(view: View) -> list[Pod]:
    pods: dict[str, Pod] = {}
    for c in view.containers:
        pods.setdefault(c["podUid"], []).append(c)
    return list(pods.values())


def _evicted(view: View, order: Callable[[Pod], tuple[float, ...]]) -> str | None:
    """Critical and static pods are refused at the eviction itself (evictPod())."""
    able = [pod for pod in _pods(view) if pod[0]["priority"] < CRITICAL_PRIORITY and not pod[0]["static"]]
    return _biggest(min(able, key=order, default=[]))


def _over(pod: Pod) -> int:
    return sum(int(working_set(c) - c["requestBytes"]) for c in pod)


def working_set(c: Record) -> int:
    """cAdvisor's: usage without inactive file."""
    return int(c["memory"]["currentBytes"] - c["memory"]["inactiveFileBytes"])


def _biggest(pod: Pod) -> str | None:
    """The container that stands for its pod."""
    return max(pod, key=footprint, default={}).get("id")


@dataclass(frozen=True, slots=True)
class Peer:
    """A ranking under its name. `dies`: the container, its pod in place, or the pod by eviction, files and all."""

    name: str
    rule: Rule
    dies: str = "container"


PEERS = {
    peer.name: peer
    for peer in (
        Peer("largest", largest),
        Peer("kernel", kernel),
        Peer("kernel-whole", kernel_whole),
        Peer("earlyoom", earlyoom),
        Peer("nohang", nohang),
        Peer("oomd", oomd),
        Peer("oomd-swap", oomd_swap),
        Peer("oomd-pressure", oomd_pressure),
        Peer("systemd-oomd-swap", systemd_swap),
        Peer("systemd-oomd-pgscan", systemd_pgscan),
        Peer("talos", talos, "pod"),
        Peer("kubelet", kubelet, "eviction"),
        Peer("kubelet-no-priority", kubelet_no_priority, "eviction"),
        Peer("koordlet", koordlet, "eviction"),
        Peer("katalyst", katalyst, "eviction"),
    )
}
