"""The picture for a terminal: the same curves in Braille dots, with the line, the end, and what happened when."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from rich.text import Text

from demo.ending import Ending
from demo.trail import Curve, between
from demo.words import since_the_line
from memguard.cli.view.plot import spread

MIB = 1 << 20
ROWS = 10
#: Columns for the scale on the left and the names on the right.
SCALE, NAMES = 6, 9
NARROWEST, WIDEST = 40, 100
#: Dots of a Braille cell, by column and row within it.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = 0x2800
STYLES = {"domain": "bold", "culprit": "red", "service": "blue", "cache": "green", "line": "yellow", "fate": "red"}


@dataclass
class Canvas:
    """Braille cells, each in the style of whoever drew there last."""

    columns: int
    dots: dict[tuple[int, int], int] = field(default_factory=dict)  # (row, column)
    styles: dict[tuple[int, int], str] = field(default_factory=dict)

    def dot(self, x: int, y: int, style: str) -> None:
        """Set one dot; y counts from the bottom, all beyond the edges is pushed back to them."""
        y = min(max(y, 0), 4 * ROWS - 1)
        cell = (ROWS - 1 - y // 4, x // 2)
        self.dots[cell] = self.dots.get(cell, 0) | DOTS[x % 2][3 - y % 4]
        self.styles[cell] = style


def sketch(ending: Ending, width: int) -> Text:
    """One story, `width` characters wide at most."""
    columns = min(max(width - SCALE - NAMES, NARROWEST), WIDEST)
    first = min((curve.points[0][0] for curve in ending.curves if curve.points), default=0.0)
    last = max((curve.points[-1][0] for curve in ending.curves if curve.points), default=1.0)
    scale = _Scale(first, max(last, first + 0.001), ending.limit_bytes / MIB, columns)
    canvas = Canvas(columns)
    for curve in sorted(ending.curves, key=lambda curve: curve.kind == "culprit"):  # whose colour wins
        _draw(curve, canvas, scale)
    return Text("\n").join([*_plot(ending, canvas, scale), *_below(ending, scale)])


@dataclass(frozen=True)
class _Scale:
    first: float
    last: float
    limit: float  # MiB
    columns: int

    def column(self, t: float) -> int:
        """The cell of a time."""
        return min(self.columns - 1, max(0, int((t - self.first) / (self.last - self.first) * self.columns)))

    def dot_row(self, v: float) -> int:
        """The dot of a value, from the bottom."""
        return min(4 * ROWS - 1, max(0, int(v / self.limit * 4 * ROWS)))

    def row(self, v: float) -> int:
        """The cell row of a value, from the top."""
        return ROWS - 1 - self.dot_row(v) // 4


def _draw(curve: Curve, canvas: Canvas, scale: _Scale) -> None:
    times = [point[0] for point in curve.points]
    before: int | None = None
    for x in range(2 * scale.columns):
        t = scale.first + (x + 0.5) / (2 * scale.columns) * (scale.last - scale.first)
        index = bisect_right(times, t)
        if 0 < index < len(times):
            y = scale.dot_row(between(curve.points[index - 1], curve.points[index], t))
            for filled in range(min(y, before), max(y, before) + 1) if before is not None else (y,):
                canvas.dot(x, filled, STYLES[curve.kind])
            before = y


def _plot(ending: Ending, canvas: Canvas, scale: _Scale) -> list[Text]:
    line = ending.line_bytes / MIB
    fate = ending.moment("stop", "kill", "kernel")
    names = _names(ending, scale)
    begins = "the reserve begins" if ending.of_node else "the line is"
    rows = [Text(f"{scale.limit:{SCALE - 1}.0f} ┌ MiB in use; {begins} at {line:.0f}", "dim")]
    for row in range(ROWS):
        label = {ROWS - 1: "0", scale.row(line): f"{line:.0f}"}.get(row, "")
        text = Text(f"{label:>{SCALE - 1}} ", "dim")
        for column in range(scale.columns):
            cell = (row, column)
            if cell in canvas.dots:
                text.append(chr(BLANK + canvas.dots[cell]), canvas.styles[cell])
            elif fate is not None and column == scale.column(fate.at_seconds):
                text.append("│", STYLES["fate"])
            elif row == scale.row(line):
                text.append("╌", STYLES["line"])
            else:
                text.append(" ")
        text.append_text(names.get(row, Text()))
        rows.append(text)
    return rows


def _names(ending: Ending, scale: _Scale) -> dict[int, Text]:
    """Who is who, where each curve ends; one below the other when they end together."""
    drawn = sorted((curve for curve in ending.curves if curve.points), key=lambda curve: -curve.points[-1][1])
    places = spread([float(scale.row(curve.points[-1][1])) for curve in drawn], 1, 0, ROWS - 1)
    return {int(place): Text(f" {curve.name}", STYLES[curve.kind]) for place, curve in zip(places, drawn, strict=True)}


def _below(ending: Ending, scale: _Scale) -> list[Text]:
    """The axis, a number for each moment, and what the numbers mean."""
    axis = Text(f"{'':{SCALE}}└{'─' * (scale.columns - 1)} {scale.last:.1f} s", "dim")
    places = spread([float(scale.column(m.at_seconds)) for m in ending.moments], 2, 0, scale.columns - 1)
    marks = [" "] * scale.columns
    for number, place in enumerate(places, 1):
        marks[int(place)] = str(number)
    told = Text("   ").join(
        Text.assemble((f"{number} ", "bold"), f"{moment.words} ({since_the_line(moment, ending)})")
        for number, moment in enumerate(ending.moments, 1)
    )
    return [axis, Text(" " * SCALE + "".join(marks), "bold"), told]
