"""The pictures of docs/concepts.md that show figures: made by the code that decides."""

from __future__ import annotations

from itertools import accumulate
from math import log10
from pathlib import Path

from demo.svg import polyline
from tools.pictures.kit import WIDTH, bar, box, caption, heading, picture, rule

from memguard.cli.judging import judge_last
from memguard.cli.view.plot import Frame
from memguard.core.domain import Domain, reserve
from memguard.core.history import Gauge
from memguard.core.policy import GIB, MIB, Settings
from memguard.core.pressure import assess
from memguard.core.score import factor_points
from memguard.core.select import Candidate
from memguard.core.trace import decode_line

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "incident.jsonl"
NODE_BYTES = 16 * GIB
#: MiB/s that a node of 16 GiB loses, and the colour of its curve.
RATES = ((0, "service"), (10, "cache"), (100, "line"), (1000, "culprit"))
#: Of the factors that are drawn by name; the others are one bar.
NAMED = {"memory": "service", "growth": "culprit", "excess": "line"}


def threshold() -> str:
    """From which score on a container is a candidate, by what is left and how fast it goes."""
    frame = Frame(x=78, y=84, width=WIDTH - 240, height=220, from_t=0.085, to_t=0.0, from_v=0, to_v=1000)
    line_at = reserve(NODE_BYTES, Settings()) / NODE_BYTES
    drawn = [
        heading(
            "The threshold: the less is left and the faster it goes, the lower",
            "A node of 16 GiB without swap, settings of memguard rank. Above 1000 nobody is a candidate.",
        ),
        bar((frame.px(line_at), frame.y, frame.right - frame.px(line_at), frame.height), "line", 0.12),
        caption(frame.px(line_at) + 6, frame.y + 14, "the reserve is touched", "line-text"),
    ]
    for score in (0, 250, 500, 750, 1000):
        drawn += [
            rule((frame.x, frame.py(score)), (frame.right, frame.py(score))),
            caption(frame.x - 8, frame.py(score) + 4, str(score), anchor="end"),
        ]
    for percent in (8, 6, 4, 2, 0):
        drawn.append(caption(frame.px(percent / 100), frame.bottom + 18, f"{percent} %", anchor="middle"))
    drawn.append(caption(frame.x, frame.bottom + 36, "memory available, of the node"))
    for number, (rate, tone) in enumerate(RATES):
        drawn.append(polyline(_curve(frame, rate), f"curve {tone}-line"))
        y = frame.y + 24 + number * 24
        words = f"losing {rate} MiB/s" if rate else "not falling"
        drawn += [
            rule((frame.right + 14, y), (frame.right + 34, y), tone),
            caption(frame.right + 40, y + 4, words, "ink-text"),
        ]
    return picture(360, "The threshold score against the memory that is left, for four rates of loss", drawn)


def _curve(frame: Frame, rate: int) -> list[tuple[float, float]]:
    """Where the threshold is at most 1000."""
    shares = (step / 4000 for step in range(340, -1, -1))
    found = ((share, _threshold(share, rate)) for share in shares)
    return [(frame.px(share), frame.py(score)) for share, score in found if score <= 1000]


def _threshold(share: float, rate: int) -> float:
    left = int(share * NODE_BYTES)
    gauge = Gauge(tuple((float(second), left + rate * MIB * (19 - second)) for second in range(20)))
    found = assess(Domain("node", "", NODE_BYTES, left, reserve(NODE_BYTES, Settings())), gauge, 0.0, Settings())
    return found.threshold_score if found.calls_for_action else 1001.0


def score() -> str:
    """Who is chosen in the example incident, factor by factor."""
    lines = [decode_line(line) for line in EXAMPLE.read_bytes().splitlines()]
    ranking = judge_last(lines, EXAMPLE.name).ranking
    drawn = [
        heading(
            "The score, factor by factor",
            "The incident in docs/examples: cart leaks, search is larger and keeps within what it asked for.",
        )
    ]
    for number, candidate in enumerate(ranking.candidates):
        drawn += _bars(candidate, 96 + number * 62)
    keys = [(tone, name) for name, tone in NAMED.items()] + [("soft", "the others")]
    for number, (tone, name) in enumerate(keys):
        x = 150 + number * 130
        y = 96 + len(ranking.candidates) * 62
        drawn += [bar((x, y - 10, 22, 12), tone), caption(x + 28, y, name, "ink-text")]
    return picture(
        120 + 62 * len(ranking.candidates), "Scores of four containers, each a bar of its factors' points", drawn
    )


def _bars(candidate: Candidate, y: float) -> list[str]:
    points = {name: found.points for name, found in factor_points(candidate.scored).items() if found.points > 0}
    parts = {name: points.pop(name, 0) for name in NAMED} | {"": sum(points.values())}
    scale = (WIDTH - 330) / 1000
    starts = accumulate(parts.values(), initial=0)
    bars = [
        bar((150 + start * scale, y - 15, count * scale, 22), NAMED.get(name, "soft"))
        for (name, count), start in zip(parts.items(), starts, strict=False)
    ]
    container = candidate.container
    verdict = f"excluded: {candidate.excluded}" if candidate.excluded else f"badness {candidate.badness:.2f}"
    return [
        caption(138, y + 1, container.pod or "", "strong ink-text", anchor="end"),
        *bars,
        caption(150 + (candidate.scored.score + 14) * scale, y + 1, f"{candidate.scored.score}", "strong ink-text"),
        caption(150, y + 22, verdict, "soft-text"),
    ]


def horizons() -> str:
    """Who acts how long before the end; the figures are in docs/operator.md and docs/benchmarks.md."""
    frame = Frame(x=40, y=0, width=WIDTH - 80, height=1, from_t=2.4, to_t=-3.2, from_v=0, to_v=1)
    drawn = [heading("Two horizons", "Time that is left until the reserve is touched, on a logarithmic scale.")]
    for power, words in ((2, "100 s"), (1, "10 s"), (0, "1 s"), (-1, "100 ms"), (-2, "10 ms"), (-3, "1 ms")):
        drawn += [
            rule((frame.px(power), 78), (frame.px(power), 246)),
            caption(frame.px(power), 266, words, anchor="middle"),
        ]
    lanes = (
        (
            "operator",
            log10(80),
            log10(7.5),
            "service",
            ("evicts a leak of 2 to 20 MB/s, measured", "on a node of 2 GiB"),
        ),
        (
            "guard",
            log10(0.5),
            -3.0,
            "culprit",
            ("looks every 500 to 2 ms, the oftener", "the nearer; 1 ms from waking to the kill"),
        ),
        ("kubelet", 1.08, 0.92, "soft", ("looks once in 10 s, and evicts whole pods",)),
    )
    for number, (name, early, late, tone, words) in enumerate(lanes):
        y = 84 + number * 56
        drawn.append(box((frame.px(early), y, frame.px(late) - frame.px(early), 40), "", (), tone))
        x, anchor = (frame.px(late) + 12, None) if name != "guard" else (frame.px(early) - 12, "end")
        drawn.append(caption(x, y + 12, name, f"strong {tone}-text", anchor=anchor))
        drawn += [caption(x, y + 28 + 15 * index, line, "ink-text", anchor=anchor) for index, line in enumerate(words)]
    return picture(284, "The operator acts minutes to seconds ahead, the guard in milliseconds", drawn)
