"""The guard's steps as a strip, from the wake-up to the action, in milliseconds: pure geometry."""

from __future__ import annotations

import msgspec

from memguard.cli.incident.incident import Incident
from memguard.cli.incident.marks import AXIS, BADGES, Badge, Tick, badges, time_ticks
from memguard.cli.incident.moments import spans
from memguard.cli.view.plot import Frame
from memguard.cli.words import duration

MARGIN, HEIGHT = 16.0, 26.0
#: No clock tells less apart.
SHORTEST_SECONDS = 1e-9
#: Width of a character, generously.
LETTER = 7.0


class Step(msgspec.Struct, frozen=True):
    """One of the guard's steps in the strip; `label` is empty where there is no room."""

    x: float
    width: float
    name: str
    label: str
    words: str


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """The guard's steps, in milliseconds."""

    width: float
    height: float
    frame: Frame
    steps: tuple[Step, ...]
    times: tuple[Tick, ...]
    badges: tuple[Badge, ...]


def strip(incident: Incident, width: float) -> Strip | None:
    """The steps from the wake-up to the action; None where they were not timed."""
    found = [span for span in spans(incident) if span.begin < 0]
    if not found or found[-1].end - found[0].begin < SHORTEST_SECONDS:
        return None
    begin, end = found[0].begin, found[-1].end
    frame = Frame(
        x=MARGIN, y=BADGES, width=width - 2 * MARGIN, height=HEIGHT, from_t=begin, to_t=end, from_v=0.0, to_v=1.0
    )
    steps = tuple(_step(span.name, frame.px(span.begin), frame.px(span.end), span.end - span.begin) for span in found)
    return Strip(
        width=width,
        height=frame.bottom + AXIS,
        frame=frame,
        steps=steps,
        times=tuple(time_ticks(frame, since=begin)),
        badges=badges(incident, frame),
    )


def _step(name: str, begin: float, end: float, seconds: float) -> Step:
    words = f"{name} {duration(seconds)}"
    room = end - begin - 8
    label = next((text for text in (words, name) if len(text) * LETTER <= room), "")
    return Step(begin, max(1.0, end - begin), name, label, words)
