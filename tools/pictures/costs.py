"""The picture of docs/benchmarks.md that shows what a pass costs: from the report that is committed."""

from __future__ import annotations

from bench.costs.claims import PASS_RATIO
from bench.costs.docs import committed
from bench.costs.figures import Pass
from bench.costs.report import figures_of
from demo.svg import polyline
from tools.pictures.kit import WIDTH, caption, heading, picture, rule

from memguard.cli.view.plot import Frame, ticks

#: What is drawn of a pass, from the dearest on, with its words and its colour.
CURVES = (
    ("judge_ms", "and choosing", "culprit"),
    ("score_ms", "and scoring", "line"),
    ("read_ms", "reading", "service"),
    ("c_ms", "the C program", "soft"),
)
STEPS_MS, STEPS = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0), (10.0, 50.0, 100.0, 250.0)


def costs() -> str:
    """Milliseconds against containers."""
    passes = figures_of(committed()).passes
    frame = _frame(passes)
    drawn = [
        heading(
            "A full pass, of which a decision takes but a few",
            "Best round of each, in virtual time: an instruction takes a nanosecond.",
        ),
        *_scales(frame),
        rule(
            (frame.x, frame.bottom),
            (frame.px(frame.to_t), frame.py(PASS_RATIO * min(passes[-1].c_ms))),
            "ink",
            dashed=True,
        ),
    ]
    for number, (name, words, tone) in enumerate(CURVES):
        points = [(frame.px(one.containers), frame.py(min(getattr(one, name)))) for one in passes]
        drawn += [polyline(points, f"curve {tone}-line"), *_key(frame, number, words, tone)]
    return picture(
        360, "Time of a full pass over 10 to 1,000 containers", [*drawn, *_key(frame, 4, "2 x C", "ink", dashed=True)]
    )


def _frame(passes: tuple[Pass, ...]) -> Frame:
    most = max(min(one.judge_ms) for one in passes)
    return Frame(
        x=78, y=84, width=WIDTH - 240, height=220, from_t=0, to_t=max(one.containers for one in passes),
        from_v=0, to_v=1.05 * most,
    )  # fmt: skip


def _scales(frame: Frame) -> list[str]:
    drawn = [caption(frame.x, frame.bottom + 36, "containers"), caption(frame.x - 8, frame.y - 10, "ms", anchor="end")]
    for ms in ticks(0, frame.to_v, 6, STEPS_MS):
        y = frame.py(ms)
        drawn += [rule((frame.x, y), (frame.right, y)), caption(frame.x - 8, y + 4, f"{ms:g}", anchor="end")]
    for count in ticks(0, frame.to_t, 6, STEPS):
        drawn.append(caption(frame.px(count), frame.bottom + 18, f"{count:,.0f}", anchor="middle"))
    return drawn


def _key(frame: Frame, number: int, words: str, tone: str, *, dashed: bool = False) -> list[str]:
    x, y = frame.right + 14, frame.y + 12 + number * 24
    return [rule((x, y), (x + 20, y), tone, dashed=dashed), caption(x + 26, y + 4, words, "ink-text")]
