"""Two nodes and an operator as Prometheus sees them: the registries of agent and operator, with all to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from e2e.prometheus import Target
from prometheus_client import CollectorRegistry, start_http_server
from tests.agent.guards import GIB, decision, observed, outcome, standing, status, victim

from memguard.agent import metrics as agent
from memguard.agent.oom import Death
from memguard.controller import metrics as operator
from memguard.core.link import Capability
from memguard.core.model import Stall
from memguard.core.refusal import Refusal
from memguard.core.scorecard import Tally

NODES = ("a", "b")
BEGUN = datetime.now(UTC)
COUNTED = ("budget_refusals", "budget_overrides", "dropped_news", "dropped_lines", "turns")
MEASURED = ("brake_seconds", "awake_seconds", "cpu_seconds")


class Node:
    """One agent; `calm` and then `trouble` say what there is to see."""

    def __init__(self) -> None:
        self.view = agent.View()
        self.metrics = agent.Metrics(lambda: self.view)
        self.calm()

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    def calm(self) -> None:
        self._shows(Tally(), 0, level="Calm", mode="Enforce")

    def trouble(self) -> None:
        steps = {"notify": 1, "hold": 4, "brake": 1, "terminate": 1, "kill": 2}
        short: dict[str, Any] = {
            "level": "Critical",
            "headroom_bytes": -(GIB // 8),
            "pressure": 0.93,
            "mode": "Enforce",
        }
        self._shows(Tally(hits=2, false_alarms=1, misses=1), 3, exhaustion_seconds=45.0, steps=steps, **short)
        metrics = self.metrics
        metrics.decided(decision(), "shop/strict")
        metrics.decided(observed(), "cluster/default")
        metrics.finished(outcome())
        metrics.finished(outcome(complete=False))
        metrics.killed(Death(at=0, count=2, scope="process", victim=victim()))
        for kind in ("foreign", "critical", "supervisor"):
            metrics.alarmed(kind)
        metrics.ordered(accepted=True)

    def _shows(self, tally: Tally, count: int, **facts: Any) -> None:
        """What the guard counted is `count` of each kind."""
        shown = status(
            started_at=BEGUN,
            stall=Stall(some_total_seconds=float(count), full_total_seconds=count / 2),
            lines={"armed": 2, "braking": 1},
            top=(standing(1), standing(2)),
            capabilities=tuple(Capability(name=name, ok=True) for name in ("cgroup-write", "host-pid", "supervisor")),
            resident_bytes=17 << 20,
            **dict.fromkeys(COUNTED, count),
            **dict.fromkeys(MEASURED, float(count)),
            **facts,
        )
        now = datetime.now(UTC)
        self.view = agent.View(
            status=shown, connected=True, tally=tally, plan_made_at=now, plan_current=True, reported_at=now,
            spool_dropped=count, spool_refused=count, events_dropped=count,
            watch_ages={"pods": 1.0}, watch_failures={"pods": count},
        )  # fmt: skip


class Operator:
    """The replica that leads."""

    def __init__(self) -> None:
        self.view = operator.View(
            leading=True, levels={"Calm": 2}, watch_ages={"nodes": 1.0}, watch_failures={"nodes": 0}
        )
        self.metrics = operator.Metrics(lambda: self.view)

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    def trouble(self) -> None:
        self.view = operator.View(
            leading=True, levels={"Critical": 2}, attended=2, decisions=5, tainted=1,
            tally=Tally(hits=4, false_alarms=2, misses=2), fairness={"namespace/shop": 1.25},
            points={"shop/Deployment/cart/app": -20}, watch_ages={"nodes": 1.5}, watch_failures={"nodes": 1},
        )  # fmt: skip
        metrics = self.metrics
        metrics.decided(decision(action="evict"))
        metrics.ended(outcome(complete=False))
        metrics.refused(Refusal(cause="budget", words="its own budget is spent"))
        metrics.doubted("clock")
        metrics.failed("server")
        metrics.expired(3)
        metrics.reacted(0.2)


class Scene:
    """All of them, served; `trouble` happens to everybody at once."""

    def __init__(self) -> None:
        self.nodes, self.operator = {name: Node() for name in NODES}, Operator()
        self.targets: list[Target] = []

    def trouble(self) -> None:
        for one in (*self.nodes.values(), self.operator):
            one.trouble()


@contextmanager
def served() -> Iterator[Scene]:
    """The scene, with its targets as long as the context lasts."""
    scene = Scene()
    with ExitStack() as stack:
        for name, node in scene.nodes.items():
            pod = {"node": name, "pod": f"memguard-node-{name}", "namespace": "memguard-system", "container": "agent"}
            scene.targets.append(Target(_serve(node.registry, stack), pod))
        pod = {"pod": "memguard-operator-x", "namespace": "memguard-system", "container": "operator"}
        scene.targets.append(Target(_serve(scene.operator.registry, stack), pod))
        yield scene


def _serve(registry: CollectorRegistry, stack: ExitStack) -> str:
    server, thread = start_http_server(0, "127.0.0.1", registry)
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return f"127.0.0.1:{server.server_port}"
