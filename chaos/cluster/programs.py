"""Who can be killed, stopped or slowed: programs of a node, and of the control plane beside it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chaos.cluster.pods import NODE
from e2e.lab.errors import LabError
from e2e.lab.lab import Lab
from e2e.lab.process import Process
from e2e.workloads import eventually

#: Of a program that is slowed: stopped for so long, and then for so long not.
STOPPED_SECONDS, GOING_SECONDS = 0.05, 0.01
#: Beside what a command on the node needs; an API server that is another fault's victim comes back within that.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a fault may touch. `pod`: the leak's, with its limit; `leak`: its cgroup, `database`: the database's."""

    lab: Lab
    pod: str
    limit_mib: int
    leak: str
    database: str

    def run(self, script: str, seconds: float = 0.0) -> str:
        """On the node."""
        return self.lab.node(NODE.name).run(script, timeout_s=PATIENCE_SECONDS + seconds)

    def api_server(self, *words: str, stdin: str | None = None) -> str:
        """kubectl, once the API server answers."""
        eventually(self._answers, "the API server answers", PATIENCE_SECONDS)
        return self.lab.kubectl("--request-timeout=20s", *words, stdin=stdin)

    def _answers(self) -> bool:
        try:
            return self.lab.kubectl("--request-timeout=5s", "get", "--raw", "/readyz") == "ok"
        except LabError:
            return False


class Program(Protocol):
    """Somebody who can be signalled."""

    def signal(self, scene: Scene, number: signal.Signals) -> None:
        """Send it to all of its processes."""

    def revive(self, scene: Scene) -> None:
        """Have it run again where nobody else does that."""


@dataclass(frozen=True)
class OnNode:
    """By what pkill knows it; kubelet or systemd start it again."""

    chosen: str

    def signal(self, scene: Scene, number: signal.Signals) -> None:
        scene.run(f"pkill -{number.value} {self.chosen} || true")

    def revive(self, scene: Scene) -> None:
        """Others do."""


@dataclass(frozen=True)
class OnHost:
    """One of the control plane."""

    name: str

    def signal(self, scene: Scene, number: signal.Signals) -> None:
        self._process(scene).signal(number)

    def revive(self, scene: Scene) -> None:
        self._process(scene).ended_within(1)
        scene.lab.plane.start_process(self.name)

    def _process(self, scene: Scene) -> Process:
        return scene.lab.plane.process(self.name)


GUARD = OnNode("-f '[m]emguard guard --socket'")
PROGRAMS: Mapping[str, Program] = {
    "guard": GUARD,
    "supervisor": OnNode("-f '[m]emguard guard --supervise'"),
    "agent": OnNode("-f '[m]emguard agent'"),
    "operator": OnNode("-f '[m]emguard operator'"),
    "kubelet": OnNode("-x kubelet"),
    "containerd": OnNode("-x containerd"),
    "API server": OnHost("kube-apiserver"),
    "etcd": OnHost("etcd"),
}


def _killed(program: Program, scene: Scene, seconds: float) -> None:
    program.signal(scene, signal.SIGKILL)
    if isinstance(program, OnHost):
        time.sleep(seconds)
    program.revive(scene)


def _stopped(program: Program, scene: Scene, seconds: float) -> None:
    program.signal(scene, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        program.signal(scene, signal.SIGCONT)


def _slowed(program: Program, scene: Scene, seconds: float) -> None:
    """Stopped most of the time."""
    if isinstance(program, OnNode):
        scene.run(_SLOW.format(chosen=program.chosen, seconds=seconds), seconds)
        return
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _stopped(program, scene, STOPPED_SECONDS)
        time.sleep(GOING_SECONDS)


#: pkill takes longer than a stop is to last, so the processes are looked for once.
_SLOW = f"""
pids=$(pgrep {{chosen}}) || exit 0
python3 - $pids <<'SLOW'
import os, signal, sys, time
def tell(number):
    for pid in sys.argv[1:]:
        try:
            os.kill(int(pid), number)
        except ProcessLookupError:
            pass
until = time.monotonic() + {{seconds}}
while time.monotonic() < until:
    tell(signal.SIGSTOP)
    time.sleep({STOPPED_SECONDS})
    tell(signal.SIGCONT)
    time.sleep({GOING_SECONDS})
SLOW
"""
WAYS: Mapping[str, Callable[[Program, Scene, float], None]] = {
    "killed": _killed,
    "stopped": _stopped,
    "slowed": _slowed,
}  # fmt: skip
