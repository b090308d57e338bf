"""What must hold of the costs, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from bench.costs.figures import Day, Deed, Figures, Idle, Pass, Process, Sample

US, PYTHON_PEER = "memguard", "nohang"
#: Issue 7's: the pass, at this many containers.
PASS_RATIO, PASS_AT = 2.0, 250
#: Cost for each container at the most, of that at 250. Sorting makes it rise by half a percent; anything quadratic
#: that is a tenth of the pass at 250 would be three tenths more at 1,000.
LINEAR_RATIO, LINEAR_UP_TO = 1.1, 1000
IDLE_RATIO = 1.3
#: The history forgets a container an hour after it was last seen: from then on nothing need grow.
WARM_SECONDS = 2 * 3600
#: Between the medians of the first and the last quarter of what is left of the day: 16 pages. A leak of 50 bytes for
#: each of the day's arrivals, or of a byte at each tenth look, would be more.
FLAT_KIB = 64
#: By the agent's own test, and what issue 5 allows the operator.
MOST_AGENT_MIB, MOST_OPERATOR_MIB = 45.0, 150.0

Claim = dict[str, Any]


def claims(found: Figures) -> list[Claim]:
    """All of them; `holds` is None where nothing was measured."""
    return [
        *_passes(found.passes),
        *_idle(found.idle),
        *_day(found.day),
        *_deeds(found.deeds),
        _resident("agent", "pods", MOST_AGENT_MIB, found.agents),
        _resident("operator", "nodes", MOST_OPERATOR_MIB, found.operators),
    ]


def broken(claims_made: Iterable[Claim]) -> bool:
    """Is there one that does not hold?"""
    return any(claim["holds"] is False for claim in claims_made)


def _claim(words: str, holds: bool | None, measured: str) -> Claim:
    return {"claim": words, "holds": holds, "measured": measured}


def _unknown(words: str) -> Claim:
    return _claim(words, None, "not measured")


# -- the pass
def _passes(passes: Sequence[Pass]) -> list[Claim]:
    at = {one.containers: one for one in passes}
    scoring = f"reading and scoring {PASS_AT} containers <= {PASS_RATIO:g} x a C program that reads the same"
    choosing = f"the whole pass over {PASS_AT}, with history and choice, <= {PASS_RATIO:g} x that program"
    grows = f"cost for each at {LINEAR_UP_TO} containers <= {LINEAR_RATIO:g} x that at {PASS_AT}"
    there = at.get(PASS_AT)
    return [
        _twice(scoring, there.score_ms, there.c_ms) if there else _unknown(scoring),
        _twice(choosing, there.judge_ms, there.c_ms) if there else _unknown(choosing),
        _linear(grows, at[PASS_AT], at[LINEAR_UP_TO]) if {PASS_AT, LINEAR_UP_TO} <= at.keys() else _unknown(grows),
    ]


def _twice(words: str, ours_ms: Sequence[float], c_ms: Sequence[float]) -> Claim:
    ours, theirs = min(ours_ms), min(c_ms)
    return _claim(words, ours <= PASS_RATIO * theirs, f"{ours / theirs:.2f} ({ours:.1f} of {theirs:.1f} ms)")


def _linear(words: str, few: Pass, many: Pass) -> Claim:
    ratio = many.each_us / few.each_us
    return _claim(words, ratio <= LINEAR_RATIO, f"{ratio:.3f} ({many.each_us:.0f} of {few.each_us:.0f} us)")


# -- at rest
def _idle(idle: Sequence[Idle]) -> list[Claim]:
    """Each node by itself: how often a guard looks follows from what is left there."""
    nodes = sorted({one.node_mib for one in idle}, reverse=True)
    made = [claim for node in nodes for claim in _on_node([one for one in idle if one.node_mib == node])]
    return made or [_unknown("idle O(1)"), _unknown(f"idle CPU and memory <= {PYTHON_PEER}'s")]


def _on_node(idle: Sequence[Idle]) -> list[Claim]:
    ours = {one.containers: one for one in idle if one.guard == US}
    theirs = {one.containers: one for one in idle if one.guard == PYTHON_PEER}
    few, many = ours[min(ours)], ours[max(ours)]
    node = node_words(few)
    grows = f"idle on {node}: {many.containers} containers <= {IDLE_RATIO} x {few.containers}"
    pairs = [(ours[count], theirs[count]) for count in sorted(ours.keys() & theirs.keys())]
    return [
        _at_most(f"{grows}, CPU", many.cpu_ms, IDLE_RATIO * few.cpu_ms, f"{many.cpu_ms:.1f} and {few.cpu_ms:.1f} ms"),
        _at_most(f"{grows}, wake-ups", many.wake_ups, IDLE_RATIO * few.wake_ups, f"{many.wake_ups}, {few.wake_ups}"),
        _beside(f"CPU of an idle minute on {node} <= {PYTHON_PEER}'s", pairs, "cpu_ms", 1, "ms"),
        _beside(f"resident memory on {node} <= {PYTHON_PEER}'s", pairs, "rss_kib", 1024, "MiB"),
    ]


def node_words(one: Idle) -> str:
    """The machine that it was, to the GiB."""
    return f"{one.node_mib / 1024:.0f} GiB"


def _at_most(words: str, value: float, most: float, measured: str) -> Claim:
    return _claim(words, value <= most, measured)


def _beside(words: str, pairs: Sequence[tuple[Idle, Idle]], name: str, unit: int, shown: str) -> Claim:
    if not pairs:
        return _unknown(words)
    values = [(ours.containers, getattr(ours, name), getattr(theirs, name)) for ours, theirs in pairs]
    told = (f"{mine / unit:.1f} of {other / unit:.1f} {shown} with {count}" for count, mine, other in values)
    return _claim(words, all(mine <= other for _, mine, other in values), "; ".join(told))


# -- a day
def _day(day: Day | None) -> list[Claim]:
    words = f"a day later no more memory: quarters' medians within {FLAT_KIB} KiB"
    charged = f"nor in its cgroup, the kernel's own included: within {FLAT_KIB} KiB"
    if day is None:
        return [_unknown(words), _unknown(charged)]
    first, last = quarters(day.samples)
    resident = median(one.rss_kib for one in last) - median(one.rss_kib for one in first)
    cgroup = (median(one.cgroup_bytes for one in last) - median(one.cgroup_bytes for one in first)) / 1024
    descriptors = median(one.descriptors for one in last) - median(one.descriptors for one in first)
    whole = day.hours
    return [
        _claim(f"{words} ({whole:.0f} h)", resident <= FLAT_KIB, f"{resident:+.0f} KiB"),
        _claim(f"{charged} ({whole:.0f} h)", cgroup <= FLAT_KIB, f"{cgroup:+.0f} KiB"),
        _claim(f"no more descriptors ({whole:.0f} h)", descriptors <= 0, f"{descriptors:+.0f}"),
    ]


def quarters(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The first and the last quarter of the day, without the warm-up."""
    warm = [one for one in samples if one.at_seconds > WARM_SECONDS]
    count = max(1, len(warm) // 4)
    return warm[:count], warm[-count:]


# -- a kill
def _deeds(deeds: Sequence[Deed]) -> list[Claim]:
    words = "from wake-up to kill no garbage collection, no page fault"
    if not deeds:
        return [_unknown(words)]
    collections, faults = (
        max(one.collections for one in deeds),
        max(one.minor_faults + one.major_faults for one in deeds),
    )
    return [_claim(words, not (collections or faults), f"{collections}, {faults}")]


# -- the cluster's programs
def _resident(program: str, of: str, most: float, found: Sequence[Process]) -> Claim:
    words = f"{program} <= {most:g} MiB"
    told = "; ".join(f"{one.rss_mib:.1f} with {one.size} {of}" for one in found)
    return _claim(words, all(one.rss_mib <= most for one in found), told) if found else _unknown(words)
