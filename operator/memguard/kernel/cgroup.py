"""One cgroup v2 directory: its memory readings, its state and its processes (admin-guide/cgroup-v2.rst).

Every reading is None when the cgroup is gone or this kernel has no such file, and raises KernelFileError when its
content cannot be understood. Sizes are bytes, "max" is UNLIMITED.
Files of the hot path stay open once used, the others are opened for each reading: an open file costs a descriptor
and, once read, a page of kernel memory. What a kill needs is opened ahead, unread (`prepare`).
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from memguard.core.model import Events, Stall
from memguard.kernel import members
from memguard.kernel.files import Directory, KernelFile
from memguard.kernel.memory_stat import MemoryStat, memory_events, memory_stat, unreclaimable
from memguard.kernel.parse import Needle, cut, fail, keys, number, size
from memguard.kernel.psi import read_stall

CGROUP_ROOT: Final = "/sys/fs/cgroup"

HOT: Final = frozenset(
    {
        "memory.current",
        "memory.stat",
        "memory.events",
        "memory.events.local",
        "memory.swap.current",
        "memory.high",
        "cgroup.events",
    }
)
"""What a guard reads again and again, of any container."""
SCAN: Final = HOT | {"memory.pressure", "memory.max", "cpu.stat", "cgroup.procs", "cgroup.stat"}
"""What a full pass over all containers reads each time."""
_KILL_FILES: Final = (*HOT, "memory.peak", "cgroup.freeze", "cgroup.procs", "cgroup.stat")
_USAGE: Final = keys("usage_usec")
_POPULATED: Final = keys("populated")
_FROZEN: Final = keys("frozen")
_DESCENDANTS: Final = keys("nr_descendants", "nr_dying_descendants")
_MICROSECONDS: Final = 1_000_000


class Descendants(msgspec.Struct, frozen=True):
    """cgroup.stat: cgroups below this one, and removed ones whose memory is still charged."""

    living: int
    dying: int


class Cgroup:
    """The cgroup at `path` below `root`; opened now, so a directory created anew later is never taken for it.

    `path` has no leading slash; "" is the root cgroup, which has no memory.current. `kept` names the files that stay
    open, with their pages, once read.
    """

    __slots__ = ("_current", "_directory", "_files", "_kept", "_ours", "_writers", "path", "root")

    def __init__(self, path: str, root: str = CGROUP_ROOT, *, kept: frozenset[str] = HOT) -> None:
        self._kept = kept
        self._ours: bool | None = None
        self.path = path
        self.root = root
        self._directory = Directory(f"{root}/{path}" if path else root)
        self._current = KernelFile("memory.current", self._directory)
        self._files = {"memory.current": self._current}
        self._writers: dict[str, KernelFile] = {}

    def __str__(self) -> str:
        return self._directory.path

    @property
    def directory(self) -> Directory:
        """Its open directory."""
        return self._directory

    @property
    def inode(self) -> int | None:
        """Its identity beside the path; None when it did not exist at construction."""
        return self._directory.inode

    @property
    def open_descriptors(self) -> int:
        """How many descriptors it holds now."""
        files = (*self._files.values(), *self._writers.values())
        return (self._directory.fd >= 0) + sum(file.is_open for file in files)

    def alive(self) -> bool:
        """Does the very directory that was opened still exist?"""
        return self._directory.alive()

    def close(self) -> None:
        """Give all descriptors back. A closed cgroup reads as gone."""
        self.rest()
        self._directory.close()

    def rest(self) -> None:
        """Give the files' descriptors back but stay the same cgroup."""
        for file in (*self._files.values(), *self._writers.values()):
            file.close()

    def file(self, name: str) -> KernelFile:
        """One of its files; for poll: its fileno, which opens it and keeps it open."""
        found = self._files.get(name)
        if found is None:
            found = self._files[name] = KernelFile(name, self._directory, keep=name in self._kept)
        return found

    def writer(self, name: str) -> KernelFile:
        """One of its files for writing, kept open.

        Non-blocking: memory.high does not reclaim in the write then, where the kernel knows how (about 6.16).
        """
        found = self._writers.get(name)
        if found is None:
            found = self._writers[name] = KernelFile(name, self._directory, os.O_WRONLY | os.O_NONBLOCK)
        return found

    def write(self, name: str, data: bytes) -> bool:
        """Write to one of its files; False when it is gone. Raises UnfitError when the kernel refuses."""
        return self.writer(name).write(data)

    def prepare(self) -> bool:
        """Open what a hold and a kill need, so that none of them opens anything; False when it is gone."""
        for name in _KILL_FILES:
            self.file(name).fileno()
        for name in ("cgroup.kill", "cgroup.freeze", "memory.high"):
            self.writer(name).fileno()
        self.holds_us()
        return self.alive()

    def holds_us(self) -> bool:
        """Is this very process in it? Asked once: a hold or a kill must not wait for cgroup.procs of a swarm."""
        if self._ours is None:
            self._ours = os.getpid() in (self.pids() or ())
        return self._ours

    def spend(self) -> None:
        """Stop sparing pages: what is prepared is read where it stands. For the kill, the last reading."""
        for file in self._files.values():
            file.keep = True

    def read(self, name: str) -> bytes | None:
        """The raw content of one of its files."""
        return self.file(name).read()

    # --- memory

    def current(self) -> int | None:
        """memory.current: live, with page cache."""
        data = self._current.read()
        return None if data is None else number(data, self._current)

    def unreclaimable(self) -> int | None:
        """What reclaim cannot give back, from live memory.current (braking.md: never stat's anon at a wake-up)."""
        current = self.current()
        file = self.file("memory.stat")
        data = file.read()
        return None if current is None or data is None else unreclaimable(data, current, file)

    def stat(self) -> MemoryStat | None:
        """memory.stat's needed fields: the dearest reading (docs/braking.md), so only for those who matter."""
        file = self.file("memory.stat")
        data = file.read()
        return None if data is None else memory_stat(data, file)

    def events(self) -> Events | None:
        """memory.events: counts of this cgroup and everything below it."""
        return self._events("memory.events")

    def events_local(self) -> Events | None:
        """memory.events.local: without cgroups below; its `high` is the line's bell."""
        return self._events("memory.events.local")

    def pressure(self) -> Stall | None:
        """memory.pressure's totals."""
        return read_stall(self.file("memory.pressure"))

    def max(self) -> int | None:
        """memory.max."""
        return self._size("memory.max")

    def high(self) -> int | None:
        """memory.high."""
        return self._size("memory.high")

    def min(self) -> int | None:
        """memory.min."""
        return self._size("memory.min")

    def low(self) -> int | None:
        """memory.low."""
        return self._size("memory.low")

    def peak(self) -> int | None:
        """memory.peak (kernel 5.19)."""
        return self._size("memory.peak")

    def swap_current(self) -> int | None:
        """memory.swap.current: with what zswap holds."""
        return self._size("memory.swap.current")

    def swap_max(self) -> int | None:
        """memory.swap.max."""
        return self._size("memory.swap.max")

    def zswap_current(self) -> int | None:
        """memory.zswap.current: compressed size (kernel 5.19)."""
        return self._size("memory.zswap.current")

    def oom_group(self) -> bool | None:
        """memory.oom.group: does the kernel kill it whole?"""
        return self._flag("memory.oom.group")

    # --- CPU and state

    def cpu_seconds(self) -> float | None:
        """cpu.stat usage_usec: CPU time used in all."""
        file = self.file("cpu.stat")
        data = file.read()
        usage = None if data is None else cut(data, _USAGE, file)[0]
        return None if usage is None else usage / _MICROSECONDS

    def nice(self) -> int | None:
        """cpu.weight.nice, -20..19."""
        data = self.read("cpu.weight.nice")
        if data is None:
            return None
        try:
            return int(data)
        except ValueError:
            fail(data, 0, self.file("cpu.weight.nice"))

    def populated(self) -> bool | None:
        """cgroup.events: has it, or anything below it, a living process?"""
        return self._state(_POPULATED)

    def frozen(self) -> bool | None:
        """cgroup.events: does everything in it stand still?"""
        return self._state(_FROZEN)

    def freeze_requested(self) -> bool | None:
        """cgroup.freeze: has somebody asked for it to stand still?"""
        return self._flag("cgroup.freeze")

    def descendants(self) -> Descendants | None:
        """cgroup.stat."""
        data = self.read("cgroup.stat")
        if data is None:
            return None
        living, dying = cut(data, _DESCENDANTS, self.file("cgroup.stat"))
        return Descendants(living or 0, dying or 0)

    def cpuset_mems(self) -> str | None:
        """cpuset.mems.effective: the NUMA nodes it may use, as the kernel writes them ("0-3").

        None also where the cpuset controller is off: then nothing restricts it.
        """
        data = self.read("cpuset.mems.effective")
        return None if data is None else data.decode("ascii", "replace").strip()

    def numa_bytes(self) -> dict[int, int] | None:
        """memory.numa_stat: what it holds on each NUMA node (anon, file, kernel stacks and tables, slab)."""
        from memguard.kernel.numa import numa_totals

        data = self.read("memory.numa_stat")
        return None if data is None else numa_totals(data, self.file("memory.numa_stat"))

    # --- processes

    def pids(self) -> list[int] | None:
        """Its processes' ids, with those in cgroups nested below it; a pid of another namespace (0) is left out."""
        file = self.file("cgroup.procs")
        data = self.read("cgroup.procs")
        if data is None:
            # A threaded cgroup lists its processes at its domain root only.
            return [] if file.absence == "unsupported" else None
        found = members.parse_pids(data, file)
        below = self.descendants()
        if below is None or below.living:
            found += members.nested_pids(self._directory)
        return found

    def _size(self, name: str) -> int | None:
        file = self.file(name)
        data = file.read()
        return None if data is None else size(data, file)

    def _flag(self, name: str) -> bool | None:
        data = self.read(name)
        return None if data is None else number(data, self.file(name)) != 0

    def _events(self, name: str) -> Events | None:
        file = self.file(name)
        data = file.read()
        return None if data is None else memory_events(data, file)

    def _state(self, key: tuple[Needle, ...]) -> bool | None:
        data = self.read("cgroup.events")
        value = None if data is None else cut(data, key, self.file("cgroup.events"))[0]
        return None if value is None else value != 0
