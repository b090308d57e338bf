"""What goes wrong. Each fault is a generator: up to its `yield` it comes, after it goes.

`before`: it is there when the guard starts (what a guard opens once is not opened again), and goes with the others.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from guest import cgroups
from guest.cgroups import Names

from inside.stage import LOADS, MIB, ROOT

if TYPE_CHECKING:
    from inside.chaos.play import Play

Course = Callable[["Play", Random], Iterator[None]]


class Fault(NamedTuple):
    """One of the catalogue."""

    course: Course
    before: bool = False


# --- upon the guard


def guard_killed(play: Play, chance: Random) -> Iterator[None]:
    """kill -9; systemd or kubelet starts it again after a while."""
    play.lose_guard()
    yield
    play.start_guard()


def both_killed(play: Play, chance: Random) -> Iterator[None]:
    """Guard and janitor die together, as a container's processes do."""
    play.lose_guard(whole=True)
    yield
    play.start_guard()


def guard_stopped(play: Play, chance: Random) -> Iterator[None]:
    """It gets no turn at all."""
    with play.absent():
        play.signal_guard(signal.SIGSTOP)
        yield
        play.signal_guard(signal.SIGCONT)


def janitor_killed(play: Play, chance: Random) -> Iterator[None]:
    """The one that lifts its lines is gone, again and again."""
    for _ in range(chance.randint(1, 3)):
        play.kill_janitor()
        time.sleep(0.05)
    yield


def no_process_to_be_had(play: Play, chance: Random) -> Iterator[None]:
    """Its cgroup may have no further process, and the janitor dies: there can be no other."""
    limit = play.guard_cgroup / "pids.max"
    limit.write_text("1")
    play.kill_janitor()
    yield
    limit.write_text("max")


def guard_short_of_memory(play: Play, chance: Random) -> Iterator[None]:
    """Its cgroup is at its own limit, to some kilobytes."""
    limit = play.guard_cgroup / "memory.max"
    room = chance.choice((0, 64 << 10, 512 << 10, 2 * MIB))
    limit.write_text(str((cgroups.number(play.guard_cgroup / "memory.current") or 0) + room))
    yield
    limit.write_text("max")


def descriptors_run_out(play: Play, chance: Random) -> Iterator[None]:
    """It may open a few files more, and containers come."""
    pid = play.guard.child.pid
    room = chance.randint(0, 12)
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + room, before[1]))
    play.come("late")
    yield
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def run_directory_full(play: Play, chance: Random) -> Iterator[None]:
    """/run has no byte left."""
    yield from _filled(play.run_directory)


def log_disk_full(play: Play, chance: Random) -> Iterator[None]:
    """Journal, trace and metrics lie on a disk that is full."""
    yield from _filled(play.log_directory)


def log_reader_stopped(play: Play, chance: Random) -> Iterator[None]:
    """Who reads its journal does not, and the pipe is one page."""
    reader = play.reader
    if reader is not None:  # else its journal is a file
        reader.send_signal(signal.SIGSTOP)
    yield
    if reader is not None:
        reader.send_signal(signal.SIGCONT)


def broken_configuration(play: Play, chance: Random) -> Iterator[None]:
    """Read again when it is nonsense."""
    good = play.config.read_text()
    play.config.write_text(good + "\nmode = [")
    play.signal_guard(signal.SIGHUP)
    yield
    play.config.write_text(good)
    play.signal_guard(signal.SIGHUP)


def files_missing(play: Play, chance: Random) -> Iterator[None]:
    """An older kernel, or another: some files are not there (inside/without)."""
    play.without = tuple(chance.sample(MAY_BE_MISSING, chance.randint(1, 4)))
    yield


#: Files that kernels lack which are still in use, and those that somebody may have masked.
MAY_BE_MISSING = (
    "memory.peak", "memory.reclaim", "memory.high", "memory.events.local", "memory.pressure", "memory.swap.current",
    "cgroup.freeze", "cgroup.kill", "cpu.stat", "memory.numa_stat", "cpuset.mems.effective", "cgroup.stat",
)  # fmt: skip


