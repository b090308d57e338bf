"""Traces: what was read and done, line by line, so that any decision can be made again (JSON Lines)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from memguard.core.model import Record, Snapshot
from memguard.core.policy import Plan
from memguard.errors import InputError


class Header(Record, frozen=True, kw_only=True, tag_field="type", tag="header"):
    """First line: which memguard wrote this, and under which plan."""

    at: datetime | None = None
    version: str = ""
    plan: Plan = Plan()


class PlanChange(Record, frozen=True, kw_only=True, tag_field="type", tag="plan"):
    """The plan from here on."""

    plan: Plan
    at: datetime | None = None


class Reading(Record, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """A snapshot that decisions are made on."""

    snapshot: Snapshot
    at: datetime | None = None


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
    snapshot: msgspec.Raw | None = None
    taken_at: Any = msgspec.field(name="takenAt", default=None)


_probe = msgspec.json.Decoder(_Probe)
_line: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_snapshot = msgspec.json.Decoder(Snapshot)


def decode_line(line: bytes, source: str = "<trace>", number: int | None = None) -> Line:
    """One line of a trace; a bare snapshot is a Reading. InputError names the line and the field."""
    try:
        probe = _probe.decode(line)
        if probe.type is None:
            return Reading(snapshot=_snapshot.decode(line))
        if probe.type == "snapshot" and probe.snapshot is None:
            return Reading(snapshot=_inline(line, probe), at=probe.at)
        return _line.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise input_error(error, source, number) from None


def decode_snapshot(text: bytes, source: str = "<snapshot>") -> Snapshot:
    """A single snapshot, pretty-printed or not."""
    try:
        return _snapshot.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise input_error(error, source, _line_of(text, error)) from None


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
    problem, _, path = str(error).partition(" - at `")
    remedy = "Compare it with docs/formats.md, or write a new one with `memguard snapshot`."
    return InputError(source, problem, remedy=remedy, line=line, field=path.rstrip("`") or None)


def _line_of(text: bytes, error: Exception) -> int | None:
    """The line of a syntax error in a multi-line document; a wrong field has no line of its own."""
    _, _, offset = str(error).rpartition("(byte ")
    digits = offset.rstrip(")")
    return text[: int(digits)].count(b"\n") + 1 if digits.isdecimal() else None
