"""`python -m bench scale`: the operator beside thousands of nodes, on a real API server.

Each node has a Node and a NodeMemory with the ten nearest of its thirty containers, as its agent would report them; on
two nodes of a hundred, which get into trouble at once, the ten are real pods. Measured are the operator's memory, how
long it takes from a report to the eviction that it leads to, and what it costs when all is quiet: then every node
reports once in five minutes, as agents do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from bench.plane import plane as plane_of
from e2e.lab.control_plane import ControlPlane
from tests.agent.pods import running
from tests.cluster.clients import client_of, connect
from tests.cluster.operators import OperatorProcess, operating

from memguard.api.meta import API_VERSION
from memguard.controller.resources import DECISIONS, NODE_MEMORIES
from memguard.errors import AlreadyExistsError, UnreachableError
from memguard.kube.client import Client
from memguard.kube.codec import Found, Happening
from memguard.kube.resources import CONFIG_MAPS, DISRUPTION_BUDGETS, NAMESPACES, NODES, PODS, Resource, Selection
from memguard.service.resources import CLUSTER_POLICIES, POLICIES

T = TypeVar("T")

REPORT = Path("build/scale-report.json")
SIZES = (500, 1000, 2000, 5000)
CONTAINERS, TOP = 30, 10
TROUBLED_RATIO = 0.02
#: Each with a budget of its own, so that no two victims share one: the API server tries an eviction whose budget
#: changed meanwhile again after half a second.
TENANTS = 100
#: Calm nodes report this often.
CALM_SECONDS = 300.0
#: In trouble they do so every five seconds, here all of them in the same moment.
ROUND_SECONDS, ROUNDS = 5.0, 20
HANDS = 8
MIB = 1 << 20
TOTAL, RESERVE = 16384 * MIB, 983 * MIB
#: What issue 5 asks for, at 5,000 nodes.
MOST_RSS_MIB, MOST_P99_SECONDS, MOST_WRITES = 150.0, 1.0, 20.0


def main(argv: list[str]) -> int:
    """Run it for each size; 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench scale", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=SIZES, metavar="N")
    parser.add_argument("--quiet", type=float, default=60.0, metavar="SECONDS", help="how long quiet is measured")
    parser.add_argument("--hour", action="store_true", help="afterwards, all reports of an hour: does it grow?")
    wanted = parser.parse_args(argv)
    results = json.loads(REPORT.read_text())["sizes"] if REPORT.exists() else {}
    for size in wanted.nodes:
        results[str(size)] = found = _measured(size, wanted.quiet, hour=wanted.hour)
        print(size, json.dumps(found), flush=True)
        REPORT.parent.mkdir(exist_ok=True)
        figures = dict(sorted(results.items(), key=lambda pair: int(pair[0])))
        REPORT.write_text(json.dumps({"bounds": _BOUNDS, "sizes": figures}, indent=1) + "\n")
    broken = [
        (size, name) for size in map(str, wanted.nodes) for name, most in _BOUNDS.items() if results[size][name] > most
    ]
    for size, name in broken:
        print(f"{name} at {size} nodes: {results[size][name]} is more than {_BOUNDS[name]}", file=sys.stderr)
    return bool(broken)


_BOUNDS = {
    "rss_peak_mib": MOST_RSS_MIB,
    "reaction_p99_seconds": MOST_P99_SECONDS,
    "quiet_writes_per_second": MOST_WRITES,
}


