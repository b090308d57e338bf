"""What happens on the node: leaks of many speeds beside three innocents, as Deployments.

A leak waits at a gate, a FIFO in its volume `state`, so that its cgroup is known and watched before it grows; in its
second life it just stays. It obeys SIGTERM at once, which is to kubelet's credit. The innocents stay from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from e2e.lab.specs import NODE_A, NODE_B, NodeSpec
from e2e.workloads import Manifest, container, pod

SPACE = "race"
MIB = 1 << 20
#: Every guard's line at the node, and under a limit, as on the test machine (docs/benchmarks.md).
LINE_BYTES, LIMIT_LINE_BYTES, LIMIT_LINE_RATIO = 100 * MIB, 16 * MIB, 0.05
#: More than there is.
ENDLESS_MIB = 4000
SERVICE, CACHE, INNOCENT = INNOCENTS = ("service", "cache", "innocent")


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One thing that happens. `rate_mib_s` 0: as fast as it goes; `first_mib`: what each leak takes before it leaks."""

    name: str
    leaks: int = 1
    rate_mib_s: float = 0.0
    first_mib: int = 0
    request_mib: int = 64
    limit_mib: int | None = None
    node: NodeSpec = NODE_A
    #: After that it is over, whoever lives.
    seconds: float = 60.0

    @property
    def culprits(self) -> tuple[str, ...]:
        """The names of the leaks."""
        return tuple(f"leak-{number}" for number in range(1, self.leaks + 1))

    @property
    def line_bytes(self) -> int:
        """What was left when somebody should have acted."""
        limit = (self.limit_mib or 0) * MIB
        return max(LIMIT_LINE_BYTES, int(limit * LIMIT_LINE_RATIO)) if limit else LINE_BYTES

    def manifests(self) -> list[Manifest]:
        """A Deployment for each leak."""
        return [deployment(name, self.node, self._leak()) for name in self.culprits]

    def _leak(self) -> Manifest:
        grow = f"exec /loads hog rate={self.rate_mib_s:g} max={ENDLESS_MIB} term_ms=0"
        first = f"/loads warm max={self.first_mib} period_ms=3600000 & " if self.first_mib else ""
        limit = f"{self.limit_mib}Mi" if self.limit_mib else ""
        return _shell("leak", f"{_GATE} {first}{grow}", request=f"{self.request_mib}Mi", limit=limit, cpu="500m")


#: Blocked in open(2) until the conductor comes: no CPU, and no delay.
_GATE = (
    "[ -e /state/done ] && exec /loads pause; [ -p /state/gate ] || mkfifo /state/gate; read open < /state/gate; "
    "touch /state/done;"
)

INCIDENTS: tuple[Incident, ...] = (
    Incident(name="leak-50", rate_mib_s=50),
    Incident(name="leak-200", rate_mib_s=200),
    Incident(name="leak-fast"),
    Incident(name="two-fast", leaks=2),
    Incident(name="limit-50", rate_mib_s=50, limit_mib=256, seconds=40),
    Incident(name="swap-200", rate_mib_s=200, request_mib=384, node=NODE_B),
    Incident(name="leak-10", rate_mib_s=10, first_mib=350, seconds=120),
    Incident(name="leak-3", rate_mib_s=3, first_mib=700, seconds=180),
    Incident(name="calm", leaks=0, seconds=25),
    Incident(name="two-50", rate_mib_s=25, leaks=2),
    Incident(name="two-200", rate_mib_s=100, leaks=2),
    Incident(name="limit-fast", limit_mib=256, seconds=40),
)
NAMES = tuple(incident.name for incident in INCIDENTS)


def by_name(name: str) -> Incident:
    """Raises KeyError when there is none."""
    return {incident.name: incident for incident in INCIDENTS}[name]


def service_mib(node: NodeSpec) -> int:
    """The service: steady, within its request, and bigger than most leaks when they are stopped."""
    return node.memory_mib * 5 // 16


def cache_mib(node: NodeSpec) -> int:
    """What the cache-heavy pod reads again and again, so that the kernel calls it active."""
    return node.memory_mib // 8


def innocents(node: NodeSpec) -> list[Manifest]:
    """A Deployment for each."""
    service, cache = service_mib(node), cache_mib(node)
    warm = f"exec /loads warm max={service} period_ms=1000"
    read = f"exec /loads churn path=/state/file window={cache} rate=50"
    file = f"dd if=/dev/zero of=/state/file bs=1M count={cache} 2>/dev/null;"
    # One report after another: the conductor ends one when a run begins, and the next when it is over.
    timed = "while :; do /loads lat report=/state/latency.json; done"
    return [
        deployment(SERVICE, node, _shell("app", warm, request=f"{service + 16}Mi", cpu="100m")),
        deployment(CACHE, node, _shell("app", f"{file} {read}", request="64Mi", cpu="100m")),
        deployment(INNOCENT, node, _shell("app", timed, request="32Mi", cpu="500m")),
    ]


def deployment(name: str, node: NodeSpec, one: Manifest) -> Manifest:
    """One replica. It names its node: a scheduler would keep new pods off it for 5 minutes after each eviction."""
    template = pod(name, node.name, one, namespace=SPACE)
    labels: dict[str, Any] = template["metadata"]["labels"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def _shell(name: str, script: str, *, request: str, cpu: str, limit: str = "") -> Manifest:
    """`cpu`: without a request of its own it would hardly run beside the others."""
    one = container(name, request=request, limit=limit)
    one["command"] = ["sh", "-c", script]
    one["volumeMounts"] = [{"name": "state", "mountPath": "/state"}]
    one["resources"]["requests"]["cpu"] = cpu
    return one
