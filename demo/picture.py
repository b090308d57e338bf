"""build/demo.svg: memory against time, one panel a story; the whole of it, and the decisive moments magnified.

Written by hand, so that it needs no library, can be read in a diff, and follows the reader's light or dark theme.
"""

from __future__ import annotations

from itertools import pairwise
from xml.sax.saxutils import escape

from demo.ending import Ending, Moment
from demo.report import Report
from demo.svg import element, line, polygon, polyline, rectangle, text, wrapped
from demo.trail import Curve
from demo.words import edge, headline, origin, since, since_the_line
from memguard.cli.view.plot import Frame, spread, ticks

MIB = 1 << 20
WIDTH = 1180
HEADER = 132
PANEL = 334
PLOT_HEIGHT = 186
WHOLE_X, WHOLE_WIDTH = 58, 500
NEAR_X, NEAR_WIDTH = 630, 290
NOTES_X = 950
NOTE = 36
BADGE = 8.5
BAR = 6
#: How much of the time around the decisive moments is shown before and after them.
BEFORE, AFTER = 0.15, 0.12
#: Of the reserve, below the line.
BELOW = 0.6

SECONDS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
MILLISECONDS = tuple(ms / 1000 for ms in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000))
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

LIGHT = {
    "page": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "grid": "#d1d9e0", "domain": "#1f2328",
    "culprit": "#cf222e", "service": "#0969da", "cache": "#1a7f37", "line": "#bc4c00", "hold": "#8250df",
}  # fmt: skip
DARK = {
    "page": "#0d1117", "ink": "#f0f6fc", "soft": "#9198a1", "grid": "#30363d", "domain": "#f0f6fc",
    "culprit": "#ff7b72", "service": "#58a6ff", "cache": "#3fb950", "line": "#f0883e", "hold": "#bc8cff",
}  # fmt: skip

#: What ends a story, in the victim's colour.
FATES = {"stop": "SIGTERM", "kill": "killed", "kernel": "killed by the kernel"}

LEGEND = (
    ("domain", "the node, all in use"),
    ("culprit", "cart or report: it grows"),
    ("service", "search: larger, steady"),
    ("cache", "orders: mostly page cache"),
)
#: A character of the legend, generously.
LETTER = 6.9


def picture(report: Report) -> str:
    """The whole file."""
    height = HEADER + PANEL * len(report.stories)
    panels = "".join(_panel(ending, number) for number, ending in enumerate(report.stories, 1))
    return element(
        "svg",
        element("style", _style()) + rectangle(0, 0, WIDTH, height, "page") + _header(report) + panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label="memguard: three stories on a real kernel",
    )


def _style() -> str:
    shape = (
        "text{font:12px system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif}"
        ".title{font-size:22px;font-weight:600}.story{font-size:16px;font-weight:600}.said{font-size:13px}.plot{font-weight:400}"
        ".axis{font-size:11px}.badge{font-size:11px;font-weight:600}.strong{font-weight:600}"
        "polyline{fill:none;stroke-linejoin:round}.curve{stroke-width:2}.domain-curve{stroke-width:2.5}"
        ".threshold{stroke-width:1.5;stroke-dasharray:6 4}.fate{stroke-width:1.5}"
        ".grid{stroke-width:1}.pin{stroke-width:1}"
    )
    light = _colours(LIGHT) + _depths(area=0.07, reserve=0.13, hold=0.16, window=0.09)
    dark = _colours(DARK) + _depths(area=0.1, reserve=0.2, hold=0.26, window=0.15)
    return f"{shape}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _depths(**opacities: float) -> str:
    """Bands that let what is below shine through; on a dark page they need more."""
    return "".join(f".{name}{{opacity:{opacity}}}" for name, opacity in opacities.items())


def _colours(tone: dict[str, str]) -> str:
    rules = [
        f".page{{fill:{tone['page']}}}text{{fill:{tone['ink']}}}.soft{{fill:{tone['soft']}}}",
        f".halo{{stroke:{tone['page']};stroke-width:4px;paint-order:stroke;stroke-linejoin:round}}",
        f".grid{{stroke:{tone['grid']}}}.edge{{stroke:{tone['soft']}}}.pin{{stroke:{tone['soft']}}}",
        f".area{{fill:{tone['domain']}}}.window{{fill:{tone['ink']}}}",
        f".reserve{{fill:{tone['line']}}}.threshold{{stroke:{tone['line']}}}.threshold-text{{fill:{tone['line']}}}",
        f".hold,.bar{{fill:{tone['hold']}}}.fate{{stroke:{tone['culprit']}}}.fate-text{{fill:{tone['culprit']}}}",
        f".disc{{fill:{tone['ink']}}}.bad{{fill:{tone['culprit']}}}.badge{{fill:{tone['page']}}}",
    ]
    rules += [f".{kind}-curve{{stroke:{tone[kind]}}}" for kind, _ in LEGEND]
    return "".join(rules)


