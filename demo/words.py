"""Figures and endings in words, the same in progress lines, table and picture."""

from __future__ import annotations

import re

from demo.ending import Ending, Moment, MomentKind

MIB = 1 << 20
#: What milliseconds may count from.
ORIGINS: dict[MomentKind, str] = {"line": "the line", "kill": "the kill", "stop": "SIGTERM", "kernel": "the kill"}


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
    """When a moment was: the crossing of the line in seconds, all others from there (or from what was done)."""
    start = origin(ending)
    if start is None or moment is start:
        return f"{moment.at_seconds:.3f} s"
    after = moment.at_seconds - start.at_seconds
    return f"{milliseconds(abs(after))} {'after' if after >= 0 else 'before'} {ORIGINS[start.kind]}"


def origin(ending: Ending) -> Moment | None:
    """What the milliseconds count from: the crossing of the line, or what was done before it could be crossed."""
    return ending.moment("line") or ending.moment(*ORIGINS)


def lateness(ending: Ending) -> str:
    """From the line to what was done about it."""
    if ending.late_seconds is None:
        return "before the line was reached" if ending.moment("kill", "stop") else "never"
    side = "after" if ending.late_seconds >= 0 else "before"
    what = "the line was crossed" if ending.past_the_line else "memguard saw the line crossed"
    return f"{milliseconds(abs(ending.late_seconds))} {side} {what}"


def reading(sentence: str) -> str:
    """memguard's sentence without the cgroup's path: whose limit it is says enough."""
    return re.sub(r"\b(container|pod):\S+", r"its \1", sentence)


def headline(ending: Ending) -> str:
    """The ending in one line; a bad one says first what is wrong."""
    if not ending.good:
        return f"WENT WRONG: {'; '.join(ending.complaints)}"
    left = f"{mebibytes(ending.left_bytes)} of {mebibytes(ending.limit_bytes)} were left"
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
