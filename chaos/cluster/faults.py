"""How each fault happens: a function that returns when it is over, and what it broke can heal by itself."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from bench.cluster.conductor import SNAPSHOTS
from bench.cluster.stage import CONFIGURE, UNCONFIGURE
from chaos.cluster.pods import NODE, SPACE
from chaos.cluster.programs import GUARD, PROGRAMS, WAYS, Scene
from e2e.helm import NAMESPACE
from e2e.lab.certificates import HOST_SEEN_BY_NODE
from e2e.lab.kubelet import configuration

COMPONENT = "app.kubernetes.io/component"
#: Under it kubelet evicts while the guard still has more than its reserve.
EVICTION = "300Mi"
RAISED_MIB = 64
Happening = Callable[[Scene, float], None]
#: The node's own copy of the loads, out of an image.
_LOADS = f"$(ls -d {SNAPSHOTS}/*/fs/loads | head -1)"

# --- the network, disks and the clock


@contextlib.contextmanager
def _between(scene: Scene, begin: str, end: str) -> Iterator[None]:
    scene.run(begin)
    try:
        yield
    finally:
        scene.run(end)


def _for_a_while(begin: str, end: str, scene: Scene, seconds: float) -> None:
    """`begin` on the node, and after so long `end`."""
    with _between(scene, begin, end):
        time.sleep(seconds)


_DROP = "nft add table inet chaos"
_DROP_IN = (
    f"{_DROP}; nft 'add chain inet chaos in {{ type filter hook prerouting priority raw; }}'; "
    f"nft add rule inet chaos in ip saddr {HOST_SEEN_BY_NODE} drop"
)
_DROP_OUT = (
    "nft 'add chain inet chaos out { type filter hook postrouting priority srcnat + 10; }'; "
    f"nft add rule inet chaos out ip daddr {HOST_SEEN_BY_NODE} drop"
)
_PASS = "nft delete table inet chaos"  # noqa: S105 - no password
#: Root's reserved blocks, too.
_FILL = """
mkdir -p {there}
number=0
for size in 256M 16M 1M 64K 4K; do
  while fallocate -l $size {there}/$number 2>/dev/null; do number=$((number + 1)); done
done
true
"""
#: As large as it is full: that takes no memory.
_SHRINK = "mount -o remount,size=$(df -B1 --output=used /run | tail -1) /run"
_GROW = "mount -o remount,size=20% /run"
_TMPFS = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/run"


def _guards_tmpfs_full(scene: Scene, seconds: float) -> None:
    there = scene.run(f"ls -d {_TMPFS}").split()[0]
    filled = f"{there}/chaos"
    _for_a_while(_FILL.format(there=filled), f"rm -rf {filled}", scene, seconds)


# --- our own pods


def _our_pod(scene: Scene) -> str:
    return scene.api_server("-n", NAMESPACE, "get", "pods", "-l", f"{COMPONENT}=node", "-o", "name").split()[0]


def _node_pod_deleted(scene: Scene, _: float) -> None:
    keep_logs(scene)
    scene.api_server("-n", NAMESPACE, "delete", _our_pod(scene), "--force", "--grace-period=0")


def _daemon_set_deleted(scene: Scene, seconds: float) -> None:
    keep_logs(scene)
    made = json.loads(scene.api_server("-n", NAMESPACE, "get", "daemonset", "memguard-node", "-o", "json"))
    scene.api_server("-n", NAMESPACE, "delete", "daemonset", "memguard-node", "--force", "--grace-period=0")
    time.sleep(seconds)
    scene.api_server("create", "-f", "-", stdin=json.dumps(_as_new(made)))


def _as_new(made: dict[str, Any]) -> dict[str, Any]:
    """An object without what the API server put into it."""
    metadata = {name: made["metadata"][name] for name in ("name", "namespace", "labels", "annotations")}
    return {name: made[name] for name in ("apiVersion", "kind", "spec")} | {"metadata": metadata}


def _operators_deleted(scene: Scene, _: float) -> None:
    keep_logs(scene)
    scene.api_server("-n", NAMESPACE, "delete", "pods", "-l", f"{COMPONENT}=operator", "--wait=false")


def keep_logs(scene: Scene) -> None:
    """A second name for each log of ours, which stays when kubelet takes the pod's away."""
    scene.run(KEEP_LOGS)


LOGS = "/var/log/chaos"
KEEP_LOGS = f"""
mkdir -p {LOGS}
for log in /var/log/pods/{NAMESPACE}_*/*/*.log; do
  name={LOGS}/$(echo "$log" | cut -d/ -f5- | tr / @)
  [ -e "$log" ] && [ ! -e "$name" ] && ln "$log" "$name"
done
true
"""


def _guard_at_its_limit(scene: Scene, _: float) -> None:
    """Somebody fills the guard's own cgroup: it is killed whole, as kubelet asks of the kernel."""
    scene.run(
        f"""
        guard=$(pgrep {GUARD.chosen} | head -1)
        [ "$guard" ] || exit 1
        scope=/sys/fs/cgroup$(cut -d: -f3 /proc/$guard/cgroup)
        timeout 20 {_LOADS} enter cgroup=$scope adj=0 -- {_LOADS} warm max=200 || true
        """
    )


