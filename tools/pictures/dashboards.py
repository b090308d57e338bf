"""Each dashboard as one picture: the queries' answers from a real Prometheus, where and as Grafana would show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from tools.dashboards import DIRECTORY
from tools.dashboards.asking import read
from tools.pictures.panels import FAINT, INK, LINE, Answers, Panel, draw

ROOT = Path(__file__).resolve().parents[2]
#: What e2e/test_dashboards.py was answered.
ANSWERS = ROOT / "build" / "dashboards.json"
IMAGES = ROOT / "docs" / "images"
#: Inches; a cell of Grafana's grid is a 24th of the width, and a unit of its height.
WIDTH, CELL_WIDTH, CELL_HEIGHT, DPI = 13.0, 13.0 / 24, 0.34, 88
MARGIN = 0.09
BACKGROUND = "#f4f5f5"


class Box(NamedTuple):
    """A place on a figure in inches, from its upper left corner."""

    left: float
    top: float
    width: float
    height: float

    def on(self, figure: Figure) -> tuple[float, float, float, float]:
        """Left, bottom, width and height as matplotlib wants them: in shares, from the lower left."""
        width, height = figure.get_size_inches()
        return self.left / width, 1 - (self.top + self.height) / height, self.width / width, self.height / height

    def within(self, west: float, north: float, east: float, south: float) -> Box:
        """What is left inside of these margins."""
        return Box(self.left + west, self.top + north, self.width - west - east, self.height - north - south)


def taken() -> Iterator[Path]:
    """Every dashboard's file, written. Raises SystemExit where nobody has asked a Prometheus."""
    if not ANSWERS.exists():
        raise SystemExit(f"There is no {ANSWERS.relative_to(ROOT)}: `pytest e2e/test_dashboards.py` asks for it.")
    told = json.loads(ANSWERS.read_text())
    for path in sorted(DIRECTORY.glob("*.json")):
        board = read(path)
        target = IMAGES / f"dashboard-{board['uid'].removeprefix('memguard-')}.png"
        picture(board, told["answers"], told["span"]["step"]).savefig(target)
        yield target


def picture(board: Mapping[str, Any], answers: Answers, step: float) -> Figure:
    """The whole dashboard; `answers` by "board/panel/query", `step` in seconds."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    cells = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) + 2
    figure = Figure(figsize=(WIDTH, cells * CELL_HEIGHT), dpi=DPI, facecolor=BACKGROUND)
    _write(figure, (MARGIN, 0.3), board["title"], fontsize=13, color=INK, fontweight="bold")
    for panel in board["panels"]:
        at = panel["gridPos"]
        box = Box(at["x"] * CELL_WIDTH, (at["y"] + 2) * CELL_HEIGHT, at["w"] * CELL_WIDTH, at["h"] * CELL_HEIGHT)
        if panel["type"] == "row":
            _write(figure, (box.left + MARGIN, box.top + 0.2), panel["title"], fontsize=10, color=FAINT)
        else:
            names = [target["refId"] for target in panel["targets"]]
            mine = {name: answers[f"{board['uid']}/{panel['id']}/{name}"] for name in names}
            _place(figure, panel, box, mine, step)
    return figure


def _write(figure: Figure, at: tuple[float, float], words: str, **looks: Any) -> None:
    left, bottom, _, _ = Box(*at, 0, 0).on(figure)
    figure.text(left, bottom, words, va="center", **looks)


def _place(figure: Figure, panel: Panel, box: Box, answers: Answers, step: float) -> None:
    """A card with the panel in it."""
    half = MARGIN / 2
    left, bottom, width, height = box.within(half, half, half, half).on(figure)
    card = Rectangle((left, bottom), width, height, fc="white", ec=LINE, lw=0.8, zorder=-1)
    card.set_transform(figure.transFigure)
    figure.add_artist(card)
    axes = figure.add_axes(_inside(panel["type"], box).on(figure))
    axes.patch.set_alpha(0)
    draw(axes, panel, answers, step)
    _write(figure, (box.left + 0.16, box.top + 0.22), panel["title"], fontsize=8.5, fontweight="bold", color=INK)


def _inside(kind: str, box: Box) -> Box:
    """Room for marks on the left, a legend below, and the title above."""
    west = {"timeseries": 0.62, "heatmap": 0.62, "bargauge": 2.4 if box.width > 5 else 1.9}.get(kind, 0.16)
    south = {"timeseries": 0.85, "heatmap": 0.35}.get(kind, 0.15)
    return box.within(west, 0.36, 0.18, south)