def _header(report: Report) -> str:
    parts = [
        text(24, 36, "memguard: three stories on a real kernel", "title"),
        text(24, 58, f"Memory in use against time. {report.machine}.", "soft said"),
    ]
    keys = [
        *((words, f"curve {kind}-curve") for kind, words in LEGEND),
        ("a limit's line, or the node's reserve", "threshold"),
    ]
    x, y = 24.0, 90
    for words, look in keys:
        parts += [line((x, y - 4), (x + 22, y - 4), look), text(x + 28, y, words)]
        x += 56 + LETTER * len(words)
    x, y = 24.0, 112
    for words, look in (("what is left beyond it", "reserve"), ("held still, or braked", "hold"),
                        ("magnified beside", "window")):  # fmt: skip
        parts += [rectangle(x, y - 12, 22, 14, look), text(x + 28, y, words)]
        x += 56 + LETTER * len(words)
    return "".join(parts)


def _panel(ending: Ending, number: int) -> str:
    top = HEADER + PANEL * (number - 1)
    said = headline(ending)
    plot = top + 88
    parts = [
        line((24, top), (WIDTH - 24, top), "grid"),
        _title(ending, number, top + 26),
        text(24, top + 47, said + ".", "said" if ending.good else "said bad"),
    ]
    window = _window(ending)
    whole = _whole_frame(ending, plot)
    parts.append(_whole(ending, whole, window, clip=f"whole{number}"))
    if window is None:
        name, passed = edge(ending)
        parts.append(
            text(
                NEAR_X,
                plot + PLOT_HEIGHT / 2,
                f"{name[:1].upper()}{name[1:]} was never {passed}, and nothing was done.",
                "soft",
            )
        )
    else:
        parts.append(_near(ending, _near_frame(ending, plot, window), clip=f"near{number}"))
    parts += [_note(moment, ending, plot + NOTE * index, index + 1) for index, moment in enumerate(ending.moments)]
    return "".join(parts)


def _title(ending: Ending, number: int, y: float) -> str:
    plot = element("tspan", escape(f"{ending.plot}."), dx=12, class_="soft said plot")
    return element("text", escape(f"{number}. {ending.title}") + plot, x=24, y=y, class_="story")


# --- the whole story


def _whole_frame(ending: Ending, top: float) -> Frame:
    last = max((curve.points[-1][0] for curve in ending.curves if curve.points), default=1.0)
    return Frame(
        x=WHOLE_X, y=top, width=WHOLE_WIDTH, height=PLOT_HEIGHT,
        from_t=-0.3 if last < 5 else 0.0, to_t=last, from_v=0.0, to_v=ending.limit_bytes / MIB,
    )  # fmt: skip


def _whole(ending: Ending, frame: Frame, window: tuple[float, float] | None, clip: str) -> str:
    limit, reserve = ending.limit_bytes / MIB, (ending.limit_bytes - ending.line_bytes) / MIB
    sizes = [v for v in ticks(0, limit, 4, SIZES) if limit - v > limit / 12] + [limit]
    parts = [_grid(frame, sizes, ticks(frame.from_t, frame.to_t, 8, SECONDS), lambda t: f"{t:g}")]
    parts.append(text(frame.x, frame.y - 8, "MiB in use", "axis soft"))
    parts.append(_centred(frame, "seconds since the growth began"))
    inside = ""
    if window is not None:
        left = frame.px(window[0])
        inside += rectangle(left, frame.y, frame.px(window[1]) - left, frame.height, "window")
    inside += _threshold(ending, frame) + _lines(ending.curves, frame)
    fate = ending.moment("stop", "kill", "kernel")
    if fate is not None:
        inside += line((frame.px(fate.at_seconds), frame.y), (frame.px(fate.at_seconds), frame.bottom), "fate")
        words = FATES[fate.kind]
        parts.append(text(frame.px(fate.at_seconds), frame.y - 8, words, "axis strong fate-text", anchor="middle"))
    parts.append(_clipped(frame, inside, clip))
    label = f"{'reserve' if ending.of_node else 'line'}: {reserve:.0f} MiB left"
    parts.append(text(frame.x + 6, frame.py(ending.line_bytes / MIB) + 14, label, "axis threshold-text halo"))
    return "".join(parts)


# --- the decisive moments, magnified


def _window(ending: Ending) -> tuple[float, float] | None:
    """From a little before the line is crossed until everything is over."""
    if origin(ending) is None:
        return None
    times = [moment.at_seconds for moment in ending.moments]
    length = max(max(times) - min(times), 0.01)
    return min(times) - BEFORE * length, max(times) + AFTER * length


def _near_frame(ending: Ending, top: float, window: tuple[float, float]) -> Frame:
    reserve = (ending.limit_bytes - ending.line_bytes) / MIB
    return Frame(
        x=NEAR_X, y=top, width=NEAR_WIDTH, height=PLOT_HEIGHT, from_t=window[0], to_t=window[1],
        from_v=ending.line_bytes / MIB - BELOW * reserve, to_v=ending.limit_bytes / MIB,
    )  # fmt: skip


