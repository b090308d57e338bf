"""A node's hardware and set-up, and the kernel's counters."""

import math
from dataclasses import dataclass

from bench.victims.workload import MIB


@dataclass(slots=True)
class Machine:
    """The hardware and its set-up. `swap_kind`: none, disk, zram or zswap."""

    total: int
    cpus: int
    numa: int = 1
    swap_total: int = 0
    swap_kind: str = "none"
    uptime: float = 86400.0
    disk: float = 400.0 * MIB
    kubepods_max: int | None = None

    def watermarks(self) -> tuple[float, float, float]:
        """min, low, high of the whole node: min_free_kbytes and watermark_scale_factor as the kernel sets them."""
        lowest = min(math.sqrt(16 * self.total / 1024) * 1024, 256 * MIB)
        step = max(lowest / 4, 0.001 * self.total)
        return lowest, lowest + step, lowest + 2 * step


@dataclass(slots=True)
class Counters:
    """/proc/vmstat, in pages, and /proc/pressure/memory's totals, in seconds."""

    scan_direct: float = 0.0
    steal_direct: float = 0.0
    scan_kswapd: float = 0.0
    steal_kswapd: float = 0.0
    refault_file: float = 0.0
    refault_anon: float = 0.0
    some: float = 0.0
    full: float = 0.0
