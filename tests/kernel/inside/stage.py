"""A stage inside the machine: containers, loads and a guard, for what a cell cannot tell.

Nothing else grows here and no page cache is filled: these scenarios are about who is held by whom, not about speed.
The clock is virtual: waiting costs nothing, and a busy watcher sees every moment.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guest import cgroups
from guest.cgroups import Names

MIB = 1 << 20
ROOT = Path(os.environ["MG_CGROUP"])
KUBEPODS = ROOT / "kubepods.slice"
RUN = Path(os.environ["MG_RUN"])
LOADS = os.environ["MG_LOADS"]
#: Above the guard's SCHED_FIFO 1: whoever watches it must not wait for it.
WATCHER_PRIORITY = 50
LOOK_SECONDS = 0.0002

CONFIG = """\
mode = "{mode}"
runDirectory = "{run}"
critical = ["kubelet"]
[settings]
reserveRatio = 0.5
reserveCapBytes = {reserve}
[budget]
perContainer = 100
perNamespace = 100
perNode = 100
[[rules]]
guardLimit = true
{rule}
{containers}
"""
CONTAINER = '[[containers]]\ncgroup = "{path}"\nnamespace = "shop"\npod = "{name}"\nname = "{name}"\n'
EVERYBODY = '[[containers]]\ncgroup = "kubepods.slice/*"\nnamespace = "shop"\n'


class Guard:
    """One running memguard with its journal."""

    def __init__(self, config: Path, log: Path, *, wrapper: str = "memguard", output: int | None = None) -> None:
        """`output`: where its lines go, if not straight into `log`."""
        self.config, self.log = config, log
        self.cgroup = ROOT / "guard"
        self.cgroup.mkdir(exist_ok=True)
        command = (
            LOADS, "enter", f"cgroup={self.cgroup}", "adj=-999", "--",
            sys.executable, "-m", wrapper, "guard", "--standalone", "--config", str(config),
        )  # fmt: skip
        with log.open("wb") as file:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file if output is None else output, stderr=subprocess.STDOUT
            )
        if not until(lambda: bool(self.said("start")) or self.child.poll() is not None, 30, step=0.02):
            raise TimeoutError(f"the guard did not start: {log.read_text()}")

    def journal(self) -> list[dict[str, Any]]:
        """Its lines so far; what is no JSON comes as kind "noise"."""
        found = []
        for text in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                found.append({"kind": "noise", "text": text})
        return found

    def said(self, kind: str, **facts: object) -> list[dict[str, Any]]:
        """Its lines of one kind with these facts."""
        return [line for line in self.journal() if line["kind"] == kind and facts.items() <= line.items()]

    def hears(self, kind: str, seconds: float, **facts: object) -> bool:
        """Does such a line come in time?"""
        return until(lambda: bool(self.said(kind, **facts)), seconds, step=0.02)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.child.send_signal(number)

    def stop(self, seconds: float = 5) -> int | None:
        """SIGTERM, and its exit code; None when it had to be killed."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return None

    @property
    def cpu_ms(self) -> float:
        """CPU of all its processes so far."""
        return cgroups.keyed(self.cgroup / "cpu.stat").get("usage_usec", 0) / 1000

    @property
    def descriptors(self) -> int:
        """Open files of its main process."""
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    @property
    def watches(self) -> int:
        """Directories that the kernel watches for it."""
        infos = Path(f"/proc/{self.child.pid}/fdinfo")
        return sum((cgroups.read(info) or "").count("inotify wd:") for info in infos.iterdir())

    @property
    def rss_kib(self) -> int:
        """Resident memory of its main process."""
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    @property
    def cgroup_bytes(self) -> int:
        """memory.current of its cgroup."""
        return cgroups.number(self.cgroup / "memory.current") or 0


