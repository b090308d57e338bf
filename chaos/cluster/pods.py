"""Who is on the node: the leak, and three that must live: a database, a service with a disruption budget, a cache."""

from __future__ import annotations

import msgspec
from bench.cluster.incidents import deployment
from chaos.cluster.draw import Draw
from e2e.helm import merged
from e2e.lab.specs import NODE_A
from e2e.workloads import Manifest, container, pod, policy

SPACE = "chaos"
#: Kubelet leaves full disks alone, sees the end of a shortage at once, and restarts without a wait what ended often.
NODE = msgspec.structs.replace(
    NODE_A,
    kubelet={
        "evictionHard": {"memory.available": "50Mi"},
        "evictionPressureTransitionPeriod": "5s",
        "featureGates": {"KubeletCrashLoopBackOffMax": True},
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
    },
)
DATABASE, SERVICE, CACHE = NEIGHBOURS = ("database", "service", "cache")
#: More than the node has.
ENDLESS_MIB = 4000
#: From the restart to the second leak: by then the guard knows the new container.
AGAIN_SECONDS = 12
#: The files that say what a leak has left to do are made at the start: on a full disk they can still be removed.
LIVES = """
cd /state
[ -p gate ] || {{ touch {files}; mkfifo gate; }}
for life in life*; do break; done
[ -e "$life" ] || exec /loads pause
if [ "$life" = life1 ]; then read open < gate; else sleep {again}; fi
rm "$life"
exec /loads hog rate={rate} max={endless}{term}
"""


def leak(draw: Draw) -> Manifest:
    """The pod that waits at its gate."""
    files = " ".join(f"life{number}" for number in range(1, draw.lives + 1))
    term = " term_ms=300" if draw.leak == "polite" else ""
    script = LIVES.format(files=files, again=AGAIN_SECONDS, rate=draw.rate_mib_s, endless=ENDLESS_MIB, term=term)
    one = _shell("app", script, request="32Mi", limit=f"{draw.limit_mib}Mi")
    made = pod(draw.pod, NODE.name, one, namespace=SPACE)
    made["metadata"]["labels"]["leak"] = draw.leak
    return made


def objects() -> list[Manifest]:
    """The policies, and those that must live."""
    database = _shell("app", "exec /loads warm rate=200 max=128", request="192Mi", limit="192Mi", cpu="100m")
    database["resources"]["limits"]["cpu"] = "100m"
    # Larger than most leaks when they are stopped, and over what it asked for: a guard that looks at size takes it.
    service = _shell("app", "exec /loads warm rate=200 max=300 period_ms=2000", request="64Mi", cpu="50m")
    write = "exec /loads churn path=/state/file op=write window=200 rate=10"
    cache = _shell("app", write, request="32Mi", cpu="50m")
    every = zip(NEIGHBOURS, (database, service, cache), strict=True)
    return [*_policies(), *(_deployed(name, one) for name, one in every), _disruption_budget(SERVICE)]


def _policies() -> list[Manifest]:
    """Lines only under the leaks: any other line is one that was left."""
    guarded = {"mode": "Enforce", "limit": {"guard": True}}
    rules: dict[str, Manifest] = {
        "polite": guarded | {"stop": {"graceMilliseconds": 3000}},
        "twice": guarded | {"budget": {"perContainer": 1}},
        "limit": guarded,
        "node": guarded,
    }
    leaks = (policy(name, SPACE, selector={"matchLabels": {"leak": name}}, **rule) for name, rule in rules.items())
    rest = {"matchExpressions": [{"key": "leak", "operator": "DoesNotExist"}]}
    return [*leaks, policy("rest", SPACE, mode="Enforce", selector=rest)]


def _disruption_budget(name: str) -> Manifest:
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": name}}}
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}


def _deployed(name: str, one: Manifest) -> Manifest:
    return merged(deployment(name, NODE, one), {"metadata": {"namespace": SPACE}})


def _shell(name: str, script: str, *, request: str, limit: str = "", cpu: str = "") -> Manifest:
    one = container(name, request=request, limit=limit)
    one["command"] = ["sh", "-c", script]
    one["volumeMounts"] = [{"name": "state", "mountPath": "/state"}]
    if cpu:
        one["resources"]["requests"]["cpu"] = cpu
    return one
