"""Has incidents happen in the test cluster, beside a memguard that only observes, and files what a node recorded.

The names come from the API server, as the agent has them. What peers read beside is recorded as in the machine.
"""

import base64
import gzip
import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from bench.kernel.runs import ROOT, commit
from bench.victims.corpus import Truth
from bench.victims.recording.archive import FOLDER, Recording, keep
from bench.victims.recording.incidents import CLUSTER_KINDS
from bench.victims.recording.record import FEWEST_SNAPSHOTS, INSIDE, RECORDING, recorded
from bench.victims.snapshot import stamp
from bench.victims.workload import KINDS, MIB
from e2e.cluster import NODES, Cluster, ours
from e2e.deployment import Deployment
from e2e.images import build_images
from e2e.workloads import Manifest, Shop, container, opened, pod
from tests.machine.share import make_share

from memguard import __version__
from memguard.core.model import Identity
from memguard.core.policy import Plan
from memguard.core.trace import Header, encode_line
from memguard.kube.identities import identities
from memguard.kube.objects import Pod

NODE = NODES[0]
SPACE = "recorded"
PLACE = "/run/recorder"
#: Longer words than this a node's shell does not take.
CHUNK = 96 * 1024
INTERVAL = 1.0
#: The story begins so long after its container, and takes so long to fill what is there.
DELAY_SECONDS, STORY_SECONDS, LONGEST_SECONDS = 30, 30, 150
LEFT = 0.08
ENDLESS = "max=60000"


@dataclass(frozen=True, slots=True)
class Incident:
    """`story` is made of the rate (MiB/s) and the size (MiB) that suit the node; roles are those of workload.KINDS."""

    words: str
    pods: tuple[Manifest, ...]
    roles: dict[tuple[str, str], str]
    culprit: tuple[str, str] | None
    forbidden: tuple[tuple[str, str], ...] = ()


def steady(name: str, mib: int, request: str = "", limit: str = "") -> Manifest:
    return container(name, "warm", f"max={mib}", "period_ms=2000", request=request, limit=limit)


def story(name: str, words: str, request: str = "") -> Manifest:
    """A container that begins later."""
    return container(name, "pause", request=request) | {
        "command": ["sh", "-c", f"sleep {DELAY_SECONDS}; exec /loads {words}"]
    }


def beside(name: str, *containers: Manifest, **spec: Any) -> Manifest:
    return pod(name, NODE, *containers, namespace=SPACE, **spec)


def ordinary() -> tuple[tuple[Manifest, ...], dict[tuple[str, str], str]]:
    """Who is there in every incident."""
    database = steady("db", 160, "192Mi", "192Mi")
    database["resources"]["requests"]["cpu"] = database["resources"]["limits"]["cpu"] = "50m"
    reader = container("log", "churn", "path=/state/file", "op=write", "window=200", "rate=10", request="32Mi")
    reader["volumeMounts"] = [{"name": "state", "mountPath": "/state"}]
    pods = (
        beside("orders", database),
        beside("queue", reader),
        beside("front-a", steady("web", 60, "64Mi", "128Mi")),
        beside("front-b", steady("web", 60, "64Mi", "128Mi")),
    )
    roles = {("orders", "db"): "database", ("queue", "log"): "queue", ("front-a", "web"): "web"}
    return pods, roles | {("front-b", "web"): "web"}


def incidents(room_mib: int, total_mib: int) -> dict[str, Incident]:
    """By kind; all is said before anything is recorded."""
    pods, roles = ordinary()
    leak = f"hog rate={room_mib / STORY_SECONDS:.0f} {ENDLESS}"
    size = room_mib - LEFT * total_mib
    job = f"batch rate={size / STORY_SECONDS:.0f} max={size:.0f} seconds={STORY_SECONDS + 8}"
    important = (("orders", "db"), ("queue", "log"))
    return {
        "cluster-leak": Incident(
            "a pod without a limit leaks", (*pods, beside("cart", story("app", leak, "64Mi"))),
            roles | {("cart", "app"): "web"}, ("cart", "app"), important,
        ),
        "cluster-sidecar": Incident(
            "the sidecar of an important pod leaks",
            (*pods, beside("ledger", steady("main", 120, "160Mi"), story("proxy", leak, "16Mi"))),
            roles | {("ledger", "main"): "database", ("ledger", "proxy"): "sidecar"}, ("ledger", "proxy"),
            (*important, ("ledger", "main")),
        ),
        "cluster-best-effort": Incident(
            "a burstable container leaks beside a bigger best-effort one",
            (*pods, beside("crunch", steady("work", 400)), beside("cart", story("app", leak, "64Mi"))),
            roles | {("crunch", "work"): "batch", ("cart", "app"): "web"}, ("cart", "app"), important,
        ),
        "cluster-job": Incident(
            f"a job levels off with {LEFT:.0%} left, and ends",
            (*pods, beside("nightly", story("job", job, "64Mi"), restartPolicy="Never")),
            roles | {("nightly", "job"): "batch"}, None, important,
        ),
    }  # fmt: skip


def record_cluster(kinds: Sequence[str], tell: Callable[[str], None], folder: Path = FOLDER) -> bool:
    """Records these, or all, in the cluster that runs or in one of its own; were all filed?"""
    cluster = ours()
    stays = cluster.is_up()
    cluster.up(tuple(build_images().values()))
    try:
        Deployment(cluster).install("observe")
        _install(cluster)
        measured = commit(ROOT, (*RECORDING, "e2e"))
        wanted = list(kinds or CLUSTER_KINDS)
        return sum(_recorded(cluster, kind, measured, folder, tell) for kind in wanted) == len(wanted)
    finally:
        if not stays:
            cluster.down()


