"""Traces: what was read and done, line by line, so that any decision can be made again (JSON Lines)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from memguard.core.model import UNREADABLE, Record, Snapshot
from memguard.core.policy import Plan
from memguard.errors import InputError, problem_and_field


class Header(Record, frozen=True, kw_only=True, tag_field="type", tag="header"):
    """First line: which memguard wrote this, and under which plan."""

    at: datetime | None = None
    version: str = ""
    plan: Plan = Plan()


class PlanChange(Record, frozen=True, kw_only=True, tag_field="type", tag="plan"):
    """The plan from here on."""

    plan: Plan
    at: datetime | None = None


#: The `domain` of a snapshot that was only taken into the history: nothing was decided on it.
LEARNING = "none"


class Reading(Record, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """A snapshot that decisions are made on; `domain` where it shows the containers of one domain only."""

    snapshot: Snapshot
    at: datetime | None = None
    domain: str | None = None


class Event(Record, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """A wake-up: a line was crossed, PSI rose, the tick came."""

    at: datetime | None = None
    kind: str = ""
    subject: str = ""


class Outcome(Record, frozen=True, kw_only=True, tag_field="type", tag="outcome"):
    """What an action achieved."""

    at: datetime | None = None
    victim: str = ""
    action: str = ""
    freed_bytes: int | None = None
    seconds: float | None = None
    complete: bool | None = None


Line = Header | PlanChange | Reading | Event | Outcome


class _Probe(msgspec.Struct):
    """Just enough of a line to tell its form."""

    type: str | None = None
    at: datetime | None = None
    snapshot: msgspec.Raw = msgspec.Raw()  # `Raw | None` takes nothing but null (msgspec 0.22)
    taken_at: Any = msgspec.field(name="takenAt", default=None)


_probe = msgspec.json.Decoder(_Probe)
_line: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_snapshot = msgspec.json.Decoder(Snapshot)


def decode_line(line: bytes, source: str = "<trace>", number: int | None = None) -> Line:
    """One line of a trace; a bare snapshot is a Reading. InputError names the line and the field."""
    try:
        probe = _probe.decode(line)
        if probe.type is None:
            found: Line = Reading(snapshot=_snapshot.decode(line))
        elif probe.type == "snapshot" and not bytes(probe.snapshot):
            found = Reading(snapshot=_inline(line, probe), at=probe.at)
        else:
            found = _line.decode(line)
    except UNREADABLE as error:
        raise input_error(error, source, number) from None
    if isinstance(found, Reading):
        _check_ids(found.snapshot, source, lambda _: number)
    return found


def decode_lines(lines: Iterable[bytes], source: str = "<trace>") -> Iterator[Line]:
    """All lines of a trace; blank ones are skipped. InputError names the line that cannot be read."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield decode_line(line, source, number)


def decode_snapshot(text: bytes, source: str = "<snapshot>") -> Snapshot:
    """A single snapshot, pretty-printed or not."""
    try:
        snapshot = _snapshot.decode(text)
    except UNREADABLE as error:
        raise input_error(error, source, _line_of(text, error)) from None
    _check_ids(snapshot, source, lambda field: _line_at(text, field))
    return snapshot


def encode_line(line: Line) -> bytes:
    """One line, with its newline."""
    return msgspec.json.encode(line) + b"\n"


def _inline(line: bytes, probe: _Probe) -> Snapshot:
    """A typed line whose snapshot stands beside `type` and `at` instead of under `snapshot`."""
    if probe.taken_at is not None or probe.at is None:
        return _snapshot.decode(line)
    fields = msgspec.json.decode(line)
    return msgspec.convert(fields | {"takenAt": fields["at"]}, Snapshot)


def input_error(error: Exception, source: str, line: int | None) -> InputError:
    """msgspec's words as ours: problem, field (a JSON path) and what to do."""
    problem, path = problem_and_field(error)
    _, missing, name = problem.partition("missing required field `")
    if missing:
        path = f"{path or '$'}.{name.rstrip('`')}"
    remedy = "Compare it with docs/formats.md, or write a new one with `memguard snapshot`."
    return InputError(source, problem, remedy=remedy, line=line, field=path or None)


def _check_ids(snapshot: Snapshot, source: str, line_at: Callable[[str], int | None]) -> None:
    """Every container has its own id: with two of the same, what happens to which would be chance."""
    seen: set[str] = set()
    for index, container in enumerate(snapshot.containers):
        if container.id in seen:
            words = f"a container with the id {container.id!r} is listed twice"
            remedy, field = "Give every container its own id.", f"$.containers[{index}].id"
            raise InputError(source, words, remedy=remedy, line=line_at(field), field=field)
        seen.add(container.id)


def _line_of(text: bytes, error: Exception) -> int | None:
    """The line of a syntax error, or of a wrong field."""
    problem, path = problem_and_field(error)
    digits = problem.rpartition("(byte ")[2].rstrip(")")
    if digits.isdecimal():
        return text[: int(digits)].count(b"\n") + 1
    if not isinstance(error, msgspec.ValidationError):
        return text.count(b"\n") + 1
    return _line_at(text, path)


def _line_at(text: bytes, path: str) -> int:
    """Where the deepest part of a JSON path begins that is there."""
    place, part = 0, text
    for step in path.replace("[", ".").replace("]", "").split(".")[1:]:
        try:
            offset, part = _member(part, step)
        except (LookupError, ValueError):
            break
        place += offset
    return text[:place].count(b"\n") + 1


def _member(text: bytes, step: str) -> tuple[int, bytes]:
    """Offset and text of one member of a JSON array or object. LookupError or ValueError where there is none."""
    if not step.isdecimal():
        value = bytes(msgspec.json.decode(text, type=dict[str, msgspec.Raw])[step])
        return text.index(value, text.index(f'"{step}"'.encode()) + len(step) + 2), value
    end = 0
    for item in msgspec.json.decode(text, type=list[msgspec.Raw])[: int(step) + 1]:
        value = bytes(item)
        end = text.index(value, end) + len(value)
    return end - len(value), value