def _near(ending: Ending, frame: Frame, clip: str) -> str:
    start = origin(ending)
    zero = start.at_seconds if start else 0.0
    limit = ending.limit_bytes / MIB
    sizes = [v for v in ticks(frame.from_v, limit, 6, SIZES) if limit - v > (limit - frame.from_v) / 12] + [limit]
    times = [zero + t for t in ticks(frame.from_t - zero, frame.to_t - zero, 7, MILLISECONDS)]
    parts = [_grid(frame, sizes, times, lambda t: f"{(t - zero) * 1000:.0f}")]
    parts.append(_centred(frame, f"milliseconds since {since(start, ending)}" if start else "milliseconds"))
    inside = "".join(_hold(frame, a, b) for a, b in _held(ending))
    inside += _threshold(ending, frame) + _lines(ending.curves[:1], frame)
    parts.append(_clipped(frame, inside, clip))
    places = spread(
        [frame.px(m.at_seconds) for m in ending.moments], 2 * BADGE + 2, frame.x + BADGE, frame.right - BADGE
    )
    for number, (moment, place) in enumerate(zip(ending.moments, places, strict=True), 1):
        x = frame.px(moment.at_seconds)
        parts.append(line((place, frame.y - 18), (x, frame.y), "pin") + line((x, frame.y), (x, frame.bottom), "pin"))
        parts.append(_badge(place, frame.y - 18, number, moment))
    return "".join(parts)


def _held(ending: Ending) -> list[tuple[float, float]]:
    """From, to: frozen while memguard decided, or slowed down at its line."""
    hold, kill = ending.moment("hold"), ending.moment("stop", "kill")
    frozen = [(hold.at_seconds, kill.at_seconds)] if hold and kill else []
    return [*frozen, *ending.braked]


def _hold(frame: Frame, a: float, b: float) -> str:
    """A band, and a bar that can be seen even when that was over in a millisecond."""
    left, width = frame.px(a), frame.px(b) - frame.px(a)
    return rectangle(left, frame.y, width, frame.height, "hold") + rectangle(left, frame.y, width, BAR, "bar")


def _note(moment: Moment, ending: Ending, y: float, number: int) -> str:
    x = NOTES_X + 2 * BADGE + 6
    parts = [_badge(NOTES_X + BADGE, y, number, moment)]
    parts += [text(x, y + 4 + 15 * i, words) for i, words in enumerate(wrapped(moment.words, WIDTH - 24 - x, 12))]
    return "".join(parts) + text(x, y + 19, since_the_line(moment, ending), "axis soft")


# --- parts of both


def _grid(frame: Frame, sizes: list[float], times: list[float], name: object) -> str:
    parts = []
    for v in sizes:
        y = frame.py(v)
        parts.append(line((frame.x, y), (frame.right, y), "grid"))
        parts.append(text(frame.x - 6, y + 4, f"{v:.0f}", "axis soft", anchor="end"))
    for t in times:
        x = frame.px(t)
        parts.append(line((x, frame.bottom), (x, frame.bottom + 4), "grid edge"))
        parts.append(text(x, frame.bottom + 17, name(t), "axis soft", anchor="middle"))  # type: ignore[operator]
    parts.append(line((frame.x, frame.bottom), (frame.right, frame.bottom), "grid edge"))
    return "".join(parts)


def _centred(frame: Frame, words: str) -> str:
    return text(frame.x + frame.width / 2, frame.bottom + 34, words, "axis soft", anchor="middle")


def _threshold(ending: Ending, frame: Frame) -> str:
    y = frame.py(ending.line_bytes / MIB)
    band = rectangle(frame.x, frame.y, frame.width, y - frame.y, "reserve")
    return band + line((frame.x, y), (frame.right, y), "threshold")


def _lines(curves: tuple[Curve, ...], frame: Frame) -> str:
    parts = []
    for curve in reversed(curves):
        points = [(frame.px(t), frame.py(v)) for t, v in _cut(curve, frame)]
        if curve.kind == "domain" and points:
            parts.append(polygon([(points[0][0], frame.bottom), *points, (points[-1][0], frame.bottom)], "area"))
        parts.append(polyline(points, f"curve {curve.kind}-curve"))
    return "".join(parts)


def _cut(curve: Curve, frame: Frame) -> list[tuple[float, float]]:
    """The points within the frame's time, and one on either side."""
    wide = [(a, b) for a, b in pairwise(curve.points) if b[0] >= frame.from_t and a[0] <= frame.to_t]
    return [wide[0][0], *(b for _, b in wide)] if wide else []


def _clipped(frame: Frame, content: str, name: str) -> str:
    box = rectangle(frame.x, frame.y - 1, frame.width, frame.height + 2, "")
    return element("clipPath", box, id=name) + element("g", content, clip_path=f"url(#{name})")


def _badge(x: float, y: float, number: int, moment: Moment) -> str:
    disc = "disc bad" if moment.kind in FATES else "disc"
    return element("circle", cx=x, cy=y, r=BADGE, class_=disc) + text(x, y + 4, str(number), "badge", anchor="middle")
