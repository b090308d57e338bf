"""One panel on its axes, by its type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from tools.pictures.series import Series, named
from tools.pictures.units import shown

Panel = dict[str, Any]
Answers = Mapping[str, list[Any]]
INK, FAINT, LINE = "#24292e", "#6e7680", "#d8dadd"
COLOURS = {
    "green": "#56a64b", "yellow": "#e0b400", "orange": "#ff780a", "red": "#e02f44", "blue": "#3274d9",
    "purple": "#a352cc", "semi-dark-red": "#c4162a", "text": INK,
}  # fmt: skip
PALETTE = ("#56a64b", "#3274d9", "#e0b400", "#ff780a", "#a352cc", "#e02f44", "#37872d", "#1f60c4", "#cc9d00", "#8f3bb8")
#: Lines of a legend, and how many letters of it stand side by side on an inch.
LEGEND_LINES, LETTERS_PER_INCH = 4, 15
LONGEST_NAME = 40
MOST_ROWS = 9


def draw(axes: Axes, panel: Panel, answers: Answers, step: float) -> None:
    """The panel; `answers` by the queries' names."""
    kind = {"timeseries": _graph, "stat": _figure, "table": _table, "bargauge": _bars, "heatmap": _heat}
    if panel["type"] == "stat" or any(answers.values()):
        kind[panel["type"]](axes, panel, answers, step)
    else:
        axes.axis("off")
        axes.text(0.5, 0.5, "No data", ha="center", va="center", fontsize=9, color=FAINT)


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = panel["fieldConfig"]["defaults"]
    return found


def _all(panel: Panel, answers: Answers, step: float) -> list[Series]:
    return [
        series
        for target in panel["targets"]
        for series in named(answers[target["refId"]], target["legendFormat"], step)
    ]


# --- over time


def _graph(axes: Axes, panel: Panel, answers: Answers, step: float) -> None:
    found, custom = _all(panel, answers, step), _defaults(panel)["custom"]
    colours = dict(_colours(panel, found))
    bars = custom["drawStyle"] == "bars"
    if bars or custom.get("stacking", {}).get("mode") == "normal":
        _pile(axes, found, colours, step, bars=bars)
    else:
        for one in found:
            dot = "." if np.count_nonzero(~np.isnan(one.values)) == 1 else ""
            axes.plot(_when(one.times), one.values, color=colours[one.name], lw=1.2, label=one.name, marker=dot)
    for threshold in _defaults(panel).get("thresholds", {}).get("steps", [])[1:]:
        axes.axhline(threshold["value"], color=COLOURS["red"], lw=0.8, ls="--")
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif "min" in _defaults(panel):
        axes.set_ylim(bottom=_defaults(panel)["min"])
        _room(axes)
    _dress(axes, _defaults(panel)["unit"])
    _legend(axes)


def _pile(axes: Axes, found: list[Series], colours: Mapping[str, str], step: float, *, bars: bool) -> None:
    """Stacked on one another, at all times that any of them has."""
    times = sorted({at for one in found for at in one.times})
    below = np.zeros(len(times))
    when = _when(times)
    for one in found:
        known = dict(zip(one.times, one.values, strict=True))
        height = np.nan_to_num(np.array([known.get(at, 0.0) for at in times]))
        if bars:
            axes.bar(when, height, step / 86400, bottom=below, color=colours[one.name], label=one.name)
        else:
            axes.fill_between(
                when, below, below + height, step="post", color=colours[one.name], alpha=0.6, label=one.name, lw=0
            )
        below += height


def _colours(panel: Panel, found: list[Series]) -> Iterator[tuple[str, str]]:
    """Those that the dashboard fixes, and the palette's for the others."""
    fixed = {
        one["matcher"]["options"]: COLOURS[value["value"]["fixedColor"]]
        for one in panel["fieldConfig"]["overrides"]
        for value in one["properties"]
        if value["id"] == "color"
    }
    palette = cycle(colour for colour in PALETTE if colour not in fixed.values())
    for one in found:
        yield one.name, fixed.get(one.name) or next(palette)


def _when(times: Iterable[float]) -> list[datetime]:
    return [datetime.fromtimestamp(at, UTC) for at in times]


