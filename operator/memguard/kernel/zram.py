"""zram devices: memory that swap takes while it seems to be free (Documentation/admin-guide/blockdev/zram.rst).

Its pages are charged to no cgroup. Nobody but the tests reads it yet: it is one of the sources that the mission's issue
"First light" asks for, and no decision looks at it (free swap counts as far as it helps, core/pressure.py).
"""

from __future__ import annotations

import os

import msgspec

from memguard.errors import KernelFileError
from memguard.kernel.files import read_once


class Zram(msgspec.Struct, frozen=True):
    """One device's mm_stat: what it holds, what that became, and what it takes of memory in all."""

    device: str
    original_bytes: int
    compressed_bytes: int
    used_bytes: int


def read_zram(sys: str = "/sys") -> tuple[Zram, ...]:
    """Every zram device that is set up. Raises KernelFileError."""
    try:
        names = sorted(name for name in os.listdir(f"{sys}/block") if name.startswith("zram"))
    except OSError:
        return ()
    return tuple(found for name in names if (found := _device(sys, name)) is not None)


def _device(sys: str, name: str) -> Zram | None:
    source = f"{sys}/block/{name}/mm_stat"
    data = read_once(source)
    return parse_mm_stat(data, name, source) if data else None


def parse_mm_stat(data: bytes, device: str, source: object) -> Zram:
    """The content of an mm_stat: original, compressed, used, ... in bytes. Raises KernelFileError."""
    try:
        original, compressed, used = map(int, data.split()[:3])
    except ValueError:
        raise KernelFileError(str(source), "not `original compressed used ...`", line=1) from None
    return Zram(device, original, compressed, used)
