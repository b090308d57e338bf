"""`python -m tools.plots`: draw docs/images/dashboard-*.png from build/dashboards.json (e2e/test_dashboards.py)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image
from tools.dashboards import DIRECTORY
from tools.dashboards.asking import read
from tools.plots.panels import FAINT, INK, LINE, draw

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ROOT / "build" / "dashboards.json"
IMAGES = ROOT / "docs" / "images"
#: Inches; a cell of Grafana's grid is a 24th of the width, and a unit of its height.
WIDTH, CELL_WIDTH, CELL_HEIGHT, DPI = 13.0, 13.0 / 24, 0.34, 88
MARGIN = 0.09
COLOURS_OF_A_PICTURE = 256
BACKGROUND = "#f4f5f5"


def picture(board: Mapping[str, Any], answers: Mapping[str, list[Any]], step: float) -> bytes:
    """The whole dashboard as a PNG."""
    cells = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) + 2
    height = cells * CELL_HEIGHT
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=BACKGROUND)
    figure.text(
        MARGIN / WIDTH, 1 - 0.3 / height, board["title"], fontsize=13, color=INK, fontweight="bold", va="center"
    )
    for panel in board["panels"]:
        at = panel["gridPos"]
        left, top = at["x"] * CELL_WIDTH, height - (at["y"] + 2) * CELL_HEIGHT
        if panel["type"] == "row":
            figure.text(
                (left + MARGIN) / WIDTH, (top - 0.2) / height, panel["title"], fontsize=10, color=FAINT, va="center"
            )
        else:
            mine = {
                target["refId"]: answers[f"{board['uid']}/{panel['id']}/{target['refId']}"]
                for target in panel["targets"]
            }
            _place(figure, panel, (left, top, at["w"] * CELL_WIDTH, at["h"] * CELL_HEIGHT), mine, step)
    return _encoded(figure)


def _place(
    figure: Figure,
    panel: dict[str, Any],
    box: tuple[float, float, float, float],
    answers: Mapping[str, list[Any]],
    step: float,
) -> None:
    """A card with the panel in it; `box` is left, top, width and height in inches."""
    left, top, width, height = box
    whole = (figure.get_figwidth(), figure.get_figheight())
    card = FancyBboxPatch(
        ((left + MARGIN / 2) / whole[0], (top - height + MARGIN / 2) / whole[1]),
        (width - MARGIN) / whole[0], (height - MARGIN) / whole[1],
        boxstyle="square,pad=0", facecolor="white", edgecolor=LINE, lw=0.8, zorder=-1, transform=figure.transFigure,
    )  # fmt: skip
    figure.add_artist(card)
    over_time = panel["type"] in ("timeseries", "heatmap")
    west = 0.62 if over_time else 0.16
    if panel["type"] == "bargauge":
        west = 2.4 if width > 5 else 1.9
    south, north, east = (0.85 if panel["type"] == "timeseries" else 0.35 if over_time else 0.15), 0.36, 0.18
    inside = (left + west, top - height + south, width - west - east, height - south - north)
    axes = figure.add_axes((inside[0] / whole[0], inside[1] / whole[1], inside[2] / whole[0], inside[3] / whole[1]))
    axes.patch.set_alpha(0)
    draw(axes, panel, answers, step)
    title = ((left + 0.16) / whole[0], (top - 0.22) / whole[1])
    figure.text(*title, panel["title"], fontsize=8.5, fontweight="bold", color=INK, va="center")


def _encoded(figure: Figure) -> bytes:
    """In few colours: a third of the size, and nobody sees it."""
    raw = io.BytesIO()
    FigureCanvasAgg(figure).print_png(raw)
    small = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(COLOURS_OF_A_PICTURE, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


def main() -> int:
    """Exit code 1 where there is nothing to draw."""
    if not ANSWERS.exists():
        sys.stderr.write(f"There is no {ANSWERS.relative_to(ROOT)}: `pytest e2e/test_dashboards.py` asks for it.\n")
        return 1
    told = json.loads(ANSWERS.read_text())
    mpl.rcParams["font.family"] = "DejaVu Sans"
    IMAGES.mkdir(exist_ok=True)
    for path in sorted(DIRECTORY.glob("*.json")):
        board = read(path)
        made = IMAGES / f"dashboard-{board['uid'].removeprefix('memguard-')}.png"
        made.write_bytes(picture(board, told["answers"], told["span"]["step"]))
        sys.stdout.write(f"{made.relative_to(ROOT)} {made.stat().st_size >> 10} KiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
