"""What peers read and no snapshot holds: processes' oom_score, page scans and the stalls of whole slices.

Each row stands beside the snapshot of the same number; its lists are in the order of that snapshot's containers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guest import cgroups, node

from memguard.core.model import Snapshot

#: The slices whose stalls oomd, systemd-oomd and Talos wait for.
STALLS = {"pods": "kubepods.slice", "system": "system.slice"}


class Beside:
    """Reads, and keeps what it has read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []

    def read(self, snapshot: Snapshot) -> None:
        """One more row."""
        paths = [self.root / c.cgroup for c in snapshot.containers]
        self.rows.append(
            {
                "anonBytes": node.meminfo()["AnonPages"],
                "worst": [_worst(path) for path in paths],
                "scanned": [cgroups.keyed(path / "memory.stat").get("pgscan", 0) for path in paths],
                "stalls": {name: _stalls(self.root / path / "memory.pressure") for name, path in STALLS.items()},
            }
        )


def _worst(cgroup: Path) -> list[int] | None:
    """oom_score and memory (resident, swapped, page tables) of the process that the kernel would take."""
    scores = [(int(score), pid) for pid in cgroups.pids(cgroup) if (score := cgroups.read(_proc(pid) / "oom_score"))]
    if not scores:
        return None
    score, pid = max(scores)
    status = cgroups.read(_proc(pid) / "status") or ""
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in status.splitlines())
           if name in ("VmRSS", "VmSwap", "VmPTE")}  # fmt: skip
    return [score, 1024 * sum(kib.values())]


def _proc(pid: int) -> Path:
    return Path("/proc") / str(pid)


def _stalls(path: Path) -> list[float]:
    """Seconds of `some` and `full` so far."""
    lines = (cgroups.read(path) or "").splitlines()
    return [int(line.rpartition("total=")[2]) / 1e6 for line in lines]
