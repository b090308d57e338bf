"""Figures and endings in words, the same in progress lines, table and picture."""

from __future__ import annotations

import re
from typing import NamedTuple

from demo.ending import Ending, Moment, MomentKind

MIB = 1 << 20
#: What milliseconds may count from, beside the edge.
ORIGINS: dict[MomentKind, str] = {"kill": "the kill", "stop": "SIGTERM", "kernel": "the kill"}


class Edge(NamedTuple):
    """Where memguard begins: what it is called, and what happens to it."""

    name: str
    passed: str


#: memory.high under a limit. A node has none: page cache would fill it.
LINE = Edge("the line", "crossed")
RESERVE = Edge("the reserve", "touched")


def edge(ending: Ending) -> Edge:
    """The node's, or that of a container."""
    return RESERVE if ending.of_node else LINE


def milliseconds(seconds: float | None) -> str:
    """`2.0 ms`, `941 ms`; `-` for what never happened."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if abs(seconds) < 0.0995 else f"{seconds * 1000:,.0f} ms"


def mebibytes(size: float) -> str:
    """`99 MiB`; below 10 with a decimal."""
    value = size / MIB
    return f"{value:.1f} MiB" if 0 < value < 9.95 else f"{value:.0f} MiB"


def since_the_line(moment: Moment, ending: Ending) -> str:
    """When a moment was: the passing of the edge in seconds, all others from there (or from what was done)."""
    start = origin(ending)
    if start is None or moment is start:
        return f"{moment.at_seconds:.3f} s"
    after = moment.at_seconds - start.at_seconds
    side = "after" if after >= 0 else "before"
    return f"{milliseconds(abs(after))} {side} {ORIGINS.get(start.kind, edge(ending).name)}"


def since(start: Moment, ending: Ending) -> str:
    """What the milliseconds count from, as an axis says it."""
    name, passed = edge(ending)
    return f"{name} was {passed}" if start.kind == "line" else ORIGINS[start.kind]


def origin(ending: Ending) -> Moment | None:
    """What the milliseconds count from: the passing of the edge, or what was done before it could be passed."""
    return ending.moment("line") or ending.moment(*ORIGINS)


def lateness(ending: Ending) -> str:
    """From the edge to what was done about it."""
    name, passed = edge(ending)
    if ending.late_seconds is None:
        return f"before {name} was reached" if ending.moment("kill", "stop") else "never"
    side = "after" if ending.late_seconds >= 0 else "before"
    what = f"{name} was {passed}" if ending.past_the_line else f"memguard saw {name} {passed}"
    return f"{milliseconds(abs(ending.late_seconds))} {side} {what}"


def reading(sentence: str) -> str:
    """memguard's sentence without the cgroup's path: whose limit it is says enough."""
    return re.sub(r"\b(container|pod):\S+", r"its \1's limit", sentence)


def headline(ending: Ending) -> str:
    """The ending in one line; a bad one says first what is wrong."""
    if not ending.good:
        return f"WENT WRONG: {'; '.join(ending.complaints)}"
    left = f"{mebibytes(ending.left_bytes)} of {mebibytes(ending.limit_bytes)} left"
    late = lateness(ending)
    if ending.hand == "kernel":
        return f"the kernel's OOM killer killed {ending.culprit}, {late}; {left}{_said_before(ending)}"
    if ending.moment("stop"):
        return f"memguard sent {ending.culprit} SIGTERM {late}, and it exited by itself; {left}"
    return f"memguard killed {ending.culprit}, whole, {late}; {left}"


def _said_before(ending: Ending) -> str:
    would, kernel = ending.moment("would"), ending.moment("kernel")
    if would is None or kernel is None:
        return ""
    return f"; memguard would have done it {milliseconds(kernel.at_seconds - would.at_seconds)} earlier"