def _measured(size: int, quiet_seconds: float, *, hour: bool) -> dict[str, float]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        plane = stack.enter_context(plane_of(directory / "plane"))
        cluster = Cluster(stack.enter_context(client_of(connect(plane), timeout_seconds=60)), size)
        began = time.monotonic()
        cluster.fill()
        print(f"{size} nodes in {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        operator = stack.enter_context(operating(plane, directory))
        operator.wait_ready()
        operator.wait_leading()
        figures = {"ready_seconds": round(time.monotonic() - began, 2)}
        figures |= _quiet(operator, cluster, plane, quiet_seconds)
        figures |= _trouble(operator, cluster)
        if hour:
            figures |= _hour(operator, cluster)
        return figures | {"rss_peak_mib": operator.memory_mib("VmHWM")}


# --- the cluster


class Cluster:
    """`size` nodes, and what they report; `fill` makes them."""

    def __init__(self, client: Client, size: int) -> None:
        self._client, self.names = client, tuple(f"node-{number:04d}" for number in range(size))
        step = round(1 / TROUBLED_RATIO)
        self.troubled = self.names[::step]
        self._ids = {
            name: tuple(f"{number:06x}{place:02x}".rjust(64, "a") for place in range(TOP))
            for number, name in enumerate(self.names)
        }
        self._pool = ThreadPoolExecutor(HANDS)

    def each(self, job: Callable[[str], object], names: Iterable[str]) -> None:
        """Do it for all of them, a few at a time."""
        for _ in self._pool.map(partial(_patiently, job), names):
            pass

    def fill(self) -> None:
        """Make all that there is."""
        self.each(self._tenant, [f"tenant-{number}" for number in range(TENANTS)])
        defaults = {"mode": "Enforce", "actions": ["evict"]}
        spec = {"defaults": defaults, "budget": {"perCluster": 10_000}, "taint": "NoSchedule"}
        self._made(CLUSTER_POLICIES, _thing("ClusterMemoryGuardPolicy", "default", spec=spec))
        self.each(self._node, self.names)
        self.each(self._pods, self.troubled)

    def _tenant(self, name: str) -> None:
        self._made(NAMESPACES, {"metadata": {"name": name}})
        account = msgspec.structs.replace(CONFIG_MAPS, plural="serviceaccounts", kind="ServiceAccount")
        self._made(account, {"metadata": {"name": "default"}, "automountServiceAccountToken": False}, name)
        policy = _thing("MemoryGuardPolicy", "all", spec={"mode": "Enforce", "actions": ["evict"]})
        self._made(POLICIES, policy, name)
        budget = {
            "metadata": {"name": "all"},
            "spec": {"maxUnavailable": 1000, "selector": {"matchLabels": {"app": "web"}}},
        }
        self._made(DISRUPTION_BUDGETS, budget, name)
        allowed = {
            "disruptionsAllowed": 1000,
            "currentHealthy": 2000,
            "desiredHealthy": 1000,
            "expectedPods": 2000,
            "observedGeneration": 1,
        }
        self._client.merge_patch(DISRUPTION_BUDGETS, "all", {"status": allowed}, name, subresource="status")

    def _node(self, name: str) -> None:
        """As large as they are: labels, images and conditions, of which the operator needs the labels."""
        labels = {f"topology.kubernetes.io/label-{number}": "eu-central-1a" for number in range(12)}
        images = [
            {"names": [f"registry.example.com/team/image-{number}@sha256:{number:064x}"], "sizeBytes": number}
            for number in range(50)
        ]
        node = self._made(NODES, {"metadata": {"name": name, "labels": labels}})
        self._client.merge_patch(NODES, name, {"status": {"images": images}}, subresource="status")
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid}
        self._made(NODE_MEMORIES, _thing("NodeMemory", name, owners=[owner]))
        self.calm(name)

    def _pods(self, name: str) -> None:
        """Those of a node that will be in trouble."""
        for place, key in enumerate(self._ids[name]):
            tenant = _tenant_of(place, name)
            owner = {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": f"web-{place}",
                "uid": key[:36],
                "controller": True,
            }
            container = {"name": "app", "image": "pause", "resources": {"requests": {"memory": "64Mi"}}}
            pod = f"web-{name}-{place}"
            body = {
                "metadata": {"name": pod, "labels": {"app": "web"}, "ownerReferences": [owner]},
                "spec": {"nodeName": name, "containers": [container], "tolerations": [{"operator": "Exists"}]},
            }
            self._made(PODS, body, tenant)
            status = running("app", "a") | {
                "containerID": f"containerd://{key}",
                "image": "pause",
                "imageID": "",
                "ready": True,
            }
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T00:00:00Z"}
            change = {"status": {"phase": "Running", "containerStatuses": [status], "conditions": [ready]}}
            self._client.merge_patch(PODS, pod, change, tenant, subresource="status")

    def _made(self, resource: Resource[T], body: dict[str, Any], namespace: str | None = None) -> T:
        try:
            return self._client.create(resource, body, namespace)
        except AlreadyExistsError:
            return self._client.get(resource, body["metadata"]["name"], namespace)

    def calm(self, name: str) -> None:
        """Report that all is well."""
        self._report(name, 9000 * MIB, 0, datetime.now(UTC), level="Calm")

    def short(self, name: str, look: int, at: datetime) -> int:
        """Report that the first of its pods grows by 25 MiB a second; what is left, which no other look has."""
        left = (4200 - 125 * look) * MIB
        self._report(name, left, look, at, level="Tight", exhaustionSeconds=left / (25 * MIB))
        return left

    def _report(self, name: str, left: int, look: int, at: datetime, **more: Any) -> None:
        grown = 125 * MIB * look
        status = {
            "observedAt": at.isoformat().replace("+00:00", "Z"),
            "mode": "Enforce",
            "totalBytes": TOTAL,
            "availableBytes": left,
            "reserveBytes": RESERVE,
            "containers": CONTAINERS,
            "top": [
                _entry(name, place, key, 600 * MIB + grown * (place == 0)) for place, key in enumerate(self._ids[name])
            ],
            "scorecard": {"hits": 1, "misses": 0, "policies": [{"policy": "cluster/default", "hits": 1}]},
            **more,
        }
        self._client.merge_patch(
            NODE_MEMORIES, name, {"status": {"exhaustionSeconds": None, **status}}, subresource="status"
        )

    def request_seconds(self) -> list[float]:
        """How long this machine takes just now for one request after another, as an eviction needs them."""
        found = []
        for name in self.troubled[:10]:
            pod, tenant = f"web-{name}-5", _tenant_of(5, name)
            for _ in range(3):
                began = time.monotonic()
                self._client.get(PODS, pod, tenant)
                found.append(time.monotonic() - began)
        return sorted(found)

    def records(self) -> dict[str, int]:
        """Of each node with a decision, what was left by the report that led to it."""
        listed = self._client.list_all(Selection(DECISIONS)).objects
        return {one.spec.node: one.spec.available_bytes for one in listed}

    @contextmanager
    def evictions(self) -> Any:
        """When the eviction of each node's pod was first seen, while it is entered."""
        seen: dict[str, float] = {}
        version = self._client.list_all(Selection(PODS)).resource_version
        with self._client.watch(Selection(PODS), version, seconds=600, quiet_seconds=600) as watch:

            def follow() -> None:
                with suppress(UnreachableError):  # at the end it is cut
                    for event in watch:
                        if isinstance(event, Happening) and isinstance(event.item, Found):
                            pod = event.item.object
                            if pod.metadata.deletion_timestamp is not None:
                                seen.setdefault(pod.spec.node_name, time.monotonic())

            thread = threading.Thread(target=follow)
            thread.start()
            yield seen
            watch.cut()
            thread.join()


