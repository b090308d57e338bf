"""Agent and operator as processes beside a real API server: memory, a quiet minute, and how long until they are ready.

In real time, on whatever machine this is, which the API server and etcd share.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.costs.figures import Process
from bench.scale import Cluster, report_calmly
from e2e.lab.control_plane import ControlPlane
from tests.agent.guards import ScriptedGuard, standing
from tests.cluster.agents import AgentProcess, Site, crowd
from tests.cluster.clients import client_of, connect
from tests.cluster.operators import deploy_operator, operating

WARM_SECONDS, SECONDS = 10.0, 60.0
#: A calm guard says how things stand this often.
SAID_SECONDS = 30.0
LISTED = 10


def processes(pods: tuple[int, ...], nodes: tuple[int, ...]) -> list[Process]:
    """Agents of nodes with so many pods, and operators of so many nodes."""
    agents = [_agent(count) for count in pods]
    return agents + [_operator(count) for count in nodes]


def _agent(pods: int) -> Process:
    with _plane(controllers=True) as plane, tempfile.TemporaryDirectory(prefix="costs-") as name:
        site = Site(plane, "costs-node", Path(name))
        namespace = site.namespace("costs")
        with client_of(connect(plane)) as administrator:
            for number in range(pods):
                crowd(administrator, site.node, namespace, number)
        began = time.monotonic()
        with site.guard() as guard, site.agent() as agent:
            agent.wait_ready()
            ready = time.monotonic() - began
            guard.wait(lambda: guard.plan and len(guard.roster.known) == 2 * pods)
            return _quiet("agent", pods, ready, agent, lambda seconds: _stand(guard, seconds))


def _stand(guard: ScriptedGuard, seconds: float) -> None:
    """A guard that says that all is well, as often as it does so."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        guard.say(top=tuple(standing(number) for number in range(LISTED)))
        time.sleep(min(left, SAID_SECONDS))


def _operator(nodes: int) -> Process:
    with (
        _plane(controllers=False) as plane,
        tempfile.TemporaryDirectory(prefix="costs-") as name,
        client_of(connect(plane), timeout_seconds=60) as administrator,
    ):
        cluster = Cluster(administrator, nodes)
        cluster.fill()
        began = time.monotonic()
        with operating(plane, Path(name)) as operator:
            operator.wait_ready()
            operator.wait_leading()
            ready = time.monotonic() - began
            return _quiet("operator", nodes, ready, operator, lambda seconds: report_calmly(cluster, seconds))


def _quiet(program: str, size: int, ready: float, process: AgentProcess, wait: Callable[[float], object]) -> Process:
    """A minute of it, once what follows a start is over."""
    wait(WARM_SECONDS)
    cpu, woken, began = process.cpu_seconds(), process.wake_ups(), time.monotonic()
    wait(SECONDS)
    minutes = (time.monotonic() - began) / 60
    return Process(
        program=program,
        size=size,
        ready_seconds=round(ready, 2),
        rss_mib=round(process.memory_mib(), 1),
        cpu_ms=round((process.cpu_seconds() - cpu) * 1000 / minutes, 1),
        wake_ups=round((process.wake_ups() - woken) / minutes, 1),
    )


@contextmanager
def _plane(*, controllers: bool) -> Iterator[ControlPlane]:
    """Pods need them for their service account; without kubelets they end those that do not tolerate it."""
    with tempfile.TemporaryDirectory(prefix="costs-plane-") as name:
        plane = ControlPlane(Path(name), controller_manager=controllers, scheduler=False)
        try:
            plane.start()
            deploy_operator(plane)
            yield plane
        finally:
            plane.remove()
