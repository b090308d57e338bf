"""Numbers out of the bytes of kernel files, without building what nobody asked for.

`source` is only turned into text for an error: a path, or the KernelFile.
"""

from __future__ import annotations

from typing import Final, NoReturn

from memguard.errors import KernelFileError
from memguard.kernel.files import UNLIMITED

_SHOWN_BYTES: Final = 40
_KIB: Final = 1024
_LONGEST_DIGITS: Final = 20

Needle = tuple[bytes, int]
"""A key between its line's start and its value, and the length of that."""


def number(data: bytes, source: object) -> int:
    """The integer of a single-value file (memory.current). Raises KernelFileError."""
    try:
        value = int(data)
    except ValueError:
        fail(data, 0, source)
    return value if value >= 0 else fail(data, 0, source)


def size(data: bytes, source: object) -> int:
    """The bytes of a limit file (memory.max); "max" is UNLIMITED. Raises KernelFileError."""
    return UNLIMITED if data.startswith(b"max") else number(data, source)


def field(data: bytes, key: bytes, source: object) -> int | None:
    """The value of one `key value` line of a flat keyed file; None when there is no such line."""
    return cut(data, (_needle(key),), source)[0]


def keys(*names: str) -> tuple[Needle, ...]:
    """Names as `cut` searches them; give them in the kernel's order."""
    return tuple(_needle(name.encode()) for name in names)


def cut(data: bytes, wanted: tuple[Needle, ...], source: object) -> list[int | None]:
    """The values of several `key value` lines (`wanted` from `keys`), None for those that are not there.

    One pass when `wanted` stands in the file's own order; a line that comes earlier costs a second search.
    Raises KernelFileError when a value is no integer.
    """
    text = b"\n" + data
    find = text.find
    values: list[int | None] = []
    add = values.append
    at = 0
    for needle, length in wanted:
        start = find(needle, at)
        if start < 0 and (start := find(needle, 0, at + 1)) < 0:
            add(None)
            continue
        start += length
        at = find(b"\n", start)
        if at < 0:
            at = len(text)
        try:
            add(int(text[start:at]))
        except ValueError:
            fail(data, start - length, source)
    return values


def _needle(key: bytes) -> Needle:
    return b"\n%b " % key, len(key) + 2


def kib(text: bytes, needle: bytes, source: object) -> int | None:
    """The bytes of a line in kB; None when there is no such line.

    `text` is the file behind a newline, `needle` what stands before the value (`\\nMemFree:`).
    Raises KernelFileError when it is no size in kB.
    """
    start = text.find(needle)
    if start < 0:
        return None
    start += len(needle)
    end = text.find(b"\n", start)
    shown = text[start : end if end >= 0 else len(text)].removesuffix(b"kB").strip()
    value = digits(shown)
    if value is None:
        problem = f"{(needle.strip() + b' ' + shown)[:_SHOWN_BYTES]!r} is not a size in kB"
        raise KernelFileError(str(source), problem, line=text.count(b"\n", 0, start))
    return value * _KIB


def digits(text: bytes) -> int | None:
    """An unsigned decimal of at most 64 bits' length; None for anything else."""
    return int(text) if text.isdigit() and len(text) <= _LONGEST_DIGITS else None


def fail(data: bytes, at: int, source: object) -> NoReturn:
    """Raise the KernelFileError for what stands at offset `at`."""
    shown = data[at : at + _SHOWN_BYTES].split(b"\n", 1)[0]
    raise KernelFileError(str(source), f"{shown!r} is not a number", line=data.count(b"\n", 0, at) + 1)
