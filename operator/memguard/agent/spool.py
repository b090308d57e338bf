"""Between the guard and the API server: what waits to be written is on the disk, one file each, in order.

A file is whole or not there, so that the process may end at any point. What the API server will never take is set
aside and kept for people; when there is no room the oldest goes, and is counted: first of decisions that were only
observed. While the disk takes nothing, entries wait in memory, and nobody is told that they are kept.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable

import msgspec

from memguard.agent.disk import read_back, sync_directory, write_whole
from memguard.agent.entries import Entry, Told, entries

#: A decision with 12 candidates is 4 KiB: some 8 MiB.
MOST_ENTRIES = 2000
#: Of those that were set aside the newest are kept.
MOST_ASIDE = 100
_NAME = re.compile(r"\d{12}\.json")


class Spool:
    """Entries by their number, the oldest first; any thread may use it. `trouble` is told what people should know.

    `dropped`: for want of room. `refused`: set aside.
    """

    def __init__(self, directory: str, trouble: Callable[[str], None], *, most: int = MOST_ENTRIES) -> None:
        self._directory, self._aside = directory, f"{directory}/aside"
        self._trouble, self._most = trouble, most
        self._lock = threading.Lock()
        self._unsaved: dict[int, bytes] = {}
        self.dropped = 0
        self.refused = 0
        os.makedirs(self._aside, mode=0o700, exist_ok=True)
        self._numbers = _numbers(directory)
        found = {number: read_back(self._path(number), entries, self._trouble) for number in self._numbers}
        self._observed = {number for number, entry in found.items() if entry is not None and _observed(entry)}
        aside = _numbers(self._aside)
        self._next = max((*self._numbers, *aside), default=0) + 1

    def __len__(self) -> int:
        """How many wait."""
        return len(self._numbers)

    @property
    def saved(self) -> bool:
        """Is all on the disk?"""
        return not self._unsaved

    def begin_after(self, number: int) -> None:
        """The numbers up to this one were given before, though nothing of them may be left."""
        self._next = max(self._next, number + 1)

    def add(self, entry: Entry) -> int:
        """Keep it, behind all others; its number."""
        with self._lock:
            number = self._next
            self._next += 1
            self._numbers.append(number)
            self._unsaved[number] = msgspec.json.encode(entry)
            if _observed(entry):
                self._observed.add(number)
            self._save()
            while len(self._numbers) > self._most:
                self._take_out(min(self._observed, default=self._numbers[0]))
                self.dropped += 1
            return number

    def save(self) -> None:
        """Try again to bring to the disk what is not there."""
        with self._lock:
            self._save()

    def waiting(self) -> tuple[int, ...]:
        """The entries' numbers."""
        with self._lock:
            return tuple(self._numbers)

    def read(self, number: int) -> Entry | None:
        """One entry; None for one that is not there (any more). One that cannot be read is set aside."""
        with self._lock:
            if number not in self._numbers:
                return None
            if number in self._unsaved:
                return entries.decode(self._unsaved[number])
            entry = read_back(self._path(number), entries, self._trouble)
            if entry is None:
                self._set_aside(number)
            return entry

    def remove(self, number: int) -> None:
        """It is written."""
        with self._lock:
            self._take_out(number)

    def set_aside(self, number: int) -> None:
        """It can never be written."""
        with self._lock:
            self._set_aside(number)

    def _save(self) -> None:
        for number, content in list(self._unsaved.items()):
            try:
                write_whole(self._path(number), content)
            except OSError as error:
                self._trouble(f"{self._path(number)} cannot be written: {error.strerror}")
                return
            del self._unsaved[number]

    def _take_out(self, number: int) -> None:
        """As good as gone once it is out of the list: what a crash leaves is written again, which changes nothing."""
        self._observed.discard(number)
        if number in self._numbers:
            self._numbers.remove(number)
        if self._unsaved.pop(number, None) is None:
            try:
                os.unlink(self._path(number))
            except FileNotFoundError:
                return
            except OSError as error:
                self._trouble(f"{self._path(number)} cannot be removed: {error.strerror}")

    def _set_aside(self, number: int) -> None:
        self.refused += 1
        try:
            if number not in self._unsaved:
                os.replace(self._path(number), f"{self._aside}/{_name(number)}")
                sync_directory(self._aside)
            for old in _numbers(self._aside)[:-MOST_ASIDE]:
                os.unlink(f"{self._aside}/{_name(old)}")
        except OSError as error:
            self._trouble(f"{self._path(number)} cannot be set aside: {error.strerror}")
        self._take_out(number)

    def _path(self, number: int) -> str:
        return f"{self._directory}/{_name(number)}"


def _observed(entry: Entry) -> bool:
    """Is it the record of what was not done?"""
    decision = entry.news.decision if isinstance(entry, Told) else None
    return decision is not None and decision.mode == "Observe"


def _name(number: int) -> str:
    return f"{number:012}.json"


def _numbers(directory: str) -> list[int]:
    """In order; what a crash left unfinished was told to nobody."""
    names = os.listdir(directory)
    return sorted(int(name[:12]) for name in names if _NAME.fullmatch(name))