def _patiently(job: Callable[[str], object], name: str) -> None:
    """A machine that is busy with this may reset a connection; what was made already is made anew under its name."""
    for last in (False, False, True):
        try:
            job(name)
        except UnreachableError:
            if last:
                raise
            time.sleep(1)
        else:
            return


def _thing(kind: str, name: str, *, owners: Iterable[Any] = (), **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "ownerReferences": list(owners)},
        **parts,
    }


def _tenant_of(place: int, name: str) -> str:
    return f"tenant-{(place + int(name[-4:]) // round(1 / TROUBLED_RATIO)) % TENANTS}"


def _entry(name: str, place: int, key: str, footprint: int) -> dict[str, Any]:
    title = {"namespace": _tenant_of(place, name), "pod": f"web-{name}-{place}", "name": "app"}
    return {"id": key, **title, "score": 500 - place, "footprintBytes": footprint, "limitBytes": 4096 * MIB}


# --- what is measured


def report_calmly(cluster: Cluster, seconds: float) -> int:
    """All nodes report in turn, each as often as agents do, for so long; how many did."""
    sent, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed / CALM_SECONDS * len(cluster.names))
        for number in range(sent, due):
            cluster.calm(cluster.names[number % len(cluster.names)])
        sent = max(sent, due)
        time.sleep(0.05)
    return sent


