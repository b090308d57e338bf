"""What the pictures in docs/ are made of: boxes with words, arrows, and the colours of the demo's picture.

Each file has a background of its own and follows the reader's system, so it can be read on any page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from demo.picture import DARK, LIGHT
from demo.svg import Point, element, line, text, wrapped

WIDTH = 760
SIZE = 13
LEADING = 18
#: Left, top, width, height.
Place = tuple[float, float, float, float]
#: The roles of the demo's colours: who speaks, who acts, what is in danger.
TONES = ("ink", "soft", "culprit", "service", "cache", "line", "hold")


def picture(height: float, title: str, parts: Iterable[str], width: float = WIDTH) -> str:
    """The file: `title` is what it says to who cannot see it."""
    defs = element("defs", _arrow_head())
    content = element("title", escape(title)) + element("style", _style()) + defs
    page = element("rect", x=0, y=0, width=width, height=height, rx=10, class_="page")
    return element(
        "svg",
        content + page + "\n" + "\n".join(parts) + "\n",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
    )


def box(place: Place, title: str, words: Sequence[str] = (), tone: str = "soft") -> str:
    """A box with a title and lines of words, in the colour of a role."""
    x, y, width, height = place
    drawn = element("rect", x=x, y=y, width=width, height=height, rx=7, class_=f"box {tone}-box")
    lines = (one for sentence in words for one in wrapped(sentence, width - 24, SIZE))
    said = "".join(text(x + 12, y + 42 + LEADING * number, one, "soft-text") for number, one in enumerate(lines))
    return drawn + text(x + 12, y + 23, title, f"strong {tone}-text") + said


def arrow(
    a: Point, b: Point, words: str = "", *, at: Point | None = None, tone: str = "soft", anchor: str = "middle"
) -> str:
    """An arrow from a to b, with words in its middle or at a place."""
    middle = at or ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 - 6)
    drawn = element("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], class_=f"arrow {tone}-line", marker_end="url(#head)")
    return drawn + (text(*middle, words, "small soft-text", anchor=anchor) if words else "")


def caption(x: float, y: float, words: str, class_: str = "soft-text", *, anchor: str | None = None) -> str:
    """One line of small words."""
    return text(x, y, words, f"small {class_}", anchor=anchor)


def heading(words: str, below: str = "") -> str:
    """The picture's own title, and a line below it."""
    return text(24, 34, words, "title ink-text") + (text(24, 55, below, "soft-text") if below else "")


def bar(place: Place, tone: str, depth: float = 1.0) -> str:
    """A filled rectangle."""
    x, y, width, height = place
    return element("rect", x=x, y=y, width=max(width, 0.0), height=height, class_=f"{tone}-fill", opacity=f"{depth:g}")


def rule(a: Point, b: Point, tone: str = "grid", *, dashed: bool = False) -> str:
    """A straight line, dashed where it is a threshold."""
    return line(a, b, f"{tone}-line{' dashed' if dashed else ''}")


def dot(place: Point, tone: str) -> str:
    """A small filled circle."""
    return element("circle", cx=place[0], cy=place[1], r=4, class_=f"{tone}-fill", opacity="0.75")


def _arrow_head() -> str:
    shape = element("path", d="M0,0 L8,4 L0,8 z", class_="soft-fill")
    return element("marker", shape, id="head", markerWidth=8, markerHeight=8, refX=7, refY=4, orient="auto")


def _style() -> str:
    shape = (
        f"text{{font:{SIZE}px system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif}}"
        ".title{font-size:17px;font-weight:600}.small{font-size:11.5px}.strong{font-weight:600}"
        ".box{stroke-width:1.5;fill-opacity:.08}.arrow{stroke-width:1.5}.dashed{stroke-width:1.5;stroke-dasharray:6 4}"
        ".curve{fill:none;stroke-width:2.5;stroke-linejoin:round}"
    )
    return f"{shape}{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"


def _colours(tones: dict[str, str]) -> str:
    rules = [f".page,.page-text{{fill:{tones['page']}}}.grid-line{{stroke:{tones['grid']}}}"]
    for name in TONES:
        colour = tones[name]
        rules.append(
            f".{name}-text,.{name}-fill{{fill:{colour}}}.{name}-line{{stroke:{colour}}}"
            f".{name}-box{{fill:{colour};stroke:{colour}}}"
        )
    return "".join(rules)
