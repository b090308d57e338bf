"""NUMA: what each node has, and what a cgroup holds on each (node*/meminfo, memory.numa_stat).

A full node is normal: it is a domain only for containers that may not use the others (cpuset.mems.effective).
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from memguard.errors import KernelFileError
from memguard.kernel.files import KernelFile
from memguard.kernel.parse import digits

_KIB: Final = 1024
# shmem and the LRU lines overlap with these; slab and stacks are written in bytes like the rest.
_COUNTED: Final = frozenset(
    {b"anon", b"file", b"kernel_stack", b"pagetables", b"sec_pagetables", b"slab_reclaimable", b"slab_unreclaimable"}
)


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
        """Every node that is online; empty on a kernel without NUMA."""
        readings = ((node, file, file.read()) for node, file in self._files)
        return tuple(parse_node(data, node, file) for node, file, data in readings if data is not None)

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
    return NumaReading(
        node=node,
        total_bytes=_kib(data, b"MemTotal", source),
        free_bytes=_kib(data, b"MemFree", source),
        active_file_bytes=_kib(data, b"Active(file)", source),
        inactive_file_bytes=_kib(data, b"Inactive(file)", source),
        slab_reclaimable_bytes=_kib(data, b"SReclaimable", source, optional=True),
    )


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


def _kib(data: bytes, key: bytes, source: object, *, optional: bool = False) -> int:
    start = data.find(b" %b:" % key)
    if start < 0 and optional:
        return 0
    end = data.find(b"\n", start)
    value = digits(data[start + len(key) + 2 : end if end >= 0 else len(data)].removesuffix(b"kB").strip())
    if start < 0 or value is None:
        raise KernelFileError(str(source), f"no {key.decode()} in kB")
    return value * _KIB
