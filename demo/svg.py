"""The little SVG that we need: elements as text, plots as frames, and text that says where it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

#: Width of a character as a share of the font's size: system sans-serif fonts average 0.5, so lines never run over.
CHARACTER = 0.53

Point = tuple[float, float]


def element(tag: str, content: str = "", **attributes: object) -> str:
    """`<tag a="b">content</tag>`; `class_` is class, other underscores are hyphens; content must be SVG already."""
    names = (name.rstrip("_").replace("_", "-") for name in attributes)
    pairs = zip(names, attributes.values(), strict=True)
    written = "".join(f" {name}={quoteattr(_number(value))}" for name, value in pairs if value is not None)
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def text(x: float, y: float, words: str, class_: str = "", *, anchor: str | None = None) -> str:
    """One line of text."""
    return element("text", escape(words), x=x, y=y, class_=class_ or None, text_anchor=anchor)


def line(a: Point, b: Point, class_: str) -> str:
    """A straight line."""
    return element("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], class_=class_)


def rectangle(x: float, y: float, width: float, height: float, class_: str) -> str:
    """A rectangle; never thinner than can be seen."""
    return element("rect", x=x, y=y, width=max(width, 1.5), height=max(height, 0), class_=class_)


def polyline(points: Iterable[Point], class_: str) -> str:
    """An open line through points."""
    return element("polyline", points=_points(points), class_=class_)


def polygon(points: Iterable[Point], class_: str) -> str:
    """A filled shape."""
    return element("polygon", points=_points(points), class_=class_)


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Lines that fit into `width` at a font's `size`."""
    room = int(width / (size * CHARACTER))
    lines: list[str] = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places in order, each as near to the wanted one as `gap` to its neighbours allows, within low and high."""
    placed: list[float] = []
    for want in wanted:
        placed.append(max(want, low, placed[-1] + gap if placed else low))
    for index in range(len(placed) - 1, -1, -1):
        limit = high if index == len(placed) - 1 else placed[index + 1] - gap
        placed[index] = min(placed[index], limit)
    return placed


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A plot's place on the page, and the values at its edges."""

    x: float
    y: float
    width: float
    height: float
    from_t: float
    to_t: float
    from_v: float
    to_v: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    def px(self, t: float) -> float:
        """Where a time stands."""
        return self.x + (t - self.from_t) / (self.to_t - self.from_t) * self.width

    def py(self, v: float) -> float:
        """Where a value stands."""
        return self.bottom - (v - self.from_v) / (self.to_v - self.from_v) * self.height

    def shows(self, t: float) -> bool:
        """Is this time within?"""
        return self.from_t <= t <= self.to_t


def ticks(low: float, high: float, most: int, steps: tuple[float, ...]) -> list[float]:
    """Round values within low and high, at most `most`; `steps` from fine to coarse."""
    step = next((step for step in steps if (high - low) / step <= most), steps[-1])
    first = -(-low // step)
    count = int(high // step - first) + 1
    return [(first + index) * step for index in range(count)]


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
