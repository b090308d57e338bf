"""Files that are whole or not there: written beside, synced, and moved into place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import msgspec

from memguard.core.model import UNREADABLE

T = TypeVar("T")

#: What a write that was cut short leaves behind.
UNFINISHED = ".unfinished"


def write_whole(path: str, content: bytes) -> None:
    """The file holds this, or after an OSError, a crash or a power cut what it held before."""
    unfinished = path + UNFINISHED
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(fd, content) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(unfinished, path)
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """What was moved into it, or taken out of it, stays so."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_back(path: str, decoder: msgspec.json.Decoder[T], trouble: Callable[[str], None]) -> T | None:
    """What a file holds; None where there is none, or none that can be read, which `trouble` is told."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        trouble(f"{path} cannot be read: {error.strerror}")
        return None
    try:
        return decoder.decode(content)
    except UNREADABLE as error:
        trouble(f"{path} is broken and ignored: {error}")
        return None