def _quiet(operator: OperatorProcess, cluster: Cluster, plane: ControlPlane, seconds: float) -> dict[str, float]:
    """All nodes report in turn, and nothing is to be done."""
    time.sleep(5)
    cpu, writes, began = operator.cpu_seconds(), _writes(plane), time.monotonic()
    sent = report_calmly(cluster, seconds)
    passed = time.monotonic() - began
    all_writes = _writes(plane) - writes
    return {
        "quiet_cpu_ratio": round((operator.cpu_seconds() - cpu) / passed, 4),
        "quiet_writes_per_second": round((all_writes) / passed, 2),
        "quiet_operator_writes_per_second": round((all_writes - sent) / passed, 2),
        "rss_quiet_mib": operator.memory_mib("VmRSS"),
    }


def _trouble(operator: OperatorProcess, cluster: Cluster) -> dict[str, float]:
    """From the report to the eviction that it led to, for each node in trouble."""
    sent: dict[tuple[str, int], float] = {}
    written: dict[tuple[str, int], float] = {}
    cpu = operator.cpu_seconds()
    with cluster.evictions() as seen:
        for look in range(ROUNDS):
            began, at = time.monotonic(), datetime.now(UTC)

            def short(name: str, look: int = look, at: datetime = at) -> None:
                asked = time.monotonic()
                left = cluster.short(name, look, at)
                sent[name, left] = asked
                written[name, left] = time.monotonic() - asked

            cluster.each(short, (name for name in cluster.troubled if name not in seen))
            if len(seen) == len(cluster.troubled):
                break
            time.sleep(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))
        time.sleep(2)
    records = cluster.records()
    seconds = sorted(seen[name] - sent[name, records[name]] for name in seen if name in records)
    print("looks:", look + 1, "last:", [round(one, 2) for one in seconds[-5:]], flush=True)
    if len(seconds) < len(cluster.troubled):
        print(f"only {len(seconds)} of {len(cluster.troubled)} acted on; {len(records)} records", file=sys.stderr)
        print([line for line in operator.log if line["kind"] == "trouble"][-5:], file=sys.stderr)
    return {
        "troubled": len(cluster.troubled),
        "acted": len(seconds),
        "reaction_p50_seconds": round(_quantile(seconds, 0.5), 3),
        "reaction_p99_seconds": round(_quantile(seconds, 0.99), 3),
        "request_p50_seconds": round(_quantile(cluster.request_seconds(), 0.5), 4),
        "report_write_p99_seconds": round(_quantile(sorted(written.values()), 0.99), 3),
        "trouble_cpu_seconds": round(operator.cpu_seconds() - cpu, 2),
        "rss_trouble_mib": operator.memory_mib("VmRSS"),
    }


def _hour(operator: OperatorProcess, cluster: Cluster) -> dict[str, float]:
    """Twelve reports of every node, as in an hour; memory after a quarter of it, and at the end."""
    after: list[float] = []
    for _ in range(12):
        cluster.each(cluster.calm, cluster.names)
        after.append(operator.memory_mib("VmRSS"))
    return {"rss_quarter_hour_mib": after[2], "rss_hour_mib": after[-1]}


def _quantile(values: list[float], ratio: float) -> float:
    return values[min(len(values) - 1, int(ratio * len(values)))] if values else float("inf")


def _writes(plane: ControlPlane) -> int:
    """All requests that change something, by whomever."""
    lines = plane.kubectl("get", "--raw", "/metrics").splitlines()
    wanted = [line for line in lines if line.startswith("apiserver_request_total{")]
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in wanted
        if any(f'verb="{verb}"' in line for verb in ("POST", "PUT", "PATCH", "DELETE", "APPLY"))
    )
