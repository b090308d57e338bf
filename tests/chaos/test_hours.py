"""What is said of hours of churn, and that each thing that is no longer as it was is said."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from chaos.hours import SMALL_MIB, broken, figures

MIB = 1 << 20


def hours() -> dict[str, Any]:
    """Six of them: two hogs of three are the guard's, the third has so small a limit that it is the kernel's."""
    turns, decisions, kills = [], [], 0
    for number in range(72):
        limit = (160, 0, SMALL_MIB)[number % 3]
        if limit == SMALL_MIB:
            kills += 2
        else:
            acted = {"trigger": "line", "timing": {"acted": 0.0009}} if limit else {
                "trigger": "tick", "timing": {"acted": 0.0012}}  # fmt: skip
            decisions.append(acted)
        turns.append({
            "limitMib": limit, "came": 7, "gone": True, "kernelKills": kills, "toldKills": kills, "rssKib": 23784,
            "descriptors": 818, "watches": 56, "cgroupBytes": 26 * MIB + number * 1000,
            "kernelBytes": 3 * MIB + number * 1000, "reclaimableBytes": MIB + number * 1000,
        })  # fmt: skip
    return {
        "turns": turns, "decisions": decisions, "outcomes": decisions, "left": {}, "noise": [], "exit": 0,
        "metrics": {"memguard_kernel_oom_kills_total": float(kills)},
    }  # fmt: skip


def test_calm_hours_break_nothing() -> None:
    assert list(broken(hours())) == []
    assert figures(hours())["line ms late"] == pytest.approx(0.9)
    assert figures(hours())["cameAndWent"] == 7 * 72


def late(told: dict[str, Any], name: str, by: float) -> None:
    for turn in told["turns"][-12:]:
        turn[name] = int(turn[name] * by)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("rssKib", lambda told: late(told, "rssKib", 1.05)),
        ("descriptors", lambda told: late(told, "descriptors", 1.05)),
        ("watches", lambda told: late(told, "watches", 1.1)),
        ("keptBytes", lambda told: late(told, "cgroupBytes", 1.05)),
        ("upon a tick", lambda told: [one["timing"].update(acted=0.002) for one in told["decisions"][-16:]
                                      if one["trigger"] == "tick"]),
        ("not ended", lambda told: told["turns"][5].update(gone=False)),
        ("decisions", lambda told: told["decisions"].pop()),
        ("are told", lambda told: told["turns"][-1].update(toldKills=47)),
        ("where a line could stand", lambda told: [turn.update(kernelKills=turn["kernelKills"] + 1, toldKills=turn[
            "toldKills"] + 1) for turn in told["turns"][3:]]),
        ("metric", lambda told: told["metrics"].update(memguard_kernel_oom_kills_total=1.0)),
        ("left behind", lambda told: told["left"].update({"a/memory.high": "1"})),
        ("printed", lambda told: told["noise"].append({"text": "Traceback"})),
        ("ended with", lambda told: told.update(exit=1)),
    ],
)  # fmt: skip
def test_what_is_no_longer_so_is_said(words: str, change: Any) -> None:
    told = deepcopy(hours())
    change(told)
    found = list(broken(told))
    assert found
    assert any(words in what for what in found), found
