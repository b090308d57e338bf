"""/proc/vmstat: the counters that tell failing reclaim from healthy cache churn."""

from __future__ import annotations

from typing import Final

from memguard.core.model import Vmstat
from memguard.kernel.files import KernelFile
from memguard.kernel.parse import cut, keys

# In the order in which kernel 6.12 writes them.
_KEYS: Final = keys(
    "workingset_refault_anon",
    "workingset_refault_file",
    "pgsteal_kswapd",
    "pgsteal_direct",
    "pgscan_kswapd",
    "pgscan_direct",
    "oom_kill",
)


class VmstatFile:
    """/proc/vmstat held open."""

    __slots__ = ("_file",)

    def __init__(self, proc: str = "/proc") -> None:
        self._file = KernelFile(f"{proc}/vmstat")

    def read(self) -> Vmstat | None:
        """Cumulative pages (and kills); None where there is no such file. Raises KernelFileError."""
        data = self._file.read()
        return None if data is None else parse_vmstat(data, self._file)

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


def parse_vmstat(data: bytes, source: object) -> Vmstat:
    """The content of a vmstat file; what this kernel does not count is None. Raises KernelFileError."""
    refault_anon, refault_file, steal_kswapd, steal_direct, scan_kswapd, scan_direct, kills = cut(data, _KEYS, source)
    return Vmstat(
        pgscan_direct=scan_direct,
        pgsteal_direct=steal_direct,
        pgscan_kswapd=scan_kswapd,
        pgsteal_kswapd=steal_kswapd,
        workingset_refault_file=refault_file,
        workingset_refault_anon=refault_anon,
        oom_kill=kills,
    )
