"""The files that a snapshot is read from, held open between two of them."""

from __future__ import annotations

from collections.abc import Iterable

from memguard.kernel.cgroup import CGROUP_ROOT, SCAN, Cgroup
from memguard.kernel.files import KernelFile
from memguard.kernel.meminfo import MeminfoFile
from memguard.kernel.numa import NumaFiles
from memguard.kernel.paths import is_kubepods, is_pod
from memguard.kernel.tree import Change
from memguard.kernel.vmstat import VmstatFile


class Readers:
    """Everything a snapshot is read from, held open: the machine's files, containers and the boundaries above them."""

    __slots__ = (
        "_cpu",
        "boundaries",
        "containers",
        "meminfo",
        "node_name",
        "numa",
        "pressure",
        "proc",
        "root",
        "vmstat",
    )

    def __init__(self, root: str = CGROUP_ROOT, proc: str = "/proc", sys: str = "/sys", *, node_name: str = "") -> None:
        self.root = root
        self.proc = proc
        self.node_name = node_name
        self.meminfo = MeminfoFile(proc)
        self.vmstat = VmstatFile(proc)
        self.pressure = KernelFile(f"{proc}/pressure/memory")
        self.numa = NumaFiles(sys)
        self.containers: dict[str, Cgroup] = {}
        self.boundaries: dict[str, Cgroup] = {}
        #: seconds since the epoch and CPU seconds of each container at the last full reading
        self._cpu: dict[str, tuple[float, float]] = {}

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow the tree: what came is opened, what went is closed."""
        for change in changes:
            self.remove(change.path)
            if change.kind == "added":
                self.add(change.path)

    def add(self, path: str) -> None:
        """Read this cgroup from now on: kubepods and pods as boundaries, anything else as a container."""
        place = self.boundaries if is_kubepods(path) or is_pod(path) else self.containers
        if path not in place:
            place[path] = Cgroup(path, self.root, kept=SCAN)

    def remove(self, path: str) -> None:
        """Stop reading it."""
        self._cpu.pop(path, None)
        for place in (self.containers, self.boundaries):
            cgroup = place.pop(path, None)
            if cgroup is not None:
                cgroup.close()

    def recent_cores(self, path: str, now: float, total_seconds: float) -> float | None:
        """CPU seconds per second since the last full reading of it; None the first time."""
        before = self._cpu.get(path)
        self._cpu[path] = (now, total_seconds)
        if before is None or now <= before[0]:
            return None
        return max(total_seconds - before[1], 0.0) / (now - before[0])

    def close(self) -> None:
        """Give every descriptor back."""
        for path in (*self.containers, *self.boundaries):
            self.remove(path)
        self.meminfo.close()
        self.vmstat.close()
        self.pressure.close()
        self.numa.close()
