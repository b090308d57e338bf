"""One run: innocents, mostly a hog, faults at their moments, and everything that can be known of it afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from guest import cgroups, node

from inside.chaos.draw import Draw, draw
from inside.chaos.faults import FAULTS
from inside.stage import KUBEPODS, MIB, ROOT, RUN, Guard, Stage, held, pages_may_move, populated, stage, until

#: Whoever dies of these by our hand died wrongly.
INNOCENTS = ("service", "web", "cache", "idle")
#: Named in the configuration; those that pass are too many to name, and are nobody.
GUARDED = (*INNOCENTS, "hog", "second", "bomb", "again", "late", *(f"passing{index}" for index in range(12)))
WITHOUT = Path(__file__).parents[1] / "without"
KUBEPODS_LIMIT = 560 * MIB
STEP_SECONDS = 0.01
#: What grows is gone by then, or will not go while the faults last; and after them.
LONGEST_SECONDS, AFTER_SECONDS = 6.0, 12.0
#: Housekeeping is every 10 s.
SETTLE_SECONDS, SETTLING_STEP_SECONDS = 12.0, 0.5
PIPE_BYTES = 4096
F_SETPIPE_SZ = 1031  # include/uapi/linux/fcntl.h


class Play:
    """One run as it goes on."""

    def __init__(self, scene: Stage, drawn: Draw) -> None:
        self.stage, self.drawn = scene, drawn
        self.run_directory, self.log_directory = RUN / "mg", RUN / "log"
        self.guard_cgroup = ROOT / "guard"
        self.without: tuple[str, ...] = ()
        self.read_only: tuple[str, ...] = ()
        self.guards: list[Guard] = []
        self.reader: subprocess.Popen[bytes] | None = None
        self.absences: list[list[float]] = []
        self.kernel_kills: list[float] = []
        self.bystanders: set[str] = set()
        self.containers: dict[str, Path] = {}
        self._counted = _kernel_kills()
        self._began = time.monotonic()

    @property
    def guard(self) -> Guard:
        """The latest."""
        return self.guards[-1]

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def culprit(self) -> Path:
        """The hog's container."""
        return self.containers["hog"]

    def furnish(self) -> None:
        """Containers, with the innocents' memory in them, and two small disks."""
        for directory, size in ((self.run_directory, "2m"), (self.log_directory, "8m")):
            directory.mkdir(exist_ok=True)
            subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)), check=True)
        limits = {"web": 256, "cache": 128, "hog": self.drawn.limit_mib if self.drawn.boundary == "container" else 0}
        for name in (*INNOCENTS, "hog"):
            self.containers[name] = self.stage.container(name, limit_mib=limits.get(name, 0))
        (KUBEPODS / "memory.max").write_text(str(KUBEPODS_LIMIT) if self.drawn.boundary == "kubepods" else "max")
        self.stage.load(self.containers["service"], "warm", "rate=0", "max=96", "period_ms=500")
        self.stage.load(self.containers["web"], "warm", "rate=0", "max=60", "period_ms=500")
        self.churn = self.stage.load(self.containers["cache"], "churn", f"path={_source()}", "window=512", "rate=100")
        self.stage.load(self.containers["idle"], "pause")
        until(lambda: (cgroups.number(self.containers["service"] / "memory.current") or 0) > 96 * MIB, 10, step=0.05)
        self.stage.names[:] = GUARDED
        self.config = self._configure()

    def unfurnish(self) -> None:
        """Nothing of it remains."""
        for guard in self.guards:
            guard.child.kill()
            guard.child.wait()
        cgroups.remove(self.guard_cgroup)
        (KUBEPODS / "memory.max").write_text("max")
        for directory in (self.run_directory, self.log_directory):
            subprocess.run(("umount", "--lazy", str(directory)), check=True)

    # --- the guard

    def start_guard(self) -> None:
        """Another guard, if there is none, as whoever looks after it would start one; it may fail to start."""
        if self.guards and self.guard.child.poll() is None:
            return
        if self.without:
            os.environ.update(MG_WITHOUT=",".join(self.without), PYTHONPATH=f"{WITHOUT}:{os.environ['PYTHONPATH']}")
        log = self.log_directory / f"guard{len(self.guards)}.log"
        output = None if "log disk full" in self.drawn.names else self._read_into(log)
        guard = Guard(self.config, log, output=output)
        if output is not None:
            os.close(output)
        self.guards.append(guard)
        if guard.child.poll() is None and self.absences and len(self.absences[-1]) == 1:
            self.absences[-1].append(self.now)

    def lose_guard(self, *, whole: bool = False) -> None:
        """It dies, or everything in its cgroup does."""
        if whole:
            (self.guard_cgroup / "cgroup.kill").write_text("1")
        else:
            self.guard.child.kill()
        self.guard.child.wait()
        self._absent_from_now()

    def signal_guard(self, number: int) -> None:
        """If it lives."""
        if self.guard.child.poll() is None:
            self.guard.signal(number)

    @contextmanager
    def absent(self) -> Iterator[None]:
        """Meanwhile nobody guards."""
        self._absent_from_now()
        yield
        if len(self.absences[-1]) == 1:
            self.absences[-1].append(self.now)

    def kill_janitor(self) -> None:
        """Every child of the guard."""
        pid = self.guard.child.pid
        for child in (cgroups.read(Path(f"/proc/{pid}/task/{pid}/children")) or "").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), 9)

    def _absent_from_now(self) -> None:
        if not self.absences or len(self.absences[-1]) == 2:
            self.absences.append([self.now])

    def _read_into(self, log: Path) -> int:
        """A pipe of one page, and who reads it."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES)
        with log.open("wb") as file:
            self.reader = subprocess.Popen(("cat",), stdin=reader, stdout=file)
        os.close(reader)
        return writer

    def _configure(self) -> Path:
        extra = f'textfile = "{self.log_directory}/mg.prom"\n'
        if "log disk full" in self.drawn.names:
            extra += f'trace = "{self.log_directory}/trace.jsonl"\n'
        path = self.stage.write_config(rule=f"graceSeconds = {self.drawn.grace_seconds}", extra=extra)
        path.write_text(path.read_text().replace("perNode = 100", f"perNode = {self.drawn.kills_allowed}"))
        return path

    # --- around it

    def come(self, name: str) -> Path:
        """A container that was not there when the guard started."""
        self.containers[name] = self.stage.container(name, limit_mib=160)
        return self.containers[name]

    def bystander(self, name: str) -> Path:
        """A container that may die: it is no innocent."""
        self.bystanders.add(name)
        self.containers[name] = self.stage.container(name)
        return self.containers[name]

    def grow(self, name: str, *, rate: int, processes: int = 1) -> None:
        """A hog in that container."""
        self.stage.load(self.containers[name], "hog", f"rate={rate}", "max=2000", f"processes={processes}")
        self.wait(lambda: populated(self.containers[name]), 2)

    def look(self) -> None:
        """Note what the kernel did, and that the guard may be gone by itself."""
        count = _kernel_kills()
        self.kernel_kills += [self.now] * (count - self._counted)
        self._counted = count
        if self.guard.child.poll() is not None:
            self._absent_from_now()

    def wait(self, condition: Callable[[], bool], seconds: float, *, step: float = STEP_SECONDS) -> bool:
        """Did it come true in time? Meanwhile everything is looked at."""

        def looked() -> bool:
            self.look()
            return condition()

        return until(looked, seconds, step=step)


def play(part: str, seed: int) -> dict[str, Any]:
    """The run of that seed, told."""
    drawn, chance = draw(part, seed), Random(seed)
    with stage() as scene:
        played = Play(scene, drawn)
        try:
            played.furnish()
            return {"draw": asdict(drawn), **_run(played, chance)}
        finally:
            played.unfurnish()


def _run(played: Play, chance: Random) -> dict[str, Any]:
    courses = {timed.fault: FAULTS[timed.fault].course(played, chance) for timed in played.drawn.faults}
    for name, course in courses.items():
        if FAULTS[name].before:
            next(course)
    played.start_guard()
    before = _size(played.guard)
    _storm(played, courses)
    for course in reversed(courses.values()):
        next(course, None)
    played.start_guard()
    gone = played.wait(lambda: not _growing(played), AFTER_SECONDS)
    ends = {name: _end_of(path) for name, path in played.containers.items()}
    _clear_away(played)
    played.churn.send_signal(signal.SIGSTOP)  # from here on it would only cost time
    played.wait(lambda: False, SETTLE_SECONDS, step=SETTLING_STEP_SECONDS)
    after = _size(played.guard)
    again = _once_more(played)
    ending = _end(played)
    return {
        "gone": gone, "containers": ends, "bystanders": sorted(played.bystanders), "innocents": _innocents(played),
        "absences": played.absences, "kernelKillsAt": played.kernel_kills, "without": played.without,
        "readOnly": played.read_only, "guardKilledByKernel": _killed_by_kernel(played.guard_cgroup),
        "again": again, "size": [before, after], **ending,
    }  # fmt: skip


def _storm(played: Play, courses: dict[str, Iterator[None]]) -> None:
    """Each fault comes and goes at its moment, and the hog at its own."""
    began = played.now
    moments: list[tuple[float, Callable[[], object]]] = []
    for timed in played.drawn.faults:
        course = courses[timed.fault]
        if not FAULTS[timed.fault].before:
            moments.append((timed.at_seconds, lambda course=course: next(course)))
            moments.append((timed.at_seconds + timed.seconds, lambda course=course: next(course, None)))
    if played.drawn.boundary != "none":
        hog = played.drawn
        start = lambda: played.grow("hog", rate=hog.rate_mib_s, processes=hog.processes)  # noqa: E731
        moments.append((hog.hog_at_seconds, start))
    for at, act in sorted(moments, key=lambda moment: moment[0]):
        played.wait(lambda at=at: played.now - began >= at, LONGEST_SECONDS)
        act()
    played.wait(lambda: not _growing(played), LONGEST_SECONDS)


def _growing(played: Play) -> bool:
    """Is one of those still there that were to be ended?"""
    return any(populated(played.containers[name]) for name in ("hog", "second") if name in played.containers)


def _end_of(path: Path) -> dict[str, Any]:
    return {"populated": populated(path), "kernelKills": _killed_by_kernel(path)}


def _innocents(played: Play) -> dict[str, bool]:
    """Who of them lives."""
    return {name: populated(played.containers[name]) for name in INNOCENTS}


def _clear_away(played: Play) -> None:
    """All but the innocents, with their cgroups."""
    for name in [name for name in played.containers if name not in INNOCENTS]:
        cgroups.remove(played.containers[name].parent)
        del played.containers[name]
    for pod in KUBEPODS.glob("*.slice/*.slice"):
        if pod not in {path.parent for path in played.containers.values()}:
            cgroups.remove(pod)


def _size(guard: Guard) -> dict[str, int]:
    """What it holds; nothing where it could not start."""
    if guard.child.poll() is not None:
        return {}
    return {"rssKib": guard.rss_kib, "descriptors": guard.descriptors, "cgroupBytes": guard.cgroup_bytes}


def _once_more(played: Play) -> dict[str, Any]:
    """The faults are over: does it guard as if nothing had been?"""
    kills = len(played.kernel_kills)
    again = played.come("again")
    time.sleep(1.0)
    played.grow("again", rate=100)
    gone = played.wait(lambda: not populated(again), 8)
    time.sleep(0.5)
    played.look()
    return {"gone": gone, "kernelKills": len(played.kernel_kills) - kills}


def _end(played: Play) -> dict[str, Any]:
    """The last guard ends: nothing of it is to be left."""
    standing, guard = held(), played.guard
    exit_code: int | None = 0
    if played.drawn.ending == "SIGTERM":
        exit_code = guard.stop()
    elif played.drawn.ending == "SIGKILL":
        guard.child.kill()
        guard.child.wait()
    else:
        played.lose_guard(whole=True)
        played.start_guard()
        exit_code = played.guard.stop()
    died = time.monotonic()
    until(lambda: not held() and pages_may_move(), 1.0, step=0.001)
    seconds = time.monotonic() - died
    left = held()
    if played.reader is not None:
        played.reader.wait(5)
    return {
        "standing": standing, "left": left, "leftSeconds": seconds, "pagesMayMove": pages_may_move(),
        "exit": exit_code, "journals": [guard.journal() for guard in played.guards],
    }  # fmt: skip


def _killed_by_kernel(path: Path) -> int:
    return cgroups.keyed(path / "memory.events").get("oom_kill", 0)


def _kernel_kills() -> int:
    return node.vmstat()["oom_kill"]


def _source() -> str:
    device = Path("/dev/nullb0")
    return str(device if device.exists() else "/dev/zero")