# --- the node


#: Beside the slices of kubelet and of the pods, with ten times the weight of either.
_SPIN = (
    f"systemd-run --quiet --collect --unit=chaos-spin --slice=-.slice -p CPUWeight=1000 {_LOADS} "
    f"spin threads={4 * NODE.cpus}"
)


def _kubelet_evicts(scene: Scene, seconds: float) -> None:
    changed = {**NODE.kubelet, "evictionHard": {"memory.available": EVICTION}}
    wanted = configuration(msgspec.structs.replace(NODE, kubelet=changed))
    _for_a_while(CONFIGURE % json.dumps(wanted), UNCONFIGURE, scene, seconds)


def _limit_raised(scene: Scene, _: float) -> None:
    raised = {"name": "app", "resources": {"limits": {"memory": f"{scene.limit_mib + RAISED_MIB}Mi"}}}
    patch = json.dumps({"spec": {"containers": [raised]}})
    scene.api_server("-n", SPACE, "patch", "pod", scene.pod, "--subresource=resize", "-p", patch)


#: What a MemoryQoS writes: under the leak's limit, and under the database's, which is nobody's business.
FOREIGN_HIGH = {"leak": 120 << 20, "database": 180 << 20}


def _another_writer(scene: Scene, seconds: float) -> None:
    writes = "; ".join(
        f"[ ! -e {cgroup} ] || echo {FOREIGN_HIGH[who]} > {cgroup}/memory.high"
        for who, cgroup in (("leak", scene.leak), ("database", scene.database))
    )
    rounds = max(1, int(seconds))
    scene.run(f"for round in $(seq {rounds}); do {writes}; sleep 1; done", seconds)


def _daemon_reload(scene: Scene, seconds: float) -> None:
    rounds = max(1, int(seconds / 2))
    scene.run(f"for round in $(seq {rounds}); do systemctl daemon-reload; sleep 1; done", seconds)


def _set_property(scene: Scene, _: float) -> None:
    """systemd writes all that it knows of the unit, and of a memory.high it knows nothing."""
    scene.run(f"systemctl set-property --runtime {scene.leak.rpartition('/')[2]} CPUWeight=50 || true")


#: As a runtime makes them: a pod's slice, a container's scope, a process in it that ends at once.
_CGROUPS = """
python3 - <<'CGROUPS'
import os, time, uuid
top = "/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice"
for number in range(200):
    pod = f"{top}/kubepods-besteffort-pod{str(uuid.uuid4()).replace('-', '_')}.slice"
    scope = f"{pod}/cri-containerd-{uuid.uuid4().hex}{uuid.uuid4().hex}.scope"
    os.makedirs(scope)
    child = os.fork()
    if not child:
        with open(f"{scope}/cgroup.procs", "w") as file:
            file.write("0")
        os._exit(0)
    os.waitpid(child, 0)
    os.rmdir(scope)
    os.rmdir(pod)
CGROUPS
"""


def _many_cgroups(scene: Scene, _: float) -> None:
    scene.run(_CGROUPS)


_OTHERS: Mapping[str, Happening] = {
    "partitioned": partial(_for_a_while, f"{_DROP_IN}; {_DROP_OUT}", _PASS),
    "answers lost": partial(_for_a_while, _DROP_IN, _PASS),
    "disk full": partial(_for_a_while, _FILL.format(there="/var/lib/chaos"), "rm -rf /var/lib/chaos"),
    "/run full": partial(_for_a_while, _SHRINK, _GROW),
    "guard's tmpfs full": _guards_tmpfs_full,
    "clock ahead": partial(_for_a_while, "date -s '+2 hours'", "date -s '-2 hours'"),
    # Farther than the leak is old, and kubelet takes the older of two containers for the newer, and asks containerd
    # for a name that it has given for ever after ("failed to reserve container name").
    "clock back": partial(_for_a_while, "date -s '-5 seconds'", "date -s '+5 seconds'"),
    "node pod deleted": _node_pod_deleted,
    "DaemonSet deleted": _daemon_set_deleted,
    "operators deleted": _operators_deleted,
    "guard at its limit": _guard_at_its_limit,
    "CPU starved": partial(_for_a_while, _SPIN, "systemctl stop chaos-spin"),
    "limit raised": _limit_raised,
    "kubelet evicts": _kubelet_evicts,
    "memory.high by another": _another_writer,
    "daemon-reload": _daemon_reload,
    "set-property": _set_property,
    "200 cgroups": _many_cgroups,
}


def happening(name: str) -> Happening:
    """How one of FAULTS happens."""
    program, _, way = name.rpartition(" ")
    return partial(WAYS[way], PROGRAMS[program]) if way in WAYS else _OTHERS[name]