class Stage:
    """What one scenario sets up; everything is gone afterwards."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.guards: list[Guard] = []
        self.names: list[str] = []
        RUN.mkdir(parents=True, exist_ok=True)

    def container(self, name: str, *, limit_mib: int = 0, high_mib: int = 0, nested: tuple[str, ...] = ()) -> Path:
        """A container in a pod of its own, as kubelet would make it."""
        pod = cgroups.make(ROOT, Names(name).pod)
        cgroups.enable(pod, cgroups.CONTROLLERS)
        path = ROOT / Names(name).container()
        if not path.exists():
            path.mkdir()
        (path / "memory.oom.group").write_text("1")
        if limit_mib:
            (path / "memory.max").write_text(str(limit_mib * MIB))
        if high_mib:
            (path / "memory.high").write_text(str(high_mib * MIB))
        for child in nested:
            cgroups.make(path, child)
        self.names.append(name)
        return path

    def load(self, cgroup: Path, role: str, *options: str) -> subprocess.Popen[bytes]:
        """Start `loads ROLE OPTIONS` in a cgroup."""
        place = (f"cgroup={cgroup}", "adj=900")
        child = subprocess.Popen((LOADS, "enter", *place, "--", LOADS, role, *options), stdin=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def write_config(
        self, *, name: str = "guard", mode: str = "Enforce", reserve_mib: int = 100, rule: str = "", extra: str = ""
    ) -> Path:
        """A configuration that names the containers made so far, or everybody when there are none."""
        named = "".join(CONTAINER.format(path=Names(name).container(), name=name) for name in self.names)
        text = CONFIG.format(
            mode=mode, run=RUN / "mg", reserve=reserve_mib * MIB, rule=rule, containers=named or EVERYBODY
        )
        path = RUN / f"{name}.toml"
        path.write_text(extra + text)
        return path

    def guard(self, *, wrapper: str = "memguard", **config: Any) -> Guard:
        """A running guard with the configuration that `config` describes."""
        name = f"guard{len(self.guards)}"
        guard = Guard(self.write_config(name=name, **config), RUN / f"{name}.log", wrapper=wrapper)
        self.guards.append(guard)
        return guard

    def clear(self) -> None:
        """Nothing of it remains."""
        for guard in self.guards:
            guard.child.kill()
            guard.child.wait()
        cgroups.remove(ROOT / "guard")
        for child in self.children:
            child.kill()
            child.wait()
        for qos in KUBEPODS.glob("*.slice"):
            for pod in qos.glob("*.slice"):
                cgroups.remove(pod)


def pages_may_move() -> bool:
    """Is compaction free to move locked pages, as it is on a machine without a guard?"""
    return Path("/proc/sys/vm/compact_unevictable_allowed").read_text().strip() == "1"


@contextmanager
def stage() -> Iterator[Stage]:
    """An empty stage, cleared afterwards."""
    found = Stage()
    try:
        yield found
    finally:
        found.clear()


def until(condition: Callable[[], bool], seconds: float, *, step: float = LOOK_SECONDS) -> bool:
    """Did it come true in time?"""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def watch_closely() -> None:
    """From now on this process sees what the guard does, while it does it."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(WATCHER_PRIORITY))


def held() -> dict[str, str]:
    """Every memory.high and cgroup.freeze that somebody holds now, by path."""
    return cgroups.held(KUBEPODS)


def high(cgroup: Path) -> str | None:
    """memory.high as it stands."""
    return cgroups.read(cgroup / "memory.high")


def frozen(cgroup: Path) -> bool:
    """Has somebody asked for it to stand still?"""
    return cgroups.read(cgroup / "cgroup.freeze") == "1"


def rang(cgroup: Path) -> bool:
    """Was its line crossed?"""
    return cgroups.keyed(cgroup / "memory.events.local").get("high", 0) > 0


def populated(cgroup: Path) -> bool:
    """Does anything live in it?"""
    return cgroups.keyed(cgroup / "cgroup.events").get("populated", 0) > 0


def tell(value: Any) -> None:
    """The scenario's answer."""
    print(json.dumps(value))


def kill_dead(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
