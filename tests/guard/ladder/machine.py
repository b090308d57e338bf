"""The bounded machine that the ladder is explored on: three containers, three boundaries, and a guard.

`hog` has a limit of its own and hears a stop signal first; it shares a pod, whose limit is guarded too, with `side`.
`big` stands alone, and only the node is its boundary. Nothing here runs in real time: the processes, their signals and
the guard's helpers are the world's, so that the same events lead to the same end.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import pytest
from tests.guard.ladder.referee import Referee
from tests.guard.world import Duty, Kernfs, Load, World, configuration, fake_select, named
from tests.kernel_files.trees import MIB

from memguard.core.link import Order
from memguard.guard import court, ears, heir
from memguard.guard.bell import Bell
from memguard.guard.course import Course
from memguard.guard.ears import Ears
from memguard.guard.report import Report

NAMES: Final = ("hog", "side", "big")
PODS: Final = {"hog": 1, "side": 1, "big": 2}
BASE: Final = {"hog": 100 * MIB, "side": 60 * MIB, "big": 300 * MIB}
HOG_LIMIT, POD_LIMIT = 256 * MIB, 400 * MIB
#: how often a container may come again, each time under another id, as kubelet makes it
LIVES: Final = 4
TOTAL, SYSTEM = 1024 * MIB, 200 * MIB
GRACE_SECONDS: Final = 0.3
SLOW, FAST = 10 * MIB, 400 * MIB
#: a boundary is this near when somebody comes near to it
NEAR_BYTES: Final = 8 * MIB
HEAD = (
    'mode = "{mode}"\ncritical = []\n[tuning]\npsi = false\ntickFloorSeconds = 0.005\nfastestFillBytesPerSecond = 2e9\n'
)
BUDGET = "[budget]\nperNode = {}\nwindowSeconds = 3600\n"
RULES = (
    f'[[rules]]\nmatch = {{ container = "hog" }}\nguardLimit = true\ngraceSeconds = {GRACE_SECONDS}\n'
    + "[[rules]]\nguardLimit = true\n"
)
PROTECTED = '[[rules]]\nmatch = {{ container = "{}" }}\nprotected = true\n'


class SeenWorld(World):
    """A world that looks at what was written only when something was."""

    touched = True

    def heed(self) -> None:
        if self.touched:
            self.touched = False
            super().heed()


class Machine:
    """The world, the guard on it, and what the guard was told."""

    def __init__(self, base: Path, kernfs: Kernfs) -> None:
        self.world, self.kernfs = SeenWorld(base / "machine", total=TOTAL, system=SYSTEM), kernfs
        self.pod = self.world.charged_pod(1, POD_LIMIT)
        self.loads: dict[str, Load | None] = dict.fromkeys(NAMES)
        self.lives = dict.fromkeys(NAMES, 0)
        #: who may not be touched, as the guard was told
        self.spared: frozenset[str] = frozenset()
        self.observing, self.most_kills = False, 10
        #: who ends by itself on a stop signal
        self.heeding: set[str] = set()
        #: which kernel files cannot be written, by container and file
        self.refusing: set[tuple[str, str]] = set()
        #: can there be no janitor?
        self.heirless = False
        #: the victims that the operator ordered
        self.ordered: set[str] = set()
        #: the events until now
        self.happened: list[str] = []
        for name in NAMES:
            self.appear(name)
        self.referee = Referee(self)

    def start(self) -> None:
        """The guard comes on duty."""
        self.duty = Duty(self.world, self.text())
        self.referee.guard = self.duty.guard

    # --- who is there

    def appear(self, name: str) -> None:
        """A container comes (again)."""
        number = 10 * self.lives[name] + NAMES.index(name) + 1
        self.lives[name] += 1
        limit = HOG_LIMIT if name == "hog" else None
        load = self.world.container(number, anon=BASE[name], limit=limit, pod=PODS[name])
        pid = 5_000_000 + number  # beyond PID_MAX_LIMIT: no process of the real machine
        load.write("cgroup.procs", f"{pid}\n")
        stat = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
        self.world.write(self.world.proc_root / str(pid) / "stat", f"{pid} ({name}) S 1 {' '.join(stat[2:])}\n")
        self.loads[name] = load

    def vanish(self, name: str) -> None:
        """Its cgroup is removed."""
        self.there(name).vanish()
        self.loads[name] = None
        self.refusing = {(who, file) for who, file in self.refusing if who != name}
        self.ordered.discard(name)
        self.show()

    def there(self, name: str) -> Load:
        load = self.loads[name]
        assert load is not None
        return load

    def name_of(self, path: str) -> str | None:
        """Whose cgroup that is."""
        return next((name for name, load in self.loads.items() if load is not None and load.path == path), None)

    # --- what it holds

    def line_bytes(self, name: str) -> int:
        """How much it holds when it has come near to its nearest boundary."""
        load = self.there(name)
        node = load.anon + self.world.available - int(TOTAL * 0.06)
        pod = POD_LIMIT - 20 * MIB - (self.pod.current - load.current) if load.pod else node
        own = HOG_LIMIT - 16 * MIB if load.limit else node
        return max(load.anon, min(node, pod, own) - NEAR_BYTES)

    def hold(self, name: str, anon: int, rate: float) -> None:
        """It has so much from one moment to the next, and wants more."""
        load = self.there(name)
        load.anon, load.rate = anon, rate
        load.show()
        self.show()

    def show(self) -> None:
        self.pod.charge()
        self.world.meminfo()

    def signalled(self, pid: int, number: int) -> None:
        """One of its processes got a signal."""
        name = next(name for name, load in self.loads.items() if load and load.content("cgroup.procs") == str(pid))
        self.referee.signalled(name, number)
        if name in self.heeding and number == signal.SIGTERM:
            self.there(name).die("a signal")
            self.show()

    # --- what the guard is told

    def text(self) -> str:
        """Its configuration."""
        known = "".join(
            named(f"*{10 * life + at + 1:064x}.scope", "shop", f"pod-{PODS[name]}", name)
            for at, name in enumerate(NAMES)
            for life in range(LIVES)
        )
        rules = "".join(PROTECTED.format(name) for name in sorted(self.spared)) + RULES
        mode = "Observe" if self.observing else "Enforce"
        return HEAD.format(mode=mode) + BUDGET.format(self.most_kills) + rules + known

    def tell(self) -> None:
        """A new configuration."""
        self.duty.guard.follow(configuration(self.world, self.text()))

    def order(self, name: str) -> None:
        """The operator wants it ended."""
        ward = self.duty.guard.watch.wards.get(self.there(name).path)
        if ward is None:
            return
        order = Order(
            id=name,
            action="kill",
            container_id=ward.id,
            pod_uid=cast("str", ward.container.pod_uid),  # where nobody tells it there is none, on both sides
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
        self.ordered.add(name)
        if not self.duty.guard.court.obey(order, ward).accepted:
            self.ordered.discard(name)

    def refuse(self, name: str, file: str) -> None:
        """A file of it cannot be written any more, or again."""
        path = str(self.there(name).directory / file)
        self.refusing ^= {(name, file)}
        self.kernfs.read_only ^= {path}

    # --- time

    def turn(self) -> None:
        """One of the guard's, and all that must be true after it."""
        self.duty.guard.turn()
        self.referee.look()

    def run(self, seconds: float, *, until: Callable[[], object] = lambda: False) -> None:
        end = self.world.time + seconds
        while self.world.time < end and not until():
            self.turn()

    def calm(self) -> None:
        """Nobody wants more, whoever is ending ends, and everything can be written: the guard must come to rest."""
        for name, file in sorted(self.refusing):
            self.refuse(name, file)
        for load in self.world.loads:
            load.rate, load.cache = 0.0, 0
            load.show()
            if not load.alive and load.anon:
                load.empty()
        self.show()

    def end(self) -> None:
        """The guard ends; nothing of it is left behind."""
        self.duty.end()
        self.referee.farewell()