def files_read_only(play: Play, chance: Random) -> Iterator[None]:
    """Files of the culprit's container cannot be written."""
    play.read_only = tuple(chance.sample(("memory.high", "cgroup.freeze", "cgroup.kill"), chance.randint(1, 2)))
    paths = [str(play.culprit / name) for name in play.read_only]
    for path in paths:
        _run("mount", "--bind", path, path)
        _run("mount", "-o", "remount,ro,bind", path)
    yield
    for path in paths:
        _run("umount", "--lazy", path)  # the guard may have it open


# --- around it


def cgroups_come_and_go(play: Play, chance: Random) -> Iterator[None]:
    """The same dozen of pods vanishes and reappears as fast as it can, all with limits."""
    yield from _beside(play, lambda: _traffic(12))


def short_lived_containers(play: Play, chance: Random) -> Iterator[None]:
    """Containers of new names, each with a process that ends at once."""
    yield from _beside(play, _short_lived)


def clock_jumps(play: Play, chance: Random) -> Iterator[None]:
    """The wall clock goes an hour, a day, ten years forward or back."""
    began, real = time.monotonic(), time.time()
    for _ in range(chance.randint(1, 4)):
        jump = chance.choice((3600.0, 86400.0, 3.2e8)) * chance.choice((1, -1))
        time.clock_settime(time.CLOCK_REALTIME, max(86400.0, time.time() + jump))
        time.sleep(0.02)
    yield
    time.clock_settime(time.CLOCK_REALTIME, real + time.monotonic() - began)


