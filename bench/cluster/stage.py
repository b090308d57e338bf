"""The cluster side of a run: kubelet and memguard as the guard wants them, the pods, and what became of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cluster import conductor
from bench.cluster.guards import Guard
from bench.cluster.incidents import (
    CACHE,
    INNOCENT,
    INNOCENTS,
    MIB,
    SERVICE,
    SPACE,
    Incident,
    cache_mib,
    innocents,
    service_mib,
)
from bench.cluster.samples import Seen, Watched, unpacked
from e2e.deployment import Deployment
from e2e.helm import RELEASE
from e2e.lab.errors import LabError
from e2e.lab.kubelet import FILES
from e2e.lab.lab import Lab
from e2e.lab.node import LabNode
from e2e.lab.specs import NodeSpec
from e2e.workloads import Manifest, Shop, eventually, policy

#: A run meets kubelet's poll, every 10 s, at one of these times after its last look.
PHASES_SECONDS = (0.0, 3.3, 6.7)
#: Somebody may act when all is over.
AFTERMATH_SECONDS = 3.0
#: Beside the run's own time: the conductor waits for the innocents, for kubelet and at the gate.
CONDUCTOR_SECONDS = 400.0
START_SECONDS = 240
VOLUMES = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/state"
FILE = f"{FILES}/kubelet.json"
#: Over the file that came with the node's disk: gone with the next boot. MemoryQoS takes back nothing when it is off.
CONFIGURE = f"""
cat > /run/kubelet.json <<'CONFIGURATION'
%s
CONFIGURATION
mountpoint -q {FILE} || mount --bind /run/kubelet.json {FILE}
find /sys/fs/cgroup/kubepods.slice -name memory.min -o -name memory.low | while read -r file; do echo 0 > "$file"; done
systemctl restart kubelet
"""
UNCONFIGURE = f"if mountpoint -q {FILE}; then umount {FILE} && systemctl restart kubelet; fi"
SCOPES = "find /sys/fs/cgroup/kubepods.slice -name 'cri-containerd-*.scope' -type d"
#: The pods of the innocents and the leaks, by their Deployments.
Pods = Mapping[str, dict[str, Any]]


class Stage:
    """Where the incidents happen: one guard at a time, and the innocents of one node."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.memguard = lab, Deployment(lab)
        self.shop = Shop(lab, SPACE)
        self._guard: Guard | None = None

    def enter(self, guard: Guard, nodes: Iterable[str]) -> None:
        """Have these nodes guarded so; no pod of a run before is left."""
        self.shop.close()
        self._uninstall()
        for name in nodes:
            self._configure(self.lab.node(name), guard)
        if guard.memguard:
            self.memguard.install()
        self._guard = guard

    def furnish(self, spec: NodeSpec) -> None:
        """Put the innocents on a node, and on no other."""
        self.shop.close()
        self.shop.open()
        if self._guard and self._guard.memguard:
            self.shop.make(policy("enforce", SPACE, mode="Enforce", limit={"guard": True}))
        self._open(innocents(spec))

    def leave(self) -> None:
        """As it was before any guard."""
        self.shop.close()
        self._uninstall()
        for node in self.lab.nodes:
            node.run(UNCONFIGURE)

    def run(self, incident: Incident, repeat: int) -> Seen:
        """Have it happen."""
        self._open(incident.manifests())
        try:
            pods = self._pods()
            watched = self._watched(incident, pods)
            told = self._conducted(incident, watched, pods, self._phase(repeat))
            rows = unpacked(told.pop("rows"), watched.columns, told["beganNs"])
            seen = Seen(incident=incident, watched=watched, rows=rows, told=told)
            return replace(seen, replaced=self._replaced(seen, pods))
        finally:
            self._close(incident)

    def _phase(self, repeat: int) -> float | None:
        """Seconds after a look of kubelet's; None where it does not matter."""
        evicts = self._guard is not None and self._guard.evicts
        return PHASES_SECONDS[repeat % len(PHASES_SECONDS)] if evicts else None

    def _configure(self, node: LabNode, guard: Guard) -> None:
        wanted = guard.configuration(node.spec)
        node.run(CONFIGURE % json.dumps(wanted), timeout_s=120)

        def has_it() -> bool:
            try:
                has = json.loads(node.kubelet("/configz"))["kubeletconfig"]
            except LabError:
                return False
            told = ("evictionHard", "evictionSoft", "featureGates")
            return all((wanted.get(name) or {}) == (has.get(name) or {}) for name in told)

        eventually(has_it, f"{node.name}'s kubelet has the configuration of {guard.label}", START_SECONDS)

    def _uninstall(self) -> None:
        self.memguard.helm.run("uninstall", RELEASE, "--ignore-not-found", "--wait", "--timeout=5m")

    def _open(self, deployments: list[Manifest]) -> None:
        """Make them, and wait until all that there are run, also those of a run before."""
        if deployments:
            self.shop.make(*deployments)
        every = ("deployment", "--all", "--for=condition=Available", f"--timeout={START_SECONDS}s")
        self.shop.kubectl("wait", *every)

    def _close(self, incident: Incident) -> None:
        """The leaks are gone, and what they held."""
        if incident.leaks:
            self.shop.kubectl("delete", "deployment", *incident.culprits, "--cascade=foreground", "--timeout=120s")

    def _pods(self) -> Pods:
        """Those that are to stay, by their Deployment's name."""
        living = (
            pod for pod in self.shop.items("pods")
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        )  # fmt: skip
        return {pod["metadata"]["labels"]["app"]: pod for pod in living}

    def _watched(self, incident: Incident, pods: Pods) -> Watched:
        node = self.lab.node(incident.node.name)
        scopes = {Path(line).stem.removeprefix("cri-containerd-"): line for line in node.run(SCOPES).split()}

        def of(name: str) -> str:
            return scopes[_container_id(pods[name]["status"]["containerStatuses"][0])]

        statuses = self.memguard.statuses(node.name) if self._guard and self._guard.memguard else []
        guard = next((scopes[_container_id(one)] for one in statuses if one["name"] == "guard"), None)
        culprits = tuple(map(of, incident.culprits))
        return Watched(culprits=culprits, innocents={name: of(name) for name in INNOCENTS}, guard=guard)

    def _conducted(self, incident: Incident, watched: Watched, pods: Pods, phase: float | None) -> dict[str, Any]:
        """What the conductor told."""
        order = {
            "steady": {
                f"{watched.innocents[SERVICE]}/memory.current": service_mib(incident.node) * MIB,
                f"{watched.innocents[CACHE]}/memory.current": cache_mib(incident.node) * MIB,
            },
            "columns": watched.columns,
            "culprits": watched.culprits,
            "gates": [f"{_volume(pods[name])}/gate" for name in incident.culprits],
            "innocents": watched.innocents,
            "innocent": watched.innocents[INNOCENT],
            "latencyReport": f"{_volume(pods[INNOCENT])}/latency.json",
            "guard": watched.guard,
            "phaseSeconds": phase,
            "seconds": incident.seconds,
            "aftermathSeconds": AFTERMATH_SECONDS,
        }
        source = Path(conductor.__file__).read_text()
        script = f"python3 - {shlex.quote(json.dumps(order))} <<'CONDUCTOR'\n{source}\nCONDUCTOR"
        node = self.lab.node(incident.node.name)
        told: dict[str, Any] = json.loads(node.run(script, timeout_s=incident.seconds + CONDUCTOR_SECONDS))
        return told

    def _replaced(self, seen: Seen, before: Pods) -> frozenset[str]:
        """The Deployments of the dead whose pod is another one now: evicted, where others had a container restarted."""
        dead = [name for name in (*seen.incident.culprits, *INNOCENTS) if name not in seen.survivors]
        dead = [name for name in dead if name not in INNOCENTS or name in seen.victims]

        def back() -> Pods | None:
            now = self._pods()
            return now if all(name in now and _again(before[name], now[name]) for name in dead) else None

        now = eventually(back, f"these run again: {', '.join(dead)}", START_SECONDS) or {}
        return frozenset(name for name in dead if _uid(now[name]) != _uid(before[name]))


def _again(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether it is another pod, or has another container than before."""
    ids = [pod["status"]["containerStatuses"][0].get("containerID") for pod in (before, now)]
    return _uid(before) != _uid(now) or ids[0] != ids[1]


def _uid(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def _container_id(status: dict[str, Any]) -> str:
    return str(status["containerID"]).rpartition("/")[2]


def _volume(pod: dict[str, Any]) -> str:
    return VOLUMES.format(uid=_uid(pod))