class Kernel(Kernfs):
    """Kernfs whose writes are seen, and processes that are the world's."""

    def __init__(self) -> None:
        super().__init__()
        self.machine: Machine | None = None
        self._pidfds: dict[int, int] = {}

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        taken = super().pwrite(fd, data, offset)
        if self.machine is not None:
            self.machine.world.touched = True
            self.machine.referee.wrote(os.readlink(f"/proc/self/fd/{fd}"), data)
        return taken

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        fd = os.open("/dev/null", os.O_RDONLY)
        self._pidfds[fd] = pid
        return fd

    def pidfd_send_signal(self, fd: int, number: int) -> None:
        assert self.machine is not None
        self.machine.signalled(self._pidfds[fd], number)


class Heirs:
    """Janitors that need no process."""

    fd = -1

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def spawn(self) -> Heirs:
        if self._machine.heirless:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self

    def brief(self, *_: str) -> None: ...

    def dismiss(self) -> None: ...


def _at_once(work: Callable[[], object], _: Ears, then: Callable[[], None] = lambda: None) -> bool:
    """A helper that needs no time."""
    work()
    then()
    return True


@contextmanager
def machine(base: Path) -> Iterator[Machine]:
    """A machine with a guard on duty; nothing of either is left."""
    kernel, before = Kernel(), set(os.listdir("/proc/self/fd"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", kernel.pread)
        patch.setattr(os, "pwrite", kernel.pwrite)
        patch.setattr(os, "pidfd_open", kernel.pidfd_open)
        patch.setattr(signal, "pidfd_send_signal", kernel.pidfd_send_signal)
        patch.setattr(court, "aside", _at_once)
        found = Machine(base, kernel)
        patch.setattr(Bell, "__setattr__", found.referee.watching("state", "line"))
        patch.setattr(Course, "__setattr__", found.referee.watching("stage", "victim"))
        patch.setattr(ears, "select", fake_select(found.world))
        patch.setattr(heir, "spawn_janitor", Heirs(found).spawn)
        patch.setattr(Report, "trouble", lambda _, reason: found.referee.trouble(reason))
        kernel.machine = found
        found.start()
        try:
            yield found
        finally:
            kernel.machine = None
            _close_since(before, str(base))
            shutil.rmtree(base / "machine")


def _close_since(before: set[str], base: str) -> None:
    """A guard gives its descriptors back by ending with its process."""
    for name in set(os.listdir("/proc/self/fd")) - before:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith((base, "anon_inode:", "pipe:")):
            os.close(int(name))
