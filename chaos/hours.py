"""Six hours of the guest's clock: memory, descriptors and latency stay as they were, and what is counted is true."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from typing import Any

from chaos.runs import Run, commit, keep_seen
from tests.kernel.boots import Boot

PART = "hours"
HOURS = 6.0
#: Where a guard at rest looks twice a second.
MEMORY_MB = 8192
#: On a busy host.
PATIENCE_SECONDS = 7200.0
#: What is compared: the second hour (history and free lists are full) with the last.
EARLY, LATE = slice(12, 24), slice(-12, None)
SAME, SAME_LATENCY = 1.02, 1.25
#: Under a limit one container is read, on kubepods all that are near: two latencies.
TRIGGERS = ("line", "tick")


def play(seeds: list[int], say: Callable[[str], None]) -> Iterator[Run]:
    """Each seed once."""
    for seed in seeds:
        scenario = f"hours {HOURS:g} {seed}"
        boot = Boot(scenarios=(scenario,), scenario_seconds=HOURS * 4000, memory_mb=MEMORY_MB, seconds=PATIENCE_SECONDS)
        say(f"{HOURS:g} hours: a quarter of an hour on an idle host")
        [told] = boot.run().commands()
        if told.exit_code != 0:
            yield Run(part=PART, seed=seed, commit=commit(), broken=(f"could not be played: {told.stderr[-2000:]}",))
            continue
        keep_seen(PART, seed, told.stdout.encode())
        found = json.loads(told.stdout)
        yield Run(
            part=PART, seed=seed, commit=commit(), faults=("churn",), broken=tuple(broken(found)),
            figures=figures(found),
        )  # fmt: skip


def broken(told: dict[str, Any]) -> Iterator[str]:
    """What is not as it was, or not as the kernel has it."""
    yield from _grown(told)
    yield from _miscounted(told)
    yield from (f"left behind: {path}" for path in told["left"])
    yield from (f"printed: {line['text'][-300:]}" for line in told["noise"])
    if told["exit"] != 0:
        yield f"the guard ended with {told['exit']}"


def _grown(told: dict[str, Any]) -> Iterator[str]:
    kept = [{**turn, "keptBytes": turn["cgroupBytes"] - turn["reclaimableBytes"]} for turn in told["turns"]]
    for name in ("rssKib", "descriptors", "watches", "keptBytes"):
        early, late = compared(kept, name)
        if late > early * SAME:
            yield f"{name}: {early:.0f}, then {late:.0f}"
    for trigger in TRIGGERS:
        early, late = latency(told["decisions"], trigger)
        if late > early * SAME_LATENCY:
            yield f"a decision upon a {trigger} took {early:.2f} ms, then {late:.2f}"


def _miscounted(told: dict[str, Any]) -> Iterator[str]:
    turns, last = told["turns"], told["turns"][-1]
    guarded = [turn for turn in turns if turn["limitMib"] != SMALL_MIB]
    if any(not turn["gone"] for turn in turns):
        yield "a hog was not ended"
    if len(told["decisions"]) != len(guarded) or len(told["outcomes"]) != len(guarded):
        yield f"{len(guarded)} hogs to end, {len(told['decisions'])} decisions, {len(told['outcomes'])} outcomes"
    if last["kernelKills"] != last["toldKills"]:
        yield f"the kernel killed {last['kernelKills']}, {last['toldKills']} are told"
    if told["metrics"]["memguard_kernel_oom_kills_total"] != last["kernelKills"]:
        yield "the metric of the kernel's kills is another"
    counts = [0, *(turn["kernelKills"] for turn in turns)]
    rises = [now - before for before, now in pairwise(counts)]
    if any(rise and turn["limitMib"] != SMALL_MIB for rise, turn in zip(rises, turns, strict=True)):
        yield "the kernel killed where a line could stand"


#: inside/hours.py: no line stands under so small a limit.
SMALL_MIB = 64


def compared(turns: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Medians of the second hour and of the last."""
    return median(turn[name] for turn in turns[EARLY]), median(turn[name] for turn in turns[LATE])


def latency(decisions: list[dict[str, Any]], trigger: str) -> tuple[float, float]:
    """Milliseconds from wake-up to deed: medians of the first and of the last third of those upon one trigger."""
    took = [one["timing"]["acted"] * 1000 for one in decisions if one["trigger"] == trigger]
    third = max(1, len(took) // 3)
    return median(took[:third]), median(took[-third:])


def figures(told: dict[str, Any]) -> dict[str, float]:
    """How many, and what stood still."""
    turns = told["turns"]
    found = {"cameAndWent": float(sum(turn["came"] for turn in turns)), "ended": float(len(told["decisions"]))}
    for name in ("rssKib", "descriptors", "watches", "cgroupBytes", "kernelBytes", "reclaimableBytes"):
        found[f"{name} early"], found[f"{name} late"] = compared(turns, name)
    for trigger in TRIGGERS:
        found[f"{trigger} ms early"], found[f"{trigger} ms late"] = latency(told["decisions"], trigger)
    return found