def _install(cluster: Cluster) -> None:
    """memguard's own readers and the recorder, for the node's Python."""
    with tempfile.TemporaryDirectory(prefix="memguard-recorder-") as name:
        share, packed = Path(name, "share"), Path(name, "share.tgz")
        make_share(b"{}", share, ("msgspec",), (("recorder", INSIDE),))
        subprocess.run(("tar", "-czf", str(packed), "-C", str(share), "python", "guest", "recorder"), check=True)
        text = base64.b64encode(packed.read_bytes()).decode()
    node = cluster.node(NODE)
    node.run(f"rm -rf {PLACE}; mkdir -p {PLACE}")
    for start in range(0, len(text), CHUNK):
        node.run(f"printf %s {text[start : start + CHUNK]} >> {PLACE}/packed")
    node.run(f"base64 -d {PLACE}/packed | tar -xz -C {PLACE}; rm {PLACE}/packed")


def _recorded(cluster: Cluster, kind: str, measured: str, folder: Path, tell: Callable[[str], None]) -> bool:
    memory = _meminfo(cluster)
    extra = 520 * MIB if kind == "cluster-best-effort" else 120 * MIB  # what the steady pods will hold beside
    held = 360 * MIB + extra
    found = incidents((memory["MemAvailable"] - held) // MIB, memory["MemTotal"] // MIB)[kind]
    *others, story_pod = found.pods
    with opened(cluster, SPACE, *others) as shop:
        shop.create(story_pod)
        names = _names(shop)
        answer = _watched(cluster)
        names = _names(shop) | names  # a container that the kernel ended has another id by now
    if len(answer["lines"]) < FEWEST_SNAPSHOTS or answer["exhausted"] != bool(found.culprit):
        tell(f"{kind}: not filed: {len(answer['lines'])} snapshots, exhausted {answer['exhausted']}")
        return False
    readings, rows = recorded(answer | {"name": kind}, names, Plan())
    last = readings[-1].snapshot.taken_at
    truth = _truth(kind, found, names, stamp(last) if found.culprit else None)
    header = Header(at=datetime.now(UTC), version=__version__, plan=Plan())
    killed = [who for who in names if any(who in cgroup for cgroup in answer["killed"])]
    size = keep(
        Recording(
            name=kind, lines=[encode_line(header), *map(encode_line, readings)], beside=rows, truth=truth,
            where="cluster", commit=measured, killed=killed,
        ),
        folder,
    )  # fmt: skip
    return (
        f"{kind}: {len(readings)} snapshots, {size / 1024:.0f} KiB, the kernel took {[truth.roles[w] for w in killed]}"
    )


def _watched(cluster: Cluster) -> dict[str, Any]:
    """The answer of the recorder on the node, which runs beside all pods and outside of their cgroups."""
    node = cluster.node(NODE)
    words = f"python3 -m recorder.watch {INTERVAL} {LONGEST_SECONDS} > answer 2> complaints; echo $? > code"
    node.run(f"cd {PLACE}; rm -f code; PYTHONPATH=python nohup sh -c {shlex.quote(words)} > /dev/null 2>&1 &")
    node.run(f"until [ -s {PLACE}/code ]; do sleep 1; done", 8 * LONGEST_SECONDS)
    text = node.run(f"cd {PLACE}; cat complaints >&2; [ $(cat code) = 0 ] && gzip -c answer | base64 -w 0")
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return found


def _names(shop: Shop) -> dict[str, Identity]:
    """Who runs on the node, in every namespace, as the API server has it."""
    text = shop.cluster.kubectl("get", "pods", "-A", f"--field-selector=spec.nodeName={NODE}", "-o", "json")
    pods = msgspec.convert(json.loads(text)["items"], list[Pod])
    return {one.id: one for each in pods for one in identities(each)}


def _meminfo(cluster: Cluster) -> dict[str, int]:
    lines = cluster.node(NODE).run("cat /proc/meminfo").splitlines()
    return {key: int(rest.split()[0]) << 10 for key, _, rest in (line.partition(":") for line in lines)}


def _truth(kind: str, found: Incident, names: dict[str, Identity], exhausted_at: str | None) -> Truth:
    """Who is not of the incident belongs to the system."""

    def at(one: Identity) -> tuple[str, str]:
        return (one.pod or "", one.name or "") if one.namespace == SPACE else ("", "")

    roles = {who: found.roles.get(at(one), "system") for who, one in names.items()}
    culprits = [who for who, one in names.items() if at(one) == found.culprit]
    forbidden = [who for who, one in names.items() if roles[who] == "system" or at(one) in found.forbidden]
    costs = {who: KINDS[role].cost * (1.5 if who in forbidden else 1.0) for who, role in roles.items()}
    return Truth(
        kind=kind,
        seed=0,
        story=found.words,
        domain="node",
        needs_victim=bool(culprits),
        culprits=culprits,
        forbidden=sorted(forbidden),
        exhausted_at=exhausted_at,
        outlives_container=[],
        cost=costs,
        pods={who: one.pod_uid or "" for who, one in names.items()},
        roles={who: "culprit" if who in culprits else role for who, role in roles.items()},
        largest_process_share={},
    )
