"""Writes a simulated node down in the shape of formats.md: one JSON object per snapshot, readings and identities."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.victims.kernel import PAGE, ZRAM_RATIO, Node
from bench.victims.names import cgroup_path
from bench.victims.workload import MIB, Container

# What a trace may lack ("unknown", never zero). A story keeps what its truth can be seen by.
OMISSIBLE = (
    "cgroups", "vmstat", "labels", "type", "memoryVolumes", "highBytes", "numa", "nodePressure", "pressure",
    "processes", "nice", "cpu", "events", "virtualBytes", "peakBytes", "zswapBytes", "protection",
    "slabReclaimableBytes", "inactiveFileBytes", "owner", "privileged",
)  # fmt: skip


def choose_omitted(rng: random.Random, keep: Iterable[str]) -> frozenset[str]:
    """Half of the traces are complete, a third lack some readings, the rest lack most of them."""
    style = rng.choices(("full", "some", "lean"), (5, 3, 2))[0]
    chance = {"full": 0.0, "some": 0.35, "lean": 0.8}[style]
    return frozenset(name for name in OMISSIBLE if rng.random() < chance) - frozenset(keep)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pages(x: float) -> int:
    return max(int(x // PAGE), 0) * PAGE


@dataclass(slots=True)
class Writer:
    """Snapshots of one node, from its clock's start `origin`."""

    node: Node
    name: str
    origin: datetime
    omitted: frozenset[str]
    fixed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def at(self, t: float) -> datetime:
        return self.origin + timedelta(seconds=t)

    def snapshot(self, t: float) -> dict[str, Any]:
        machine, count = self.node.machine, self.node.count
        line: dict[str, Any] = {
            "apiVersion": "memguard.io/snapshot/v1",
            "takenAt": stamp(self.at(t)),
            "node": self._node(t),
            "containers": [self._container(c, t) for c in self.node.containers if not c.hidden and c.alive(t)],
        }
        if "nodePressure" not in self.omitted:
            line["node"]["pressure"] = {
                "someTotalSeconds": round(count.some, 6),
                "fullTotalSeconds": round(count.full, 6),
            }
        if machine.numa > 1 and "numa" not in self.omitted:
            line["node"]["numa"] = [
                {"node": k, "totalBytes": _pages(self.node.part), "freeBytes": _pages(self.node.free(k))}
                for k in range(machine.numa)
            ]
        if "cgroups" not in self.omitted:
            line["cgroups"] = self._cgroups(t)
        if "vmstat" not in self.omitted:
            line["vmstat"] = {
                "pgscanDirect": int(count.scan_direct),
                "pgstealDirect": int(count.steal_direct),
                "pgscanKswapd": int(count.scan_kswapd),
                "pgstealKswapd": int(count.steal_kswapd),
                "workingsetRefaultFile": int(count.refault_file),
                "workingsetRefaultAnon": int(count.refault_anon),
                "oomKill": 0,
            }
        return line

    def _node(self, t: float) -> dict[str, Any]:
        node, machine = self.node, self.node.machine
        memory: dict[str, int] = {
            "totalBytes": machine.total,
            "availableBytes": _pages(node.available()),
            "freeBytes": _pages(node.free_total()),
            "swapTotalBytes": machine.swap_total,
            "swapFreeBytes": _pages(node.swap_free),
        }
        if "zswapBytes" not in self.omitted:
            memory["zswapBytes"] = _pages(sum(c.zswapped for c in node.containers))
        return {
            "name": self.name,
            "uptimeSeconds": round(machine.uptime + t, 2),
            "cpus": machine.cpus,
            "memory": memory,
        }

    def _cgroups(self, t: float) -> list[dict[str, Any]]:
        machine = self.node.machine
        rows = []
        for path, kind, hidden, limit in (
            ("kubepods.slice", "kubepods", False, machine.kubepods_max or machine.total),
            ("system.slice", "other", True, None),
        ):
            inside = [c for c in self.node.containers if c.hidden is hidden and c.used and (hidden or c.alive(t))]
            rows.append(
                {
                    "path": path,
                    "kind": kind,
                    "currentBytes": sum(_pages(c.current) for c in inside),
                    "maxBytes": limit,
                    "highBytes": None,
                    "unreclaimableBytes": sum(_pages(sum(c.used) - c.slab_now) for c in inside),
                }
            )
        return rows

    def _container(self, c: Container, t: float) -> dict[str, Any]:
        record = dict(self.fixed.get(c.id) or self.fixed.setdefault(c.id, self._identity(c)))
        record["memory"] = self._memory(c)
        omitted = self.omitted
        if "events" not in omitted:
            record["events"] = {"low": 0, "high": 0, "max": c.max_events, "oom": 0, "oomKill": 0, "oomGroupKill": 0}
        if "cpu" not in omitted:
            record["cpu"] = {"totalSeconds": round(c.cpu_total, 3), "recentCores": round(c.cpu_now, 4)}
        if "pressure" not in omitted:
            record["pressure"] = {
                "someTotalSeconds": round(c.stall_some, 6),
                "fullTotalSeconds": round(c.stall_full, 6),
            }
        if "processes" not in omitted:
            record["processes"] = self._processes(c, t)
        if self.node.machine.numa > 1 and "numa" not in omitted:
            record["numaBytes"] = {str(k): _pages(c.used[k] + c.file[k]) for k in range(self.node.machine.numa)}
        if c.volume and "memoryVolumes" not in omitted:
            record["memoryVolumes"] = [{"kind": c.volume, "bytes": _pages(c.shmem_now)}]
        return record

    def _memory(self, c: Container) -> dict[str, int]:
        file, omitted = sum(c.file), self.omitted
        shmem = _pages(c.shmem_now)
        memory = {
            "currentBytes": _pages(c.current),
            "anonBytes": _pages(c.anon_now - c.swap),
            "shmemBytes": shmem,
            "fileBytes": _pages(file) + shmem,  # as memory.stat has it: shmem is part of file
            "kernelBytes": _pages(c.kernel_now + c.slab_now + c.zswapped / ZRAM_RATIO),
            "swapBytes": _pages(c.swap),
        }
        if "inactiveFileBytes" not in omitted:
            memory["inactiveFileBytes"] = _pages(max(file - c.hot, 0.25 * file))
        if "slabReclaimableBytes" not in omitted:
            memory["slabReclaimableBytes"] = _pages(c.slab_now)
        if "zswapBytes" not in omitted:
            memory["zswapBytes"] = _pages(c.zswapped)
        if "virtualBytes" not in omitted:
            memory["virtualBytes"] = _pages(
                c.kind.virtual * c.anon_now + c.shmem_now + 200 * MIB * (c.kind.virtual > 2)
            )
        if "protection" not in omitted:
            memory["minBytes"], memory["lowBytes"] = c.min_bytes, c.low_bytes
        if "peakBytes" not in omitted:
            memory["peakBytes"] = _pages(c.peak)
        return memory

    def _identity(self, c: Container) -> dict[str, Any]:
        pod, omitted = c.pod, self.omitted
        record: dict[str, Any] = {
            "id": c.id,
            "cgroup": cgroup_path(pod.uid, pod.qos, c.id),
            "namespace": pod.namespace,
            "pod": pod.name,
            "podUid": pod.uid,
            "name": c.name,
            "qos": pod.qos,
            "priority": pod.priority,
            "static": pod.static,
            "restartPolicy": pod.restart_policy,
            "restartCount": c.restarts,
            "startedAt": stamp(self.at(-c.age)),
            "oomScoreAdj": c.adj,
            "requestBytes": c.request or 0,
            "limitBytes": c.limit,
        }
        optional: dict[str, Any] = {
            "owner": {"kind": pod.owner_kind, "name": pod.owner_name} if pod.owner_kind else None,
            "privileged": c.privileged,
            "nice": c.nice,
            "labels": pod.labels,
            "type": c.type,
            "highBytes": None,
        }
        record |= {key: value for key, value in optional.items() if key not in omitted}
        return record

    def _processes(self, c: Container, t: float) -> dict[str, int]:
        """Counts by state; whoever stalls sleeps uninterruptibly."""
        count = max(int(c.processes(t)), 1)
        running = min(count, round(c.cpu_now))
        waiting = min(count - running, round(count * c.stalled))
        return {"count": count, "running": running, "sleeping": count - running - waiting, "uninterruptible": waiting}
