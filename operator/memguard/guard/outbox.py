"""News for the agent that it does not have on its disk yet: kept in the run directory, so that no death loses any.

The file is allocated beforehand and lies on tmpfs: adding to it never waits for a disk. It holds a head line, and then
the messages as they go over the wire. When all were received it begins anew, and the numbers go on; when it is full
the oldest are dropped, and counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from memguard.core.link import LENGTH_BYTES, News, encode
from memguard.core.model import UNREADABLE
from memguard.errors import LinkError, UnfitError

#: A decision with 12 candidates and its timeline is 6 KiB: room for some 80.
FILE_BYTES: Final = 512 << 10


class _Head(msgspec.Struct, frozen=True):
    """Which series of numbers this is, and the last one given before what follows."""

    session: str
    last: int


class _Numbered(msgspec.Struct, frozen=True):
    number: int


class Outbox:
    """`waiting`: what the agent has not received, as it goes over the wire, by number. `session` names the series.

    Raises UnfitError where the file cannot be had.
    """

    def __init__(self, run_directory: str, now: Callable[[], datetime]) -> None:
        path = f"{run_directory}/outbox"
        self._now = now
        self.dropped_news = 0
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.posix_fallocate(self._fd, 0, FILE_BYTES)
        except OSError as error:
            message = f"{path}: {error.strerror}. Give the guard a writable directory on tmpfs for its records."
            raise UnfitError(message) from None
        line, _, rest = os.pread(self._fd, FILE_BYTES, 0).partition(b"\n")
        head = _head(line)
        self.session = head.session if head else os.urandom(8).hex()
        self.waiting = dict(_messages(rest)) if head else {}
        self._last = max((head.last if head else 0, *self.waiting))
        self._end = FILE_BYTES
        self._begin_anew()

    def add(self, **fact: Any) -> None:
        """Something happened: one of the facts of News."""
        self._last += 1
        try:
            message = encode(News(number=self._last, at=self._now(), **fact))
        except LinkError:
            self.dropped_news += 1
            return
        self.waiting[self._last] = message
        if self._end + len(message) <= FILE_BYTES:
            self._end += os.pwrite(self._fd, message, self._end)
        else:
            self._drop_oldest()
            self._begin_anew()

    def received(self, number: int) -> None:
        """The agent has all up to this number."""
        for known in [known for known in self.waiting if known <= number]:
            del self.waiting[known]
        if not self.waiting:
            self._begin_anew()

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        os.close(self._fd)

    def _drop_oldest(self) -> None:
        """So much that half of the file is free again."""
        while sum(map(len, self.waiting.values())) > FILE_BYTES // 2:
            del self.waiting[min(self.waiting)]
            self.dropped_news += 1

    def _begin_anew(self) -> None:
        before = min(self.waiting, default=self._last + 1) - 1
        head = msgspec.json.encode(_Head(self.session, before))
        text = b"".join((head, b"\n", *self.waiting.values()))
        os.pwrite(self._fd, text.ljust(self._end, b"\0"), 0)  # zeros where older ones were
        self._end = len(text)


def _head(line: bytes) -> _Head | None:
    try:
        return msgspec.json.decode(line, type=_Head)
    except UNREADABLE:
        return None  # a new file, or not ours: nothing in it can be told


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Up to the zeros, or to what cannot be read."""
    at = 0
    while (length := int.from_bytes(data[at : at + LENGTH_BYTES], "big")) > 0:
        end = at + LENGTH_BYTES + length
        try:
            number = msgspec.json.decode(data[at + LENGTH_BYTES : end], type=_Numbered).number
        except UNREADABLE:
            return
        yield number, data[at:end]
        at = end
