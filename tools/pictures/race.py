"""The picture of docs/benchmarks.md that shows the race on a real kernel: from bench/kernel/report.json."""

from __future__ import annotations

import json
from math import log10
from typing import Any

from bench.kernel.cells import NAMED
from bench.kernel.docs import COMMITTED
from bench.kernel.report import SHARING
from tools.pictures.kit import bar, caption, dot, heading, picture, rule

US = "memguard"
#: Left and width of the two panels, in pixels.
GRID, LATE = (170, 224), (440, 290)
ROW, CELL = 26, 24
#: Up to a millisecond the scale is linear, then logarithmic, to ten seconds.
DECADES = 4


def race() -> str:
    """Who saves which cell, and how far memory falls past the line where all share it."""
    cells = json.loads(COMMITTED.read_text(encoding="utf-8"))["kernel"]["cells"]
    raced = [cell for cell in cells if cell["clock"] == "virtual" and cell["cell"] in _names()]
    guards = sorted(dict.fromkeys(cell["guard"] for cell in raced), key=lambda name: -_saved(raced, name))
    bottom = 196 + ROW * len(guards)
    drawn = [
        heading(
            "Who saves the node?", "Named cells on a real kernel. Blue on the right: every run of the cell was good."
        ),
        caption(GRID[0], 84, "good runs"),
        caption(LATE[0], 84, "late, ms of the hog's growth: node, kubepods"),
        *(caption(GRID[0] + CELL * n + 7, 112, str(n + 1)) for n in range(len(NAMED))),
    ]
    for milliseconds in (0, 1, 10, 100, 1000, 10000):
        x = _late_at(milliseconds)
        drawn += [rule((x, 94), (x, bottom - 68)), caption(x, bottom - 50, f"{milliseconds}", anchor="middle")]
    for number, guard in enumerate(guards):
        drawn += _row([cell for cell in raced if cell["guard"] == guard], guard, 128 + ROW * number)
    names = [f"{number} {name}" for number, name in enumerate(_names(), 1)]
    drawn += [caption(24 + 185 * (n % 4), bottom - 20 + 20 * (n // 4), name) for n, name in enumerate(names)]
    return picture(bottom + 18, "Good runs of each guard in every cell, and how far memory fell past the line", drawn)


def _names() -> list[str]:
    return [spot.name for spot in NAMED]


def _saved(cells: list[dict[str, Any]], guard: str) -> float:
    return sum(cell["good"] / cell["runs"] for cell in cells if cell["guard"] == guard)


def _row(cells: list[dict[str, Any]], guard: str, y: float) -> list[str]:
    ours = guard == US
    drawn = [caption(GRID[0] - 10, y + 12, guard, "strong ink-text" if ours else "ink-text", anchor="end")]
    for cell in cells:
        x = GRID[0] + CELL * _names().index(cell["cell"])
        share = cell["good"] / cell["runs"]
        drawn += [bar((x, y, CELL - 3, 17), "soft", 0.15), bar((x, y, CELL - 3, 17), "service", share)]
        if cell["cell"].startswith(SHARING) and (late := cell["figures"].get("overshootMs")):
            low, middle, high = map(_late_at, late)
            tone = "service" if share == 1 else "culprit"
            drawn += [rule((low, y + 8.5), (high, y + 8.5), tone), dot((middle, y + 8.5), tone)]
    return drawn


def _late_at(milliseconds: float) -> float:
    decades = milliseconds if milliseconds < 1 else 1 + log10(milliseconds)
    return LATE[0] + LATE[1] * min(decades / (DECADES + 1), 1.0)
