"""/proc/meminfo: available memory on the tick, everything in a snapshot (Documentation/filesystems/proc.rst).

One pread is 6 us natively, 28 us in virtual time.
"""

from __future__ import annotations

from typing import Final

import msgspec

from memguard.errors import KernelFileError
from memguard.kernel.files import KernelFile
from memguard.kernel.parse import kib

_KIB: Final = 1024
# MemTotal, MemFree and MemAvailable are the first three lines, 28 bytes each.
_HEAD_BYTES: Final = 96


class Meminfo(msgspec.Struct, frozen=True, gc=False):
    """/proc/meminfo in bytes; None where this kernel does not write the line.

    `zswap_bytes` is what zswap's pool takes, `zswapped_bytes` what is held in it. HugeTLB pages are no part of
    MemAvailable.
    """

    total_bytes: int
    free_bytes: int
    available_bytes: int
    buffers_bytes: int | None = None
    cached_bytes: int | None = None
    unevictable_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    zswap_bytes: int | None = None
    zswapped_bytes: int | None = None
    dirty_bytes: int | None = None
    writeback_bytes: int | None = None
    anon_bytes: int | None = None
    shmem_bytes: int | None = None
    slab_reclaimable_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    kernel_stack_bytes: int | None = None
    page_tables_bytes: int | None = None
    hugetlb_bytes: int | None = None


# In the order of the struct's fields, which is the kernel's.
_LINES: Final = tuple(
    b"\n%b:" % name.encode()
    for name in (
        "MemTotal",
        "MemFree",
        "MemAvailable",
        "Buffers",
        "Cached",
        "Unevictable",
        "SwapTotal",
        "SwapFree",
        "Zswap",
        "Zswapped",
        "Dirty",
        "Writeback",
        "AnonPages",
        "Shmem",
        "SReclaimable",
        "SUnreclaim",
        "KernelStack",
        "PageTables",
        "Hugetlb",
    )
)
_BRIEF: Final = _LINES[:9]


class MeminfoFile:
    """/proc/meminfo held open."""

    __slots__ = ("_file",)

    def __init__(self, proc: str = "/proc") -> None:
        self._file = KernelFile(f"{proc}/meminfo")

    def available(self) -> int:
        """MemAvailable in bytes. Raises KernelFileError."""
        data = self._file.head(_HEAD_BYTES) or b""
        at = data.find(b"MemAvailable:")
        end = data.find(b"kB", at)
        try:
            return int(data[at + 13 : end]) * _KIB
        except ValueError:
            raise KernelFileError(str(self._file), "no MemAvailable among the first lines", line=3) from None

    def read(self) -> Meminfo:
        """Everything. Raises KernelFileError."""
        return parse_meminfo(self._file.read() or b"", self._file)

    def brief(self) -> Meminfo:
        """Up to zswap: what a decision looks at, at half the cost of everything. Raises KernelFileError."""
        return parse_meminfo(self._file.read() or b"", self._file, _BRIEF)

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


def parse_meminfo(data: bytes, source: object, lines: tuple[bytes, ...] = _LINES) -> Meminfo:
    """The content of a meminfo file, or its first `lines`. Raises KernelFileError where a required one is missing."""
    text = b"\n" + data
    values = [kib(text, line, source) for line in lines]
    total, free, available = values[:3]
    if total is None or free is None or available is None:
        raise KernelFileError(str(source), "MemTotal, MemFree or MemAvailable is missing")
    return Meminfo(total, free, available, *values[3:])