def fork_bomb(play: Play, chance: Random) -> Iterator[None]:
    """A container of as many processes as it may have, all of which fork on."""
    bomb = play.bystander("bomb")
    (bomb / "pids.max").write_text("150")
    child = subprocess.Popen(
        (LOADS, "enter", f"cgroup={bomb}", "adj=900", "--", "sh", "-c", "f() { f | f & }; f 2>/dev/null"),
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield
    (bomb / "cgroup.kill").write_text("1")
    child.wait()


def cpu_starved(play: Play, chance: Random) -> Iterator[None]:
    """Four spinners for each CPU, of the highest weight."""
    cgroup = cgroups.make(ROOT, "spinners")
    (cgroup / "cpu.weight").write_text("10000")
    count = 4 * (os.cpu_count() or 1)
    spinners = subprocess.Popen((LOADS, "enter", f"cgroup={cgroup}", "--", LOADS, "spin", f"threads={count}"))
    yield
    spinners.kill()
    spinners.wait()
    cgroups.remove(cgroup)


def somebody_writes_memory_high(play: Play, chance: Random) -> Iterator[None]:
    """MemoryQoS, an administrator: other values, and "max", over whatever stands there."""
    files = [play.containers[name] / "memory.high" for name in ("web", "hog")]

    def write() -> None:
        while True:
            chance.choice(files).write_text(chance.choice(("max", "max", str(140 * MIB), str(240 * MIB))))
            time.sleep(chance.uniform(0.001, 0.2))

    yield from _beside(play, write)
    for file in files:
        with contextlib.suppress(OSError):
            file.write_text("max")


def somebody_freezes(play: Play, chance: Random) -> Iterator[None]:
    """A checkpoint: a container stands still by somebody else's will."""
    file = play.containers[chance.choice(("web", "service", "hog"))] / "cgroup.freeze"
    file.write_text("1")
    yield
    with contextlib.suppress(OSError):
        file.write_text("0")


def limits_are_resized(play: Play, chance: Random) -> Iterator[None]:
    """In-place resize, up and down, again and again."""
    files = [play.containers[name] / "memory.max" for name in ("web", "hog")]

    def write() -> None:
        while True:
            chance.choice(files).write_text(str(chance.choice((192, 256, 320)) * MIB))
            time.sleep(chance.uniform(0.05, 0.3))

    yield from _beside(play, write)


def daemon_reload(play: Play, chance: Random) -> Iterator[None]:
    """PID 1 reads all its units again."""
    for _ in range(chance.randint(1, 3)):
        _run("systemctl", "daemon-reload")
    yield


def set_property(play: Play, chance: Random) -> Iterator[None]:
    """PID 1 writes every property of the pods' slice anew."""
    for weight in range(100, 100 + chance.randint(1, 3)):
        _run("systemctl", "set-property", "--runtime", "kubepods.slice", f"CPUWeight={weight}")
    yield


def disk_freezes(play: Play, chance: Random) -> Iterator[None]:
    """Who writes to the disk stands in D state: the victim, with 80 MiB that do not come back; a second hog follows."""
    disk = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.ioctl(disk, FIFREEZE, 0)
    try:
        stuck = ("batch", "rate=0", "max=80", "seconds=0.2", "report=/var/tmp/stuck")
        play.stage.load(play.culprit, *stuck)
        play.stage.load(play.bystander("second"), "hog", "rate=200", "max=2000", "delay_ms=1500")
        yield
    finally:
        fcntl.ioctl(disk, FITHAW, 0)
        os.close(disk)


FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # include/uapi/linux/fs.h


def earlyoom(play: Play, chance: Random) -> Iterator[None]:
    """A peer that acts later than we do, on its own account."""
    peer = subprocess.Popen(
        ("earlyoom", "-r", "0", "-M", f"{60 << 10},{50 << 10}", "-s", "100"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield
    peer.kill()
    peer.wait()


FAULTS: dict[str, Fault] = {
    "guard killed": Fault(guard_killed),
    "guard and janitor killed": Fault(both_killed),
    "guard stopped": Fault(guard_stopped),
    "janitor killed": Fault(janitor_killed),
    "no process to be had": Fault(no_process_to_be_had),
    "guard short of memory": Fault(guard_short_of_memory),
    "descriptors run out": Fault(descriptors_run_out),
    "run directory full": Fault(run_directory_full),
    "log disk full": Fault(log_disk_full),
    "log reader stopped": Fault(log_reader_stopped),
    "broken configuration": Fault(broken_configuration),
    "files missing": Fault(files_missing, before=True),
    "files read-only": Fault(files_read_only, before=True),
    "cgroups come and go": Fault(cgroups_come_and_go),
    "short-lived containers": Fault(short_lived_containers),
    "clock jumps": Fault(clock_jumps),
    "fork bomb": Fault(fork_bomb),
    "CPU starved": Fault(cpu_starved),
    "somebody writes memory.high": Fault(somebody_writes_memory_high),
    "somebody freezes": Fault(somebody_freezes),
    "limits are resized": Fault(limits_are_resized),
    "daemon-reload": Fault(daemon_reload),
    "set-property": Fault(set_property),
    "disk freezes": Fault(disk_freezes),
    "earlyoom": Fault(earlyoom),
}


def _filled(directory: Path) -> Iterator[None]:
    file = directory / "filler"
    with contextlib.suppress(OSError), file.open("wb") as filler:
        while True:
            filler.write(bytes(1 << 16))
            filler.flush()
    yield
    file.unlink()


def _beside(play: Play, work: Callable[[], None]) -> Iterator[None]:
    """Work in a process of its own, until it is killed; what it trips over while cgroups vanish is no matter."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        while True:
            with contextlib.suppress(OSError):
                work()
    yield
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _traffic(count: int) -> None:
    names = [f"passing{index}" for index in range(count)]
    for name in names:
        _come(name)
    for name in names:
        _go(name)


def _short_lived() -> None:
    serial = 0
    while True:
        serial += 1
        name = f"passing{serial}"
        container = _come(name)
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):
                (container / "cgroup.procs").write_text("0")
            os._exit(0)
        os.waitpid(pid, 0)
        _go(name)


def _come(name: str) -> Path:
    pod = cgroups.make(ROOT, Names(name).pod)
    cgroups.enable(pod, cgroups.CONTROLLERS)
    path = ROOT / Names(name).container()
    path.mkdir(exist_ok=True)
    (path / "memory.max").write_text(str(160 * MIB))
    return path


def _go(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (ROOT / Names(name).container()).rmdir()
        (ROOT / Names(name).pod).rmdir()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
