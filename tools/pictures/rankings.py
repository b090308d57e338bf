"""The picture of docs/benchmarks.md that compares whom rankings choose: from bench/victims/report.json."""

from __future__ import annotations

import json
from math import log2
from typing import Any

from bench.victims.report import COMMITTED, RANKING, US, YARDSTICKS, pick, share
from tools.pictures.kit import bar, caption, heading, picture, rule

#: Left and width of the two panels, in pixels; costs are drawn on a logarithmic scale that ends here.
RATES, COSTS = (170, 260), (480, 250)
MOST_COST = 128
ROW = 24


def victims() -> str:
    """Who chooses the right one, and at what cost to others."""
    report = json.loads(COMMITTED.read_text(encoding="utf-8"))
    rows = pick(report["rows"], corpus="test", part=RANKING, kind="all")
    rows.sort(key=lambda row: -share(row, "right"))
    bottom = 108 + ROW * len(rows)
    drawn = [
        heading(
            "Whom do they choose?",
            f"{rows[0]['right'][1]} simulated incidents that need a victim, one trigger for all; 95 % intervals.",
        ),
        caption(RATES[0], 84, "right victim first, %"),
        caption(COSTS[0], 84, "cost of all losses, times the cheapest right one's"),
    ]
    drawn += _scale([(_rate_at(part / 100), str(part)) for part in (0, 25, 50, 75, 100)], bottom)
    drawn += _scale([(_cost_at(cost), str(cost)) for cost in (1, 2, 4, 8, 16, 32, 64, 128)], bottom)
    for number, row in enumerate(rows):
        drawn += _drawn(row, 102 + ROW * number)
    return picture(bottom + 34, "Hit rate and collateral cost of memguard's ranking and its peers'", drawn)


def _scale(marks: list[tuple[float, str]], bottom: float) -> list[str]:
    lines = [rule((x, 94), (x, bottom)) for x, _ in marks]
    return lines + [caption(x, bottom + 18, words, anchor="middle") for x, words in marks]


def _drawn(row: dict[str, Any], y: float) -> list[str]:
    tone = "hold" if row["guard"] == US else "soft" if row["guard"] in YARDSTICKS else "service"
    rate, low, high = share(row, "right"), *row["right"][2:]
    cost, _, least, most = row["costRatio"]
    name = "strong ink-text" if row["guard"] == US else "ink-text"
    return [
        caption(RATES[0] - 10, y + 12, row["guard"], name, anchor="end"),
        bar((RATES[0], y, _rate_at(rate) - RATES[0], 15), tone, 0.75),
        rule((_rate_at(low), y + 7.5), (_rate_at(high), y + 7.5), "ink"),
        bar((COSTS[0], y, _cost_at(cost) - COSTS[0], 15), tone, 0.75),
        rule((_cost_at(least), y + 7.5), (_cost_at(most), y + 7.5), "ink"),
    ]


def _rate_at(rate: float) -> float:
    return RATES[0] + RATES[1] * rate


def _cost_at(cost: float) -> float:
    return COSTS[0] + COSTS[1] * log2(min(max(cost, 1.0), MOST_COST)) / log2(MOST_COST)
