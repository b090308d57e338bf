"""The little SVG that we need: elements as text, and text that says where it ends."""

from __future__ import annotations

from collections.abc import Iterable
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


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
