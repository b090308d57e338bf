"""Agent and operator as processes beside a real API server: memory, a quiet minute, and how long until they are ready.

In real time, on whatever machine this is, which the API server and etcd share.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.costs.figures import Process
from bench.plane import plane as plane_of
from bench.scale import Cluster, report_calmly
from e2e.lab.control_plane import ControlPlane
from tests.agent.guards import ScriptedGuard, standing
from tests.cluster.agents import AgentProcess, Site, crowd
from tests.cluster.clients import client_of, connect
from tests.cluster.operators import operating

WARM_SECONDS, SECONDS = 10.0, 60.0
#: A calm guard says how things stand this often.
SAID_SECONDS = 30.0
LISTED = 10


def agents(counts: tuple[int, ...]) -> list[Process]:
    """Of nodes with so many pods: each is started by itself; the quiet minute is one and the same for all."""
    with _plane(controllers=True) as plane, tempfile.TemporaryDirectory(prefix="costs-") as name, ExitStack() as stack:
        homes = {count: _home(plane, Path(name), count) for count in counts}
        started = [Started.agent(stack, site, count) for count, site in homes.items()]
        return _quiet(started, lambda seconds: _stand([one.guard for one in started if one.guard], seconds))


def _home(plane: ControlPlane, directory: Path, pods: int) -> Site:
    """A node with so many pods of two containers each."""
    place = directory / str(pods)
    place.mkdir()
    site = Site(plane, f"costs-{pods}", place)
    namespace = site.namespace(f"costs-{pods}")
    with client_of(connect(plane)) as administrator:
        for number in range(pods):
            crowd(administrator, site.node, namespace, number)
    return site


def _stand(guards: list[ScriptedGuard], seconds: float) -> None:
    """Guards that say that all is well, as often as they do so."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for guard in guards:
            guard.say(top=tuple(standing(number) for number in range(LISTED)))
        time.sleep(min(left, SAID_SECONDS))


def operator(nodes: int) -> Process:
    """Of so many nodes, which report that all is well."""
    with (
        _plane(controllers=False) as plane,
        tempfile.TemporaryDirectory(prefix="costs-") as name,
        client_of(connect(plane), timeout_seconds=60) as administrator,
        ExitStack() as stack,
    ):
        cluster = Cluster(administrator, nodes)
        cluster.fill()
        began = time.monotonic()
        process = stack.enter_context(operating(plane, Path(name)))
        process.wait_ready()
        process.wait_leading()
        started = Started("operator", nodes, time.monotonic() - began, process)
        return _quiet([started], lambda seconds: report_calmly(cluster, seconds))[0]


class Started(NamedTuple):
    """A process that is ready; `guard` is the other end of an agent's socket."""

    program: str
    size: int
    ready_seconds: float
    process: AgentProcess
    guard: ScriptedGuard | None = None

    @classmethod
    def agent(cls, stack: ExitStack, site: Site, pods: int) -> Started:
        """One that knows all pods of its node, and has told its guard."""
        guard = stack.enter_context(site.guard())
        began = time.monotonic()
        agent = stack.enter_context(site.agent())
        agent.wait_ready()
        ready = time.monotonic() - began
        guard.wait(lambda: guard.plan and len(guard.roster.known) == 2 * pods)
        return cls("agent", pods, ready, agent, guard)


def _quiet(started: list[Started], wait: Callable[[float], object]) -> list[Process]:
    """A minute of them, once what follows a start is over."""
    wait(WARM_SECONDS)
    before, began = [(one.process.cpu_seconds(), one.process.wake_ups()) for one in started], time.monotonic()
    wait(SECONDS)
    minutes = (time.monotonic() - began) / 60
    return [
        Process(
            program=one.program,
            size=one.size,
            ready_seconds=round(one.ready_seconds, 2),
            rss_mib=round(one.process.memory_mib(), 1),
            cpu_ms=round((one.process.cpu_seconds() - cpu) * 1000 / minutes, 1),
            wake_ups=round((one.process.wake_ups() - woken) / minutes, 1),
        )
        for one, (cpu, woken) in zip(started, before, strict=True)
    ]


@contextmanager
def _plane(*, controllers: bool) -> Iterator[ControlPlane]:
    with (
        tempfile.TemporaryDirectory(prefix="costs-plane-") as name,
        plane_of(Path(name), controllers=controllers) as made,
    ):
        yield made
