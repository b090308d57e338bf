"""The machine around the containers: how much is left, and the node part of a snapshot."""

from __future__ import annotations

import os
import time
from datetime import datetime

from memguard.core.domain import reserve
from memguard.core.model import Cgroup as CgroupReading
from memguard.core.model import Container, Node, NodeMemory, Snapshot, Stall, Vmstat
from memguard.core.policy import Settings
from memguard.kernel import reading
from memguard.kernel.cgroup import SCAN, Cgroup
from memguard.kernel.files import UNLIMITED, KernelFile
from memguard.kernel.host import cpus
from memguard.kernel.meminfo import MeminfoFile
from memguard.kernel.numa import NumaFiles, numa_nodes
from memguard.kernel.paths import find_kubepods
from memguard.kernel.psi import read_stall
from memguard.kernel.vmstat import VmstatFile


class Scene:
    """Readings of the node and of kubepods, their files held open."""

    def __init__(self, cgroup_root: str, proc_root: str, settings: Settings, sys_root: str = "/sys") -> None:
        self._meminfo = MeminfoFile(proc_root)
        self._pressure = KernelFile(f"{proc_root}/pressure/memory")
        self._vmstat = VmstatFile(proc_root)
        self.settings, self._cgroup_root = settings, cgroup_root
        self._name, self._cpus = os.uname().nodename, cpus()
        self.has_numa = len(numa_nodes(sys_root)) > 1
        self._numa = NumaFiles(sys_root) if self.has_numa else None
        self._kubepods: Cgroup | None = None
        #: the boundary that the headroom is measured from
        self.nearest = "node"
        self.refresh()

    def refresh(self) -> None:
        """What changes rarely: kubelet starts after us or sets another limit, swap comes on, memory is plugged in."""
        memory = self._meminfo.read()
        self.total_bytes = memory.total_bytes
        self.has_swap = bool(memory.swap_total_bytes)
        self.node_reserve_bytes = self.reserve_bytes = reserve(self.total_bytes, self.settings)
        if self._kubepods is not None and not self._kubepods.alive():
            self._kubepods.close()
            self._kubepods = None
        if self._kubepods is None:
            path = find_kubepods(self._cgroup_root)
            self._kubepods = Cgroup(path, self._cgroup_root, kept=SCAN) if path else None
        limit = self._kubepods.max() if self._kubepods else None
        self._kubepods_limit = UNLIMITED if limit is None else limit
        self._kubepods_reserve = reserve(self._kubepods_limit, self.settings)

    def headroom(self) -> int:
        """Bytes above the nearest reserve, the node's or kubepods' (which is `reserve_bytes` from now on).

        A read or two, most of what a tick costs.
        """
        node, kubepods = self._meminfo.available() - self.node_reserve_bytes, self._kubepods_headroom()
        self.nearest = "node" if node <= kubepods else "kubepods"
        self.reserve_bytes = self.node_reserve_bytes if node <= kubepods else self._kubepods_reserve
        return min(node, kubepods)

    def available(self) -> int:
        """Bytes available on the node."""
        return self._meminfo.available()

    def _kubepods_headroom(self) -> int:
        """The cheap lower bound by memory.current first; memory.stat only where page cache fills the slice."""
        if self._kubepods is None or self._kubepods_limit == UNLIMITED:
            return UNLIMITED
        limit, kept, current = self._kubepods_limit, self._kubepods_reserve, self._kubepods.current()
        if current is None:
            return UNLIMITED
        if limit - current > kept:
            return limit - current - kept
        used = self._kubepods.unreclaimable()
        return UNLIMITED if used is None else limit - used - kept

    def snapshot(
        self,
        taken_at: datetime,
        containers: tuple[Container, ...],
        pods: tuple[CgroupReading, ...],
        *,
        with_vmstat: bool,
    ) -> Snapshot:
        """The snapshot of these containers; `with_vmstat` also reads /proc/vmstat (120 us), for stalls."""
        return Snapshot(
            taken_at=taken_at,
            node=self._node(),
            containers=containers,
            cgroups=(*self._kubepods_reading(), *pods),
            vmstat=self.vmstat() if with_vmstat else None,
        )

    def memory(self) -> NodeMemory:
        """/proc/meminfo now."""
        return reading.node_memory(self._meminfo.brief())

    def vmstat(self) -> Vmstat | None:
        """Reclaim counters and the kernel's own kills."""
        return self._vmstat.read()

    def stall(self) -> Stall | None:
        """The node's stall totals; None with psi=0."""
        return read_stall(self._pressure)

    def _node(self) -> Node:
        return Node(
            name=self._name,
            uptime_seconds=time.clock_gettime(time.CLOCK_BOOTTIME),  # without opening /proc/uptime
            cpus=self._cpus,
            memory=self.memory(),
            pressure=self.stall(),
            numa=reading.numa_nodes(self._numa.read()) if self._numa else (),
        )

    def _kubepods_reading(self) -> tuple[CgroupReading, ...]:
        if self._kubepods is None or reading.finite(self._kubepods.max()) is None:
            return ()  # without a limit it is no boundary, and need not be read
        found = reading.boundary(self._kubepods)
        return (found,) if found else ()