def _room(axes: Axes) -> None:
    """A line of nothing but zeros is to be seen above the edge."""
    low, _ = axes.get_ylim()
    heights = [value for line in axes.lines for value in np.nan_to_num(np.asarray(line.get_ydata(), dtype=float))]
    heights += [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    if not axes.collections and not any(heights):
        axes.set_ylim(low, low + 1)


def _whole(axes: Axes) -> FixedLocator:
    """Marks at whole KiB, MiB or GiB."""
    low, high = axes.get_ylim()
    size = 1024 ** int(math.log(max(abs(low), abs(high), 1.0), 1024))
    marks = MaxNLocator(5, integer=size == 1).tick_values(low / size, high / size)
    return FixedLocator([size * mark for mark in marks])


def _dress(axes: Axes, unit: str) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(_whole(axes) if unit == "bytes" else MaxNLocator(5, integer=unit == "short"))
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.tick_params(labelsize=6.5, colors=FAINT, length=2)
    axes.grid(color="#ebedef", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _legend(axes: Axes) -> None:
    """As many columns as the names leave room for, and as many names as that has room for."""
    handles, labels = axes.get_legend_handles_labels()
    names = [label if len(label) <= LONGEST_NAME else f"{label[: LONGEST_NAME - 1]}…" for label in labels]
    if not names:
        return
    width = axes.get_position().width * axes.figure.get_figwidth()  # type: ignore[union-attr]
    columns = max(1, int(width * LETTERS_PER_INCH / (4 + max(map(len, names)))))
    most = columns * LEGEND_LINES
    if len(names) > most:
        names[most - 1] = f"and {len(names) - most + 1} more"
    axes.legend(
        handles[:most], names[:most], loc="upper left", bbox_to_anchor=(0, -0.15), ncol=columns, fontsize=6.5,
        frameon=False, handlelength=1.0, columnspacing=1.0, labelspacing=0.25, labelcolor=INK, borderaxespad=0,
    )  # fmt: skip


def _heat(axes: Axes, panel: Panel, answers: Answers, step: float) -> None:
    """Buckets are counted up to their bound; what is drawn is what lies between two bounds."""
    found = sorted(_all(panel, answers, step), key=lambda one: float(one.labels["le"]))
    times = sorted({at for one in found for at in one.times})
    counts = [dict(zip(one.times, one.values, strict=True)) for one in found]
    summed = np.array([[known.get(at, 0.0) for at in times] for known in counts])
    grid = np.diff(np.nan_to_num(summed), axis=0, prepend=0)
    grid = np.where(grid > 1e-9, grid, np.nan)
    when = _when(times)
    axes.pcolormesh(when, range(len(found)), grid, cmap="Oranges", vmin=0, shading="nearest")
    _dress(axes, "short")
    axes.set_yticks(
        range(len(found)), [shown(float(one.labels["le"]), panel["options"]["yAxis"]["unit"]) for one in found]
    )


# --- now


def _figure(axes: Axes, panel: Panel, answers: Answers, step: float) -> None:
    axes.axis("off")
    found = [one.values[-1] for one in _all(panel, answers, step)]
    text, colour = _told(found[0], _defaults(panel)) if found else (_defaults(panel)["noValue"], COLOURS["text"])
    axes.text(0.5, 0.42, text, ha="center", va="center", fontsize=15 if len(text) < 12 else 10, color=colour)


def _told(value: float, defaults: dict[str, Any]) -> tuple[str, str]:
    """In words where there are some, else as a number; with its colour."""
    for mapping in defaults.get("mappings") or ():
        if (key := f"{value:g}") in mapping["options"]:
            one = mapping["options"][key]
            return one["text"], COLOURS[one["color"]]
    steps = (defaults.get("thresholds") or {}).get("steps") or [{"color": "text", "value": None}]
    colour = [one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1]
    return shown(value, defaults.get("unit", "short"), defaults.get("decimals")), COLOURS[colour]


def _bars(axes: Axes, panel: Panel, answers: Answers, step: float) -> None:
    found = sorted(_all(panel, answers, step), key=lambda one: one.values[-1])[-MOST_ROWS:]
    told = [_told(one.values[-1], _defaults(panel)) for one in found]
    axes.barh(
        range(len(found)), [one.values[-1] for one in found], color=[_solid(colour) for _, colour in told], height=0.6
    )
    axes.set_yticks(range(len(found)), [one.name for one in found])
    for row, (text, colour) in enumerate(told):
        end = (found[row].values[-1], row)
        axes.annotate(text, end, (3, 0), textcoords="offset points", va="center", fontsize=7, color=colour)
    axes.tick_params(labelsize=6.5, colors=INK, length=0)
    axes.set_xticks([])
    axes.margins(x=0.18)
    axes.set_ylim(len(found) - max(len(found), 4) - 0.5, len(found) - 0.5)
    axes.axvline(0, color=LINE, lw=0.8)
    axes.spines[:].set_visible(False)


def _solid(colour: str) -> str:
    return COLOURS["blue"] if colour == INK else colour


def _table(axes: Axes, panel: Panel, answers: Answers, _step: float) -> None:
    """A row for each set of labels; a cell is its text and its colour."""
    axes.axis("off")
    options = panel["transformations"][1]["options"]
    titles, order = options["renameByName"], options["indexByName"]
    columns = sorted(titles, key=order.__getitem__)
    looks = {one["matcher"]["options"]: _looks(one["properties"]) for one in panel["fieldConfig"]["overrides"]}
    rows: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
    for target in panel["targets"]:
        mine = "Value" if "Value" in titles else f"Value #{target['refId']}"
        for one in answers[target["refId"]]:
            labels = {name: one["metric"].get(name, "") for name in columns if not name.startswith("Value")}
            row = rows.setdefault(tuple(labels.values()), {name: (text, INK) for name, text in labels.items()})
            row[mine] = _told(float(one["value"][1]), looks.get(titles[mine], {}))
    filled = [name for name in columns if name.startswith("Value") or any(row[name][0] for row in rows.values())]
    cells = [[row.get(name, ("", INK)) for name in filled] for _, row in sorted(rows.items())[:MOST_ROWS]]
    headings = [titles[name] for name in filled]
    height = min(1.0, (len(cells) + 1) / (MOST_ROWS + 1))
    made = axes.table(
        [[text for text, _ in row] for row in cells], colLabels=headings, cellLoc="left", colLoc="left",
        edges="horizontal", bbox=(0, 1 - height, 1, height), colWidths=_widths(headings, cells),
    )  # fmt: skip
    made.auto_set_font_size(False)  # noqa: FBT003 - matplotlib has no name for it
    made.set_fontsize(7)
    for (at, column), cell in made.get_celld().items():
        cell.set_edgecolor(LINE)
        cell.get_text().set_color(FAINT if at == 0 else cells[at - 1][column][1])


def _widths(headings: list[str], cells: list[list[tuple[str, str]]]) -> list[float]:
    """Of the columns, each as its longest text asks."""
    longest = [
        max(len(text) for text in (heading, *(row[at][0] for row in cells))) + 2 for at, heading in enumerate(headings)
    ]
    return [one / sum(longest) for one in longest]


def _looks(properties: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["id"]: one.get("value") for one in properties}
