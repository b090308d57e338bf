"""NUMA: what each node has, and what a cgroup holds on each (node*/meminfo, memory.numa_stat).

A full node is normal: it is a domain only for containers that may not use the others (cpuset.mems.effective).
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from memguard.errors import KernelFileError
from memguard.kernel.files import KernelFile
from memguard.kernel.parse import digits, kib

# shmem and the LRU lines overlap with these; slab and stacks are written in bytes like the rest.
_COUNTED: Final = frozenset(
    {b"anon", b"file", b"kernel_stack", b"pagetables", b"sec_pagetables", b"slab_reclaimable", b"slab_unreclaimable"}
)
_LINES: Final = (b" MemTotal:", b" MemFree:", b" Active(file):", b" Inactive(file):", b" SReclaimable:")


class NumaReading(msgspec.Struct, frozen=True, gc=False):
    """One node's memory in bytes; file pages and reclaimable slab are what it can give back."""

    node: int
    total_bytes: int
    free_bytes: int
    active_file_bytes: int
    inactive_file_bytes: int
    slab_reclaimable_bytes: int


class NumaFiles:
    """node*/meminfo of all nodes, held open."""

    __slots__ = ("_files",)

    def __init__(self, sys: str = "/sys") -> None:
        self._files = [(node, KernelFile(f"{sys}/devices/system/node/node{node}/meminfo")) for node in numa_nodes(sys)]

    def read(self) -> tuple[NumaReading, ...]:
        """Every node that is online and has memory; empty on a kernel without NUMA. Raises KernelFileError.

        One without memory (CPUs or a device alone) is none that memory.numa_stat and cpuset.mems.effective know.
        """
        contents = ((node, file, file.read()) for node, file in self._files)
        readings = (parse_node(data, node, file) for node, file, data in contents if data is not None)
        return tuple(found for found in readings if found.total_bytes)

    def close(self) -> None:
        """Give the descriptors back."""
        for _, file in self._files:
            file.close()


def numa_nodes(sys: str = "/sys") -> list[int]:
    """Numbers of the nodes that this machine has, ascending."""
    try:
        names = os.listdir(f"{sys}/devices/system/node")
    except OSError:
        return []
    return sorted(int(name[4:]) for name in names if name.startswith("node") and name[4:].isdecimal())


def parse_node(data: bytes, node: int, source: object) -> NumaReading:
    """The content of a node's meminfo: `Node 0 MemTotal: 4548828 kB`. Raises KernelFileError."""
    text = b"\n" + data
    total, free, active, inactive, reclaimable = (kib(text, line, source) for line in _LINES)
    if total is None or free is None or active is None or inactive is None:
        raise KernelFileError(str(source), "MemTotal, MemFree, Active(file) or Inactive(file) is missing")
    return NumaReading(node, total, free, active, inactive, reclaimable or 0)


def numa_totals(data: bytes, source: object) -> dict[int, int]:
    """memory.numa_stat: bytes on each node, from lines like `anon N0=4096 N1=0`. Raises KernelFileError."""
    totals: dict[int, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        key, _, rest = line.partition(b" ")
        if key in _COUNTED:
            for part in rest.split():
                node, value = _pair(part, source, number)
                totals[node] = totals.get(node, 0) + value
    return totals


def _pair(part: bytes, source: object, line: int) -> tuple[int, int]:
    name, _, held = part.partition(b"=")
    node, value = digits(name.removeprefix(b"N")), digits(held)
    if node is None or value is None:
        raise KernelFileError(str(source), f"{part[:40]!r} is not `N<node>=<bytes>`", line=line)
    return node, value
