"""Pictures of the dashboards: drawn from answers, small, and one of each in docs/."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from matplotlib.figure import Figure
from tools import dashboards
from tools.dashboards.asking import panels, read
from tools.pictures.dashboards import IMAGES, picture
from tools.pictures.series import named
from tools.pictures.units import shown

BOARDS = {path.stem: read(path) for path in sorted(dashboards.DIRECTORY.glob("*.json"))}
LABELS = {"level": "Calm", "node": "a", "namespace": "shop", "pod": "cart", "container": "app", "le": "0.001"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "bytes", "0 B"),
        (1536.0, "bytes", "1.5 KiB"),
        (-134217728.0, "bytes", "-128 MiB"),
        (0.0, "s", "0 s"),
        (0.00025, "s", "250 µs"),
        (0.02, "s", "20 ms"),
        (90.0, "s", "1.5 min"),
        (0.125, "percentunit", "12.5%"),
        (3.0, "short", "3"),
        (2.5, "reqps", "2.5/s"),
        (math.inf, "s", "∞"),
    ],
)
def test_values_are_written_with_their_units(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_series_are_called_by_their_legend_and_have_gaps() -> None:
    answer = [{"metric": {"node": "b", "namespace": "shop"}, "values": [[0, "1"], [5, "2"], [30, "3"]]}]
    [one] = named(answer, "{{node}} {{cluster}} ({{namespace}})", 5)
    assert one.name == "b (shop)"
    assert one.times == (0, 5, 10, 30)
    assert math.isnan(one.values[2])


def answered(board: dict[str, Any]) -> dict[str, list[Any]]:
    """Two series for each query, as Prometheus would say them."""
    found: dict[str, list[Any]] = {}
    for panel in panels(board):
        for target in panel["targets"]:
            series = []
            for number, bound in enumerate(("0.001", "+Inf")):
                point = (
                    {"value": [60, str(number)]} if target["instant"] else {"values": [[0, "1"], [5, "2"], [60, "4"]]}
                )
                series.append({"metric": LABELS | {"le": bound, "node": f"n{number}"}, **point})
            found[f"{board['uid']}/{panel['id']}/{target['refId']}"] = series
    return found


def unanswered(figure: Figure) -> int:
    """How many of its panels say that they have nothing to show; it is drawn."""
    figure.savefig(io.BytesIO())
    return [words.get_text() for axes in figure.axes for words in axes.texts].count("No data")


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_panel_is_drawn(board: dict[str, Any]) -> None:
    figure = picture(board, answered(board), 5)
    assert unanswered(figure) == 0
    assert len(figure.axes) == len(panels(board))
    assert all(axes.has_data() or axes.texts or axes.tables for axes in figure.axes)
    titles = {words.get_text() for words in figure.texts}
    assert titles >= {panel["title"] for panel in board["panels"]}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_panel_without_an_answer_says_so(board: dict[str, Any]) -> None:
    figure = picture(board, {key: [] for key in answered(board)}, 5)
    assert unanswered(figure) == len([panel for panel in panels(board) if panel["type"] != "stat"])


@pytest.mark.parametrize("name", BOARDS)
def test_there_is_a_small_picture_of_each(name: str) -> None:
    path = IMAGES / f"dashboard-{name.removeprefix('memguard-')}.png"
    assert 10 << 10 < path.stat().st_size < 300 << 10
