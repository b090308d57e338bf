"""memguard's journal as a cell brings it back, and its wall time on the cell's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec
from tests.machine.guest.result import CellResult

SECOND_NS = 10**9
#: MemAvailable is a sum over per-CPU counters: two readings a millisecond apart differ by up to this.
JUMP_BYTES = 4 << 20


class Victim(msgspec.Struct, frozen=True):
    """Who was chosen."""

    namespace: str | None = None
    pod: str | None = None
    name: str | None = None


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """What the demo reads of a journal line."""

    kind: str
    at: datetime
    mode: str = ""
    action: str = ""
    trigger: str = ""
    reason: str = ""
    victim: Victim = Victim()
    timing: dict[str, float] = {}
    available_bytes: int = 0
    reserve_bytes: int = 0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision; `at` is wall time in seconds, written right after the deed."""

    at: float
    mode: str
    action: str
    victim: str
    reason: str
    timing: dict[str, float]
    at_the_line: bool  # memguard itself found it crossed: rung by the kernel, or reading that too little was left


def first_decision(log: Iterable[str]) -> Decision | None:
    """The first decision in the guard's output."""
    for text in log:
        line = _line(text)
        if line is not None and line.kind == "decision":
            victim = "/".join(part or "?" for part in (line.victim.namespace, line.victim.pod, line.victim.name))
            return Decision(
                at=line.at.timestamp(),
                mode=line.mode,
                action=line.action,
                victim=victim,
                reason=line.reason,
                timing=line.timing,
                at_the_line=_at_the_line(line),
            )
    return None


def clock(cell: CellResult) -> Callable[[float], float] | None:
    """From wall time to the cell's seconds, through the first action's output (stories.CLOCKS); None if that failed."""
    words = cell.actions[0].output.split() if cell.actions and cell.timeline.rows else []
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    wall_minus_monotonic, first_row = map(int, words)
    start_ns = first_row - cell.timeline.rows[0][0] * SECOND_NS
    return lambda at: at - (wall_minus_monotonic + start_ns) / SECOND_NS


def _at_the_line(line: Line) -> bool:
    near = line.available_bytes <= line.reserve_bytes + JUMP_BYTES
    return line.trigger == "line" or (line.trigger == "tick" and near)


def _line(text: str) -> Line | None:
    """None for what is no journal line (a traceback, a warning)."""
    try:
        return msgspec.json.decode(text, type=Line)
    except msgspec.DecodeError:
        return None
