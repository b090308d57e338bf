"""The peers' rules on small nodes: each by the key that its documentation puts first, and by its own trigger."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from bench.victims import triggers
from bench.victims.peers import PEERS
from bench.victims.trace import Memory, View
from bench.victims.triggers import DAEMONS
from bench.victims.workload import GIB, MIB

NOTHING = Memory({}, {}, 0.0, -inf, 0.0)
MEMORY = {"minBytes": 0, "lowBytes": 0, "shmemBytes": 0, "swapBytes": 0, "inactiveFileBytes": 0, "kernelBytes": 0}


def container(name: str, mib: int, *, memory: Mapping[str, int] | None = None, **other: Any) -> dict[str, Any]:
    """Of anonymous memory alone, in a pod of its own."""
    held = {**MEMORY, "anonBytes": mib * MIB, "currentBytes": mib * MIB, **(memory or {})}
    default = {
        "podUid": f"pod-{name}",
        "pod": name,
        "oomScoreAdj": 0,
        "startedAt": "2026-03-01T00:00:00Z",
        "static": False,
    }
    default |= {"priority": 0, "qos": "Burstable", "requestBytes": 0, "limitBytes": None}
    return {"id": name, **default, **other, "memory": held}


def view(*containers: dict[str, Any], swap: int = 0, **other: Any) -> View:
    """A node of 16 GiB with 160 MiB left; `swap`: bytes in all, half of them free."""
    memory = {"totalBytes": 16 * GIB, "availableBytes": 160 * MIB, "freeBytes": 160 * MIB}
    memory |= {"swapTotalBytes": swap, "swapFreeBytes": swap // 2}
    kubepods = {"kind": "kubepods", "maxBytes": 16 * GIB, "unreclaimableBytes": 15 * GIB}
    system = {"kind": "other", "maxBytes": None, "unreclaimableBytes": GIB // 2}
    given = View(0.0, {"memory": memory}, list(containers), [kubepods, system], "node", 16 * GIB, 0.01, {}, NOTHING)
    return replace(given, **other)


def chosen(name: str, seen: View) -> str | None:
    return PEERS[name].rule(seen)


@pytest.mark.parametrize("name", PEERS)
def test_nobody_is_chosen_of_nobody(name: str) -> None:
    assert chosen(name, view()) is None


@pytest.mark.parametrize("name", ["kernel", "kernel-whole", "earlyoom", "nohang"])
def test_adj_moves_the_choice_by_a_thousandth_of_the_node_and_spares_the_unkillable(name: str) -> None:
    small = container("small", 1000, oomScoreAdj=450)
    big = container("big", 9000)
    assert chosen(name, view(small, big)) == "big"
    assert chosen(name, view(small, big, container("never", 12_000, oomScoreAdj=-1000))) == "big"
    assert chosen(name, view(container("small", 1000, oomScoreAdj=550), big)) == "small"


@pytest.mark.parametrize(("name", "victim"), [("kernel", "one"), ("earlyoom", "one"), ("kernel-whole", "many")])
def test_whoever_looks_at_processes_overlooks_many_small_ones(name: str, victim: str) -> None:
    seen = view(container("one", 2000), container("many", 6000), largest_process={"many": 0.1})
    assert chosen(name, seen) == victim


def test_equal_scores_go_by_resident_size_or_by_age() -> None:
    """Under a point of oom_score, which is 24 MiB here."""
    young = container("young", 2002, startedAt="2026-03-02T00:00:00Z")
    old = container("old", 2000)
    assert chosen("earlyoom", view(old, young)) == "young"
    assert chosen("nohang", view(young, old)) == "old"


def test_the_kernel_looks_only_at_those_on_the_numa_node_that_runs_dry() -> None:
    here = container("here", 1000, numaBytes={"0": 1000 * MIB, "1": 0})
    there = container("there", 5000, numaBytes={"0": 0, "1": 5000 * MIB})
    assert chosen("kernel", view(here, there, domain="numa/0")) == "here"
    assert chosen("katalyst", view(here, there, domain="numa/0")) == "here"


def test_the_kernel_looks_only_at_those_under_the_limit() -> None:
    inside, sibling = (container(name, mib, cgroup=f"kubepods/pod/{name}") for name, mib in (("in", 100), ("by", 200)))
    outside = container("out", 5000, cgroup="kubepods/pod-other/out", oomScoreAdj=900)
    seen = view(inside, sibling, outside, size=400 * MIB)
    assert chosen("kernel", replace(seen, domain="container/in")) == "in"
    assert chosen("kernel", replace(seen, domain="pod/kubepods/pod")) == "by"
    assert chosen("kernel", seen) == "out"


def test_oomd_takes_half_of_all_then_growth_of_the_largest_fifth_then_size() -> None:
    others = [container(f"c{n}", 900) for n in range(8)]
    remembers = replace(NOTHING, sizes={"grown": 1000 * MIB, "c1": 100 * MIB})
    assert chosen("oomd", view(container("half", 9000), *others)) == "half"
    grown = view(container("big", 3000), container("grown", 2000), *others, remembers=remembers)
    assert chosen("oomd", grown) == "grown"
    assert chosen("oomd", replace(grown, remembers=NOTHING)) == "big"
    protected = container("big", 3000, memory={"lowBytes": 2500 * MIB})
    assert chosen("oomd", view(protected, container("grown", 2000), *others)) == "grown"


def test_swap_rules_know_nobody_without_swap() -> None:
    little = container("little", 100, memory={"swapBytes": 30 * MIB})
    assert chosen("oomd-swap", view(container("big", 9000))) is None
    assert chosen("oomd-swap", view(container("big", 9000), little, swap=GIB)) == "little"
    assert chosen("systemd-oomd-swap", view(container("big", 9000), little, swap=GIB)) is None  # under 5 % of the swap
    more = container("more", 100, memory={"swapBytes": 60 * MIB})
    assert chosen("systemd-oomd-swap", view(little, more, swap=GIB)) == "more"


def test_pressure_rules_go_by_stalls_and_scans_and_not_by_size() -> None:
    cache = container("cache", 100, memory={"inactiveFileBytes": 50 * MIB})
    big = container("big", 9000)
    assert chosen("systemd-oomd-pgscan", view(big, cache)) == "cache"
    assert chosen("systemd-oomd-pgscan", view(big, cache, swap=GIB)) == "big"
    stalls = replace(NOTHING, stalls={"cache": (0.9, 0.3), "big": (0.1, 0.1)})
    assert chosen("oomd-pressure", view(big, cache, remembers=stalls)) == "cache"


def test_kubelet_goes_by_request_then_priority_then_excess() -> None:
    within = container("within", 9000, requestBytes=10_000 * MIB, priority=-10)
    over = container("over", 2000, requestBytes=1000 * MIB, priority=100)
    low = container("low", 500, requestBytes=400 * MIB)
    system = container("system", 5000, priority=2_000_000_000)
    static = container("static", 5000, static=True)
    assert chosen("kubelet", view(within, over, low, system, static)) == "low"
    assert chosen("kubelet-no-priority", view(within, over, low, system, static)) == "over"
    assert chosen("kubelet", view(within, system)) == "within"
    pod = [container(name, 600, podUid="two", requestBytes=300 * MIB) for name in ("a", "b")]
    assert chosen("kubelet", view(*pod, low)) in ("a", "b")


def test_koordinator_and_katalyst_go_by_priority_then_use() -> None:
    low = container("low", 100, priority=-5)
    cache = container("cache", 500, memory={"currentBytes": 5000 * MIB})
    big = container("big", 900)
    assert chosen("koordlet", view(low, cache, big)) == "low"
    assert chosen("koordlet", view(cache, big)) == "big"
    assert chosen("katalyst", view(cache, big)) == "cache"
    assert chosen("koordlet", view(container("system", 9000, priority=2_000_000_000))) is None


def test_recorded_page_scans_count_before_sizes_of_lists() -> None:
    big, scanned = container("big", 9000, cgroup="a"), container("scanned", 100, cgroup="b")
    assert chosen("systemd-oomd-pgscan", view(big, scanned)) == "big"
    remembers = replace(NOTHING, scanned={"scanned": 12, "big": 3})
    assert chosen("systemd-oomd-pgscan", view(big, scanned, remembers=remembers)) == "scanned"


def test_talos_spares_whoever_has_a_limit() -> None:
    pod = {"kind": "pod", "path": "kubepods/pod", "maxBytes": GIB, "unreclaimableBytes": 0}
    inside, free = container("in", 9000, cgroup="kubepods/pod/in"), container("free", 100, cgroup="kubepods/pod-b/free")
    seen = view(inside, free)
    assert chosen("talos", replace(seen, cgroups=[*seen.cgroups, pod])) == "free"
    assert chosen("talos", seen) == "in"
    limited = container("limited", 9000, limitBytes=10_000 * MIB)
    burstable, effort = container("burstable", 5000), container("effort", 100, qos="BestEffort")
    assert chosen("talos", view(limited, burstable, effort)) == "effort"
    assert chosen("talos", view(limited, burstable)) == "burstable"
    assert chosen("talos", view(limited)) is None


# -- triggers ----------------------------------------------------------------------------------------------------
def short(available: float, swap_free: float | None = None, **other: Any) -> View:
    """A node with this share left, and this share of its swap."""
    seen = view(container("one", 8000), swap=0 if swap_free is None else GIB)
    memory = seen.node["memory"] | {"availableBytes": int(available * 16 * GIB), "freeBytes": int(available * 16 * GIB)}
    if swap_free is not None:
        memory["swapFreeBytes"] = int(swap_free * GIB)
    return replace(seen, node={"memory": memory}, **other)


def test_earlyoom_wants_both_low() -> None:
    due = triggers.earlyoom()
    assert due(short(0.05))
    assert not due(short(0.06))  # a tenth of what is available or anonymous, not of the node
    assert due(short(0.05, 0.1))
    assert not due(short(0.05, 0.11))


def test_nohang_waits_for_half_of_that() -> None:
    due = triggers.nohang()
    assert due(short(0.05))
    assert not due(short(0.051))
    assert not due(short(0.05, 0.5))


def test_stalls_count_when_they_last_and_reclaim_moves() -> None:
    due = triggers.stalled(0.6, 30, 10)()

    def at(seconds: float, stall: float, scanned: float) -> bool:
        return due(short(0.01, seconds=seconds, remembers=Memory({}, {}, 0.0, scanned, stall)))

    assert not at(0, 0.7, 0)
    assert not at(29, 0.7, 29)
    assert at(30, 0.7, 29)
    assert not at(45, 0.7, 29)  # nothing scanned for longer than 10 s
    assert not at(46, 0.5, 46)
    assert not at(47, 0.7, 47)  # from the beginning


def test_stalls_end_with_what_the_dead_gave_back() -> None:
    due = triggers.stalled(0.6, 0, inf)()
    stalled = Memory({}, {}, 0.9, 0.0, 0.9)
    assert due(short(0.01, remembers=stalled, bereaved=True))
    assert not due(short(0.1, remembers=stalled, bereaved=True, left=0.1))


def test_talos_waits_for_the_systems_own_stalls_or_for_the_nodes() -> None:
    def due(node: float, system: float, rate: float, **other: Any) -> bool:
        remembers = replace(NOTHING, node_stall=node, system_stall=system, system_rate=rate)
        return triggers.talos()(short(0.01, remembers=remembers, **other))

    assert due(0.76, 0.0, 0.0)
    assert not due(0.75, 0.0, 0.0)
    assert due(0.0, 0.06, 0.0004)
    assert not due(0.0, 0.05, 0.0004)
    assert not due(0.0, 0.06, 0.0003)
    assert not due(0.9, 0.9, 0.9, bereaved=True, left=0.1)


def test_swap_triggers_know_nothing_without_swap() -> None:
    assert triggers.swap_short()(short(0.5, 0.05))
    assert not triggers.swap_short()(short(0.01))
    assert triggers.swap_and_memory_short()(short(0.05, 0.05))
    assert not triggers.swap_and_memory_short()(short(0.2, 0.05))


def test_kubelet_looks_at_the_node_and_at_allocatable() -> None:
    due = triggers.kubelet()
    assert due(short(0.006))
    assert not due(short(0.007))
    assert triggers.kubelet(0.05)(short(0.049))
    assert not triggers.kubelet(0.05)(short(0.051))
    full = short(0.5)
    full.cgroups[0]["maxBytes"] = 8050 * MIB
    assert due(full)


def test_koordlet_goes_on_until_two_percent_below() -> None:
    due = triggers.koordlet()
    assert [due(short(left)) for left in (0.31, 0.30, 0.32, 0.33, 0.31)] == [False, True, True, False, False]


def test_every_daemon_asks_rankings_that_there_are() -> None:
    assert {habit.ranking for habits in DAEMONS.values() for habit in habits} <= PEERS.keys()
